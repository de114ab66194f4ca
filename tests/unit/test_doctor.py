"""The doctor's report and words, without looking at the machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from labkit.errors import NamespacesForbidden, PackageMissing
from labkit.hosts import _checks, _checks_namespaces, doctor
from labkit.hosts.doctor import Finding, Report, State

NASTY = "<script>alert(1)</script>[red]&\"'"
REPORT = Report(
    (
        Finding("memory", State.OK, "8 GiB", "Enough."),
        Finding("/dev/kvm", State.NOTE, "missing", "Emulated.", "sudo modprobe kvm_intel"),
        Finding("tool", State.FAIL, NASTY, NASTY, NASTY),
    )
)


def ends(pid: str) -> bool:
    """Whether a process ends within a second; one that only waits to be reaped has ended."""
    deadline = time.monotonic() + 1
    while os.path.exists(f"/proc/{pid}/exe") and time.monotonic() < deadline:
        time.sleep(0.01)
    return not os.path.exists(f"/proc/{pid}/exe")


def test_a_lab_can_start_unless_something_fails() -> None:
    """Notes do not keep a lab from starting, one failure does."""
    assert Report(REPORT.findings[:2]).can_start
    assert not REPORT.can_start


def test_html_holds_nothing_but_text() -> None:
    """What was found is shown as text, with sign, word and command for each state, no script."""
    html = REPORT._repr_mimebundle_()["text/html"]
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "sudo modprobe kvm_intel</code>" in html
    for sign, word in (("●", "ok"), ("!", "note"), ("✖", "fail")):
        assert f">{sign}</span> {word}</td>" in html
    assert "http" not in html


def test_text_tells_the_command_that_fixes() -> None:
    """The plain text has each finding, its state as a word and its command on a line."""
    text = str(REPORT)
    assert REPORT._repr_mimebundle_()["text/plain"] == text
    assert "● ok" in text
    assert "→ sudo modprobe kvm_intel\n" in text
    assert text.endswith("Labs do not work here yet: 1 thing to fix. 1 thing to know.")


@pytest.mark.parametrize("width", [40, 120])
def test_terminal_shows_what_was_found_as_it_is(width: int) -> None:
    """rich prints the report as a table and takes no markup from what was found."""
    from rich.console import Console

    console = Console(width=width, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(REPORT)
    shown = "".join(console.export_text().split())
    assert "".join(NASTY.split()) in shown
    assert "→sudomodprobekvm_intel" in shown


def test_json_is_the_report() -> None:
    """The JSON has the verdict and every field of every finding."""
    read = json.loads(REPORT.to_json())
    assert read["can_start"] is False
    assert read["findings"][1] == {
        "name": "/dev/kvm", "state": "note", "found": "missing", "meaning": "Emulated.",
        "fix": "sudo modprobe kvm_intel",
    }  # fmt: skip
    assert read["findings"][2]["found"] == NASTY


def test_a_check_that_crashes_is_a_finding() -> None:
    """A broken check is told as a finding, a failure only if labs need what it looks at."""

    def broken() -> Finding:
        return Finding("x", State.OK, str(1 // 0), "")

    (needed,) = doctor.guarded("x", broken, optional=False)
    (extra,) = doctor.guarded("x", broken, optional=True)
    assert (needed.state, extra.state) == (State.FAIL, State.NOTE)
    assert "ZeroDivisionError" in needed.found


def test_a_folder_that_labkit_refuses_is_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A state folder open to others, or below a file, is told with what to do."""
    tmp_path.chmod(0o777)
    monkeypatch.setenv("LABKIT_STATE", str(tmp_path))
    (tmp_path / "file").touch()
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path / "file" / "cache"))
    named = {finding.name: finding for finding in doctor.examine().findings}
    assert named["state folder"].state is State.FAIL
    assert "LABKIT_STATE" in named["state folder"].fix
    assert named["cache folder"].state is State.FAIL
    assert "Not a directory" in named["cache folder"].found


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("", "100000-165535"),
        ("ann:100000:65536\n", "165536-231071"),
        ("ann:100000:65536\nbob:165536:65536\n", "231072-296607"),
        ("bob:231072:65536\nann:100000:65536\n", "165536-231071"),
        ("ann:99000:1001\n# a comment\nbroken\n:x:\n", "100001-165536"),
        ("ann:1:4000000\nbob:5:10\n", "4000001-4065536"),
    ],
)
def test_free_range_touches_no_other(lines: str, expected: str, tmp_path: Path) -> None:
    """The range proposed for subordinate numbers is the first that nobody has."""
    file = tmp_path / "subuid"
    file.write_text(lines)
    assert _checks_namespaces._free_range(str(file)) == expected


def test_unknown_reasons_are_quoted() -> None:
    """What the doctor cannot explain it quotes: the last line that `unshare` wrote."""
    error = doctor.explain_namespaces("one\nunshare: the moon is full\n")
    assert isinstance(error, NamespacesForbidden)
    assert "unshare: the moon is full" in str(error)
    assert "gave no reason" in str(doctor.explain_namespaces(""))


def test_old_unshare_is_named() -> None:
    """An unshare without --map-auto is told as such, with the version that has it."""
    error = doctor.explain_namespaces("unshare: unrecognized option '--map-auto'")
    assert "util-linux 2.38" in str(error)


def test_require_program() -> None:
    """A program that is there gives its path; one that is not names its package."""
    assert doctor.require_program("sh").endswith("/sh")
    with pytest.raises(PackageMissing, match="no-such-program"):
        doctor.require_program("no-such-program")


def test_command_is_ended_at_its_deadline() -> None:
    """A command that does not end is killed with all that it started."""
    ran = _checks.run(["sh", "-c", "sleep 61.25 & echo $!; sleep 61.25"], deadline_s=0.2)
    assert ran.code is None
    assert 0.2 <= ran.seconds < 1
    assert ends(ran.stdout.strip())


def test_silent_command_is_ended_early() -> None:
    """A command that says nothing is ended after its silence, one that speaks goes on."""
    assert _checks.run(["sleep", "9"], silence_s=0.1).seconds < 1
    assert _checks.run(["sh", "-c", "echo x; sleep 0.3"], silence_s=0.1).ok


def test_command_that_leaves_a_child_is_not_waited_for() -> None:
    """A background child that keeps the output open neither delays nor survives the command."""
    ran = _checks.run(["sh", "-c", "sleep 62.25 & echo $!"])
    assert ran.ok
    assert ran.seconds < 1
    assert ends(ran.stdout.strip())


def test_import_is_light() -> None:
    """The doctor and the acceleration are loaded without any library beside Python's."""
    code = (
        "import sys, labkit.hosts.doctor, labkit.hosts.acceleration;"
        "print(*{'libvirt', 'jinja2', 'rich', 'filelock', 'concurrent.futures', 'plotly'}"
        " & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
