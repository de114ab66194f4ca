"""Xen hosts, as far as nothing has to run: sizes, command lines, what the self-test's words mean."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labkit import Xen
from labkit.errors import EngineError, InvalidName, InvalidValue, NotEnoughMemory, VersionsDoNotFit
from labkit.hosts import _xen_qemu, _xen_template
from labkit.hosts._xen_qemu import Machine, Size, check_memory
from labkit.hosts._xen_template import Template, judge
from labkit.storage.xen import Appliance

MIB = 2**20
SIZE = Size(1536 * MIB, 512 * MIB, 1)


def _machine(*, kvm: bool = False, waits: bool = True, place: str = "/lab", size: Size = SIZE) -> Machine:
    image = Appliance(Path("/cache, mine/appliance"), "0" * 64)
    folder = Path(place)
    return Machine(
        image, size, kvm, folder, folder, folder / "memory", not waits, folder / "disk", "qcow2", "xen2", waits
    )


def test_sizes_are_words_or_bytes() -> None:
    """Both are understood; the defaults are those of the documentation."""
    assert Xen("xena").size == SIZE
    assert Xen("xena", memory="2 GiB", dom0_memory=600 * MIB, vcpus=2).size == Size(2048 * MIB, 600 * MIB, 2)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ({"memory": "512 MiB"}, "do not hold"), ({"dom0_memory": "100 MiB"}, "does not boot"),
        ({"memory": "1 GiB", "dom0_memory": "1 GiB"}, "do not hold"), ({"vcpus": 0}, "processors"),
        ({"vcpus": True}, "processors"), ({"vcpus": 99}, "processors"), ({"memory": "much"}, "memory"),
        ({"carrier": "xena"}, "itself"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(words: dict[str, object], what: str) -> None:
    """With a sentence, before anything is made."""
    with pytest.raises(InvalidValue, match=what):
        Xen("xena", **words)  # type: ignore[arg-type]


def test_names_are_checked() -> None:
    """As those of every host."""
    with pytest.raises(InvalidName):
        Xen("Xen A")


def test_an_emulated_processor_lacks_what_goes_wrong() -> None:
    """Without KVM the flags that go wrong are off; with it the processor is the machine's own."""
    assert "max,smap=off,xsave=off,avx=off,avx2=off,rdtscp=off,erms=off,fsrm=off" in _machine().argv()
    assert "tcg" in _machine().argv()
    assert {"kvm", "host"} <= set(_machine(kvm=True).argv())


def test_a_copy_keeps_what_it_changes_to_itself() -> None:
    """The template's memory is shared by its file; a copy maps it for itself and waits for a state."""
    copy, template = (" ".join(_machine(waits=waits).argv()) for waits in (True, False))
    assert "share=off" in copy
    assert "-incoming defer" in copy
    assert "share=on" in template
    assert "-incoming" not in template


def test_commas_in_paths_are_escaped() -> None:
    """QEMU takes a comma for the end of an option."""
    words = _machine().argv()
    assert any("file=/cache,, mine/appliance/root.img," in word for word in words)


def test_what_a_template_is_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Places do not count; size, acceleration and another QEMU do."""
    known = _machine().made_of()
    assert known == _machine(place="/elsewhere", waits=False).made_of()
    assert known != _machine(kvm=True).made_of()
    assert known != _machine(size=Size(2048 * MIB, 512 * MIB, 1)).made_of()
    monkeypatch.setattr(_xen_qemu, "_version", lambda: "another")
    assert {name for name, value in _machine().made_of().items() if value != known[name]} == {"QEMU"}


def test_a_template_says_what_does_not_fit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """None if all fits, nothing if there is none, else which part is missing or another."""
    monkeypatch.setattr(_xen_template, "home", lambda: tmp_path)
    monkeypatch.setattr(_xen_qemu, "_version", lambda: "one")
    template = Template(None, _machine())  # type: ignore[arg-type]
    assert template.misfit() == ""
    template.folder.mkdir()
    for name in ("memory", "state", "disk.img"):
        (template.folder / name).write_bytes(b"as it was")
    assert template.misfit() == "about.json is missing"
    (template.folder / "about.json").write_text(json.dumps(template.about(template.folder)))
    assert template.misfit() is None
    monkeypatch.setattr(_xen_qemu, "_version", lambda: "two")
    assert template.misfit() == "another QEMU"
    monkeypatch.setattr(_xen_qemu, "_version", lambda: "one")
    (template.folder / "state").write_bytes(b"it is another")
    assert template.misfit() == "another state"
    (template.folder / "memory").unlink()
    assert template.misfit() == "memory is missing"
    (template.folder / "about.json").write_text("{")
    assert template.misfit() == "about.json is damaged"


def test_too_little_memory_is_said() -> None:
    """Before anything starts, with both numbers."""
    with pytest.raises(NotEnoughMemory, match="than the .* that are free"):
        check_memory(Size(2**48, 512 * MIB, 1))


def test_a_wrong_result_refuses_the_template() -> None:
    """One wrong hash is enough, or sums of one file that differ; a test that did not run is no pass."""
    judge("rounds=200 wrong=0 sums=1 busy_s=7.5\n")
    for told in ("rounds=200 wrong=1 sums=1 busy_s=7.5", "rounds=200 wrong=0 sums=2 busy_s=7.5"):
        with pytest.raises(VersionsDoNotFit, match="computes wrongly"):
            judge(told)
    for told in ("rounds=0 wrong=0 sums=1 busy_s=7.5", "rounds=200 wrong=0 sums=1 busy_s=0.1", "", "Killed"):
        with pytest.raises(EngineError):
            judge(told)
