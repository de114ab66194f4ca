"""The core of the suite once more, as a user without privileges."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from _vagrant import needs_vagrant

sys.path.insert(0, str(Path(__file__).parent))  # for `_user`, which no package holds

from _user import as_user, ordinary_user

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the whole suite runs as an ordinary user already")


@pytest.fixture
def user() -> Iterator[str]:
    """A new user with subordinate ids."""
    with ordinary_user() as name:
        yield name


def passed_by(user: str, suite: list[str], within_s: float) -> int:
    """Run tests as that user, of which none may fail; how many passed."""
    done = as_user(user, [".venv/bin/python", "-m", "pytest", "-p", "no:cacheprovider", "-q", *suite], within_s)
    print(done.stdout[-6000:], done.stderr[-3000:])
    assert done.returncode == 0
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed
    return int(passed[1])


# Of each engine what its users meet first; the rest is in the second part.
FIRST = ("lab", "machine", "instant", "networks")


@pytest.mark.timeout(1700)
@pytest.mark.parametrize(
    "part", ["first", *(pytest.param(part, marks=pytest.mark.slow) for part in ("rest", "faults"))]
)
def test_core_passes_without_privileges(user: str, part: str) -> None:
    """What is marked core holds for an ordinary user, from the building of the image on."""
    first = [f"tests/contract/test_{name}.py" for name in FIRST]
    files = {
        "first": first, "rest": ["tests/contract", *(f"--ignore={file}" for file in first)], "faults": ["tests/faults"],
    }  # fmt: skip
    assert passed_by(user, ["-m", "core and not slow", *files[part]], 1500) > 50


@pytest.mark.slow
@pytest.mark.timeout(2700)
def test_xen_needs_no_privileges(user: str) -> None:
    """An ordinary user builds the appliance and its template, and has machines of Xen's."""
    assert passed_by(user, ["-m", "not slow", "tests/contract/test_xen_machines.py"], 2400)


@pytest.mark.slow
@pytest.mark.timeout(2700)
@needs_vagrant
def test_vagrant_needs_no_privileges(user: str) -> None:
    """An ordinary user builds the box, and a host that Vagrant makes of it runs in a lab of the user's."""
    assert passed_by(user, ["tests/contract/test_vagrant.py"], 2400)


def test_doctor_says_that_a_lab_can_start(user: str) -> None:
    """The doctor finds all that an ordinary user needs."""
    code = "from labkit.hosts.doctor import examine; report = examine(); print(report); assert report.can_start"
    done = as_user(user, [".venv/bin/python", "-c", code], 120)
    assert done.returncode == 0, done.stdout + done.stderr
