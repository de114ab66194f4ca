"""Where Vagrant runs: on a host of a lab, whose libvirt it then uses, or on this machine."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from .._progress import check_cancelled
from .._run import Completed
from ..errors import DeadlineExceeded, PackageMissing
from . import _vagrant_lines

if TYPE_CHECKING:
    from .base import Host

_LOOK_S = 0.2


class Place(ABC):
    """A place where Vagrant runs.

    Attributes
    ----------
    name
        What it is called in errors.
    owned
        Whether its libvirt belongs to the lab, with all that is in it.
    """

    name = ""
    owned = False

    @abstractmethod
    def run(self, argv: Sequence[str], timeout_s: float = 60) -> Completed:
        """Run a command to its end."""

    @abstractmethod
    def _started(self, argv: list[str], out: int) -> Callable[[float], int | None]:
        """Start a command that writes to `out`; what is returned waits for its end that long."""

    @abstractmethod
    def _kill(self) -> None:
        """End what `_started` has started, and all that belongs to it."""

    def follow(
        self, argv: Sequence[str], env: Mapping[str, str], cwd: Path, timeout_s: float, heard: Callable[[str], object]
    ) -> int:
        """Run a command and pass on each line that it writes; returns its exit code.

        Whatever ends this early ends the command, too.

        Raises
        ------
        DeadlineExceeded, Cancelled
        """
        words = ["env", "-C", str(cwd), *(f"{key}={value}" for key, value in env.items()), *argv]
        told, tell = os.pipe2(os.O_CLOEXEC)
        try:
            try:
                ended = self._started(words, tell)
            finally:
                os.close(tell)
            for line in _lines(told, time.monotonic() + timeout_s, ended):
                heard(line)
            code = ended(10)
            if code is None:
                raise DeadlineExceeded(f"`{argv[0]}` has closed its output and does not end")
            return code
        finally:
            self._kill()
            os.close(told)


def _lines(told: int, deadline: float, ended: Callable[[float], int | None]) -> Iterator[str]:
    """The lines that come out of a pipe until it is closed, or the command ended and a child holds it open."""
    rest = b""
    while True:
        check_cancelled()
        if time.monotonic() > deadline:
            raise DeadlineExceeded("its time was up")
        if not select.select([told], [], [], _LOOK_S)[0]:
            if ended(0.001) is None:
                continue
            break
        data = os.read(told, 65536)
        if not data:
            break
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield line.decode(errors="replace").rstrip("\r")
    if rest:
        yield rest.decode(errors="replace")


class OnHost(Place):
    """A host of a lab; what runs there ends with it."""

    owned = True

    def __init__(self, host: Host) -> None:
        self.host = host
        self.name = host.name
        self._running: list[Callable[[], None]] = []

    def run(self, argv: Sequence[str], timeout_s: float = 60) -> Completed:
        return self.host.run(argv, timeout_s=timeout_s)

    def _started(self, argv: list[str], out: int) -> Callable[[float], int | None]:
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            running = self.host.spawn(argv, [null, out, out])
        finally:
            os.close(null)
        self._running.append(running.close)

        def ended(wait_s: float) -> int | None:
            try:
                return running.wait(wait_s)
            except DeadlineExceeded:
                return None

        return ended

    def _kill(self) -> None:
        while self._running:
            self._running.pop()()


class Here(Place):
    """The machine that labkit runs on, with the libvirt that its system has."""

    name = "this machine"

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []

    def run(self, argv: Sequence[str], timeout_s: float = 60) -> Completed:
        began = time.monotonic()
        try:
            done = subprocess.run(
                argv, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL,
                timeout=timeout_s, check=False,
            )  # fmt: skip
        except FileNotFoundError:
            hint = f"install the package that brings {argv[0]}"
            raise PackageMissing(f"the program {argv[0]} is not installed", hint=hint) from None
        took = time.monotonic() - began
        return Completed(tuple(argv), done.returncode, done.stdout, done.stderr, took, self.name)

    def _started(self, argv: list[str], out: int) -> Callable[[float], int | None]:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *argv], stdin=subprocess.DEVNULL, stdout=out,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self._processes.append(process)

        def ended(wait_s: float) -> int | None:
            try:
                return process.wait(wait_s)
            except subprocess.TimeoutExpired:
                return None

        return ended

    def _kill(self) -> None:
        while self._processes:
            process = self._processes.pop()
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@contextmanager
def in_words(account: _vagrant_lines.Account, words: str, timeout_s: float, host: str) -> Iterator[None]:
    """Raise a deadline that has passed with what Vagrant said until then."""
    try:
        yield
    except DeadlineExceeded as error:
        raise _vagrant_lines.overdue(account, words, timeout_s, host) from error


def find_vagrant() -> str:
    """The path of `vagrant`; `PackageMissing` if it is not installed."""
    if path := shutil.which("vagrant", path=f"{os.environ.get('PATH', os.defpath)}:/opt/vagrant/bin"):
        return path
    raise PackageMissing("Vagrant is not installed", hint=_vagrant_lines.INSTALL)
