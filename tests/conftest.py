"""What all tests share: names of their own for labs, and the count of what is left behind."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labkit import Lab
from labkit.testing import settle, take_stock

# What starts tests in the background has children ignore Ctrl-C; ours must not.
signal.signal(signal.SIGINT, signal.default_int_handler)

REPOSITORY = Path(__file__).parent.parent
sys.path.insert(0, str(Path(__file__).parent))  # for `_wait`, which no package holds

_LONGEST = (
    "/rootless/", "/test_xen_machines", "/test_vagrant_core", "33_live_migration", "/uplink/", "/test_jupyterlab",
    "/notebooks/", "/browser/",
)  # fmt: skip


_BEGAN_S = time.monotonic()
_ENDED = re.compile(r"^\[ *([\d.]+)\] .*(?:segfault|general protection|traps:|out of memory|oom-kill)", re.IGNORECASE)


@pytest.fixture(scope="session", autouse=True)
def own_folders() -> Iterator[None]:
    """State and sockets of the tests lie apart from the user's; images and templates do not."""
    state = tempfile.mkdtemp(prefix="labkit-state-")
    runtime = tempfile.mkdtemp(prefix="lk-", dir="/tmp")
    os.environ["LABKIT_STATE"], os.environ["LABKIT_RUNTIME"] = state, runtime
    os.environ.setdefault("LABKIT_PROGRESS", "lines")
    yield
    for folder in (state, runtime):
        shutil.rmtree(folder)


@pytest.fixture
def lab_name() -> Iterator[str]:
    """A name for a lab; fails the test if anything of that lab is left at its end."""
    name = f"t-{secrets.token_hex(4)}"
    before = take_stock(name)
    yield name
    left = settle(name, before)
    assert not left, f"the test left behind: {left}"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A lab of two hosts for the tests of one module; LABKIT_TEST_HOSTS makes them of ``vagrant`` or ``xen``."""
    from _lab import lab_of
    from _vagrant import wanted_hosts

    with lab_of(wanted_hosts()) as shared:
        shared.networks.create("lan")
        yield shared


@pytest.fixture
def python() -> Callable[..., subprocess.Popen[str]]:
    """Start a Python program of its own that sees the same labs."""

    def start(code: str, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            cwd=REPOSITORY,
        )  # fmt: skip

    return start


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first, so that at the end no worker has something left that all others wait for."""
    items.sort(key=lambda item: next((at for at, part in enumerate(_LONGEST) if part in item.nodeid), len(_LONGEST)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which processes the kernel ended, if a test failed; name what was left for `./lab test --all`."""
    if terminalreporter.stats.get("failed") or terminalreporter.stats.get("error"):
        told = subprocess.run(["dmesg"], capture_output=True, text=True, errors="replace", check=False).stdout
        for line in told.splitlines():
            if (found := _ENDED.search(line)) and float(found[1]) > _BEGAN_S:
                terminalreporter.write_line(f"the kernel says: {line}")
    if "not slow" not in (config.getoption("-m") or ""):
        return
    files = sorted((REPOSITORY / "tests").rglob("test_*.py"))
    slow = [str(file.relative_to(REPOSITORY)) for file in files if "pytest.mark.slow" in file.read_text()]
    terminalreporter.write_line(f"left for ./lab test --all, the slow tests of: {', '.join(slow)}")
