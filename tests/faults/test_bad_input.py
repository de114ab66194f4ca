"""What makes no sense or cannot be had: an error of its own within seconds, and nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from _lab import lab_of
from _world import guests_of

from labkit import Lab, _paths
from labkit.errors import (
    ImageDamaged,
    InvalidName,
    InvalidValue,
    LabError,
    NameInUse,
    NotEnoughMemory,
    NotFound,
)
from labkit.machines._template import Template
from labkit.machines.base import Machine
from labkit.storage import images

pytestmark = [pytest.mark.core, pytest.mark.xdist_group("bad input")]

BAD_NAMES = ["x;reboot", "../../etc", "a\0b", "a" * 300, "</name>", "\u202egnp.exe", "template_x", "", ".", None, 7]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with lab_of(["alpha", "beta"]) as shared:
        shared.networks.create("lan")
        shared["alpha"].kvm.create("taken", networks=["lan"])
        yield shared


@pytest.fixture
def taken(lab: Lab) -> Machine:
    return lab["alpha"].kvm["taken"]


def contents(lab: Lab) -> dict[str, object]:
    """All that a refused request could have changed."""
    return {
        "machines": sorted(path.name for path in (lab.folder / "machines").iterdir()),
        "networks": {path.name: json.loads(path.read_text()) for path in (lab.folder / "networks").glob("*.json")},
        "hosts": sorted(path.name for path in (lab.folder / "hosts").iterdir()),
        "guests": [guests_of(host) for host in lab],
        "domains": [domain.name() for domain in lab["alpha"].kvm.connection().listAllDomains()],
    }


@pytest.fixture
def refused(lab: Lab) -> Iterator[Callable[..., LabError]]:
    """Check that a call raises an error of this kind, quickly, and that nothing has changed."""

    def check(kind: type[LabError], call: Callable[..., object], *arguments: Any, **words: Any) -> LabError:
        began = time.monotonic()
        with pytest.raises(kind) as caught:
            call(*arguments, **words)
        assert time.monotonic() - began < 15
        assert type(caught.value) is kind
        assert caught.value.hint
        return caught.value

    before = contents(lab)
    yield check
    assert contents(lab) == before


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_bad_names_are_refused(lab: Lab, taken: Machine, refused: Callable[..., LabError], name: Any) -> None:
    """A name that could mean something to a shell, a path, XML or a reader's eye is refused wherever one is given."""
    kvm = lab["alpha"].kvm
    for call in (
        lambda: kvm.create(name), lambda: kvm[name], lambda: kvm.create("web", networks=[name]),
        lambda: kvm.create("web", image=name), lambda: taken.clone(name), lambda: taken.snapshot(name),
        lambda: taken.revert(name), lambda: lab.networks.create(name), lambda: lab.networks[name],
        lambda: lab.networks.remove(name), lambda: lab.add_host(name),
    ):  # fmt: skip
        error = refused(InvalidName, call)
        for sign in ("\0", "\u202e", "a" * 100):
            assert sign not in str(error)
    refused(NotFound, lambda: lab[name])


@pytest.mark.parametrize(
    ("kind", "words", "said"),
    [
        (NotEnoughMemory, {"memory": "900 GiB"}, "900 GiB of memory are needed"),
        (InvalidValue, {"memory": "1 MiB"}, "too little to boot"),
        (InvalidValue, {"memory": "much"}, "not a memory size"),
        (InvalidValue, {"memory": -1}, "not a memory size"),
        (InvalidValue, {"memory": 2**70}, "not a memory size"),
        (InvalidValue, {"disk": "1 MiB"}, "cannot hold the image small"),
        (InvalidValue, {"disk": "0"}, "not a disk size"),
        (InvalidValue, {"vcpus": 0}, "0 is not a number of processors"),
        (InvalidValue, {"vcpus": 9}, "9 is not a number of processors"),
        (InvalidValue, {"vcpus": 1.5}, "1.5 is not a number of processors"),
        (InvalidValue, {"vcpus": "two"}, "'two' is not a number of processors"),
        (NotFound, {"networks": ["lan", "nowhere"]}, "there is no network nowhere"),
        (InvalidValue, {"networks": ["lan", "lan"]}, "given twice"),
        (NotFound, {"image": "windows"}, "there is no image windows"),
        (InvalidValue, {"timeout_s": 0}, "not a time limit"),
        (InvalidValue, {"timeout_s": -5}, "not a time limit"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_what_a_machine_cannot_be(
    lab: Lab, refused: Callable[..., LabError], kind: type[LabError], words: dict[str, Any], said: str
) -> None:
    """A machine with such values is refused before anything of it is made, in words."""
    for instant in (True, False):
        error = refused(kind, lab["beta"].kvm.create, "web", **words, instant=instant)
        assert said in error.message


def test_a_name_in_use(lab: Lab, taken: Machine, refused: Callable[..., LabError]) -> None:
    """A name is unique in the lab: on the same host, on the other one, for a clone, a network, a host, a snapshot."""
    for host in lab:
        error = refused(NameInUse, host.kvm.create, "taken")
        assert "host alpha" in str(error)
    refused(NameInUse, taken.clone, "taken")
    refused(NameInUse, lab.networks.create, "lan")
    refused(NameInUse, lab.add_host, "beta")
    assert taken.run(["hostname"]).stdout == "taken\n"


def test_values_that_a_network_cannot_have(lab: Lab, refused: Callable[..., LabError]) -> None:
    """A range that is none, is too large or small, lies elsewhere or overlaps another one is refused."""
    for cidr in (
        "198.19.1.0/24", "198.19.1.128/25", "198.18.0.0/24", "10.0.0.0/24", "198.19.0.0/30", "198.18.0.0/15",
        "198.19.7.1/24", "::/64", "x", "", "'; reboot", 7,
    ):  # fmt: skip
        refused(InvalidValue, lab.networks.create, "other", cidr=cidr)
    refused(InvalidValue, lab.networks.create, "other", mode="bridge", dhcp=True)
    refused(InvalidValue, lab.networks.create, "other", mode="</mode>")
    refused(NotFound, lab.networks.create, "other", host="gamma")


def test_values_that_verbs_cannot_have(lab: Lab, taken: Machine, refused: Callable[..., LabError]) -> None:
    """What makes no sense for a running machine is refused, and the machine runs on."""
    refused(InvalidValue, taken.run, ["true"], timeout_s=0)
    refused(InvalidValue, taken.run, "reboot")
    refused(InvalidValue, taken.run, ["a\0b"])
    refused(InvalidValue, taken.resize, memory="900 GiB")
    refused(InvalidValue, taken.resize, vcpus=99)
    refused(InvalidValue, taken.resize, vcpus="two")
    refused(InvalidValue, lab["alpha"].run, ["true"], timeout_s=-1)
    refused(InvalidValue, lab["alpha"].run, [])
    refused(NotFound, taken.revert, "never")
    assert taken.run(["true"]).ok


# ── A damaged cache ───────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def spoiled_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of this module's own, with a copy of the image, to be damaged."""
    shared, cache = _paths.cache_home(), tmp_path_factory.mktemp("cache")
    cache.chmod(0o700)
    (cache / "images").mkdir(mode=0o700)
    image = images.get("small")
    shutil.copytree(image.folder, cache / "images" / image.folder.name)
    for name in ("acceleration.json", "libvirt-capabilities"):
        (cache / name).symlink_to(shared / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABKIT_CACHE", str(cache))
        yield cache


@pytest.fixture
def web(lab: Lab, spoiled_cache: Path) -> Callable[[], str]:
    """Make the machine ``web`` from what is in the cache, and destroy it; what it says of itself."""

    def make() -> str:
        machine = lab["beta"].kvm.create("web", memory="96 MiB")
        try:
            return machine.run(["hostname"], check=True).stdout
        finally:
            machine.destroy()

    return make


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


def fill_with_nonsense(template: Template, workshop: Path, deadline: float) -> None:
    for name in ("memory.save", "disk.qcow2", "overlay.qcow2"):
        (workshop / name).write_bytes(b"?" * 9999)


@pytest.mark.slow
def test_a_damaged_template_is_made_anew(
    web: Callable[[], str], spoiled_cache: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A memory image that is none is refused; one that was cut off is made anew, and that is said."""
    with monkeypatch.context() as patch:
        patch.setattr(Template, "_make", fill_with_nonsense)
        with pytest.raises(ImageDamaged, match="is not a memory image of libvirt"):
            web()
    [template] = (path for path in (spoiled_cache / "templates").iterdir() if path.is_dir())
    os.truncate(template / "memory.save", 4096)
    capfd.readouterr()
    assert web() == "web\n"
    assert "damaged" in capfd.readouterr().err
    assert web() == "web\n"
    assert "damaged" not in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("part", ["memory.save", "overlay.qcow2", "disk.qcow2", "parts.json"])
def test_any_damaged_part_of_a_template_is_noticed(web: Callable[[], str], spoiled_cache: Path, part: str) -> None:
    """Whichever part of a template was changed, taken away or swapped, machines come up right."""
    assert web() == "web\n"
    folders = {path for path in (spoiled_cache / "templates").iterdir() if path.is_dir()}
    newest = max(folders, key=lambda path: path.stat().st_mtime)
    flip(newest / part)
    assert web() == "web\n"
    assert len({path for path in (spoiled_cache / "templates").iterdir() if path.is_dir()}) == len(folders) + 1


@pytest.mark.parametrize("part", ["disk", "kernel", "initrd"])
def test_a_damaged_image_is_refused(spoiled_cache: Path, lab: Lab, refused: Callable[..., LabError], part: str) -> None:
    """A file of an image in which a bit has changed is named, with the command that builds it again."""
    path: Path = getattr(images.find("small"), part)
    flip(path)
    for instant in (True, False):
        error = refused(ImageDamaged, lab["beta"].kvm.create, "web", instant=instant)
        assert path.name in error.message
        assert "labkit image build" in error.hint
    flip(path)
    images.get("small")


def test_an_image_without_a_file_is_refused(spoiled_cache: Path, lab: Lab, refused: Callable[..., LabError]) -> None:
    """An image of which a file is missing is refused, and the file is named."""
    image = images.find("small")
    assert image
    image.disk.rename(image.disk.with_suffix(".away"))
    error = refused(ImageDamaged, lab["beta"].kvm.create, "web")
    assert image.disk.name in error.message
    image.disk.with_suffix(".away").rename(image.disk)
