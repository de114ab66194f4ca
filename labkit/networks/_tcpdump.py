"""One tcpdump on a host, and the thread that takes from it what it writes.

It writes into a pipe, not into a file: so nothing but this process needs to reach the file, and a
tcpdump that AppArmor confines may do it, too. It ends with this process, for the host's first process
kills what was started over a connection that hangs up.
"""

from __future__ import annotations

import errno
import os
import re
import select
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from .._paths import disk_full
from .._values import format_duration, format_size
from ..errors import EngineError, InvalidValue, LabError, NotFound, PackageMissing
from ..hosts._channel import RequestRefused
from ._packets import Flow, Flows, Packet, Records

if TYPE_CHECKING:
    from ..hosts._channel import Running
    from ..hosts.base import Host

_LOOK_MS = 50
_QUIET_S = 0.1  # so long nothing has come: then nothing is on its way any more
_DRAIN_S = 1.0
_END_S = 5.0
_START_S = 20.0
_AT_ONCE = 200  # packets that are read before it is looked whether more have come
_DROPPED = re.compile(r"(\d+) packets? dropped by kernel")
_PROGRAM = "tcpdump"
_ERROR = re.compile(rf"^{_PROGRAM}: (?!listening on )(.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where a capture ends by itself.

    Attributes
    ----------
    seconds, packets, bytes
        Of time, of packets, of the file.
    snapshot_bytes
        What is kept of each packet at most.
    """

    seconds: float
    packets: int
    bytes: int
    snapshot_bytes: int


class Tcpdump:
    """A tcpdump that runs; `end` ends it.

    Attributes
    ----------
    packets, bytes
        How many came so far, and how long they were on the wire.
    size
        Bytes of the file so far.
    ended
        Why it has ended, in words; "" while it runs.
    dropped
        Packets that the kernel had to drop; None until it has ended, or if that is not known.
    """

    def __init__(self, host: Host, bridge: str, words: str, bounds: Bounds, file: IO[bytes]) -> None:
        self._host = host
        self._bounds = bounds
        self._file = file
        self._records = Records()
        self._flows = Flows()
        self._waiting: deque[Packet] = deque()
        self._lock = threading.Lock()
        self._begun, self._done = threading.Event(), threading.Event()
        self._why = ""
        self._end_at = self._interrupted_at = 0.0
        self.packets = self.bytes = self.size = 0
        self.ended = ""
        self.dropped: int | None = None
        self._said = ""
        self._failure: OSError | None = None
        self._code: int | None = None
        self._running = self._spawn(bridge, words)
        self.began = self._heard = time.monotonic()
        threading.Thread(target=self._follow, name=f"labkit capture {bridge}", daemon=True).start()
        self._wait_for_begin(bridge, words)

    # Its start

    def _spawn(self, bridge: str, words: str) -> Running:
        argv = [
            _PROGRAM, "-i", bridge, "-n", "-U", "--immediate-mode", "-B", "8192", "-Z", "root",
            "-s", str(self._bounds.snapshot_bytes), "-c", str(self._bounds.packets), "-w", "-",
            *(["--", words] if words else []),
        ]  # fmt: skip
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._out, out = os.pipe2(os.O_CLOEXEC)
        self._err, err = os.pipe2(os.O_CLOEXEC)
        try:
            return self._host.spawn(argv, [null, out, err])
        except BaseException as error:
            self._close()
            if isinstance(error, RequestRefused) and f"{_PROGRAM}: " in error.message:
                raise _missing(self._host.name) from error
            raise
        finally:
            for descriptor in (null, out, err):
                os.close(descriptor)

    def _wait_for_begin(self, bridge: str, words: str) -> None:
        if self._begun.wait(_START_S) and self._records.begun and not self._failure:
            return
        self.end("it did not start in time")
        self.wait(_END_S)
        raise self._why_not(bridge, words)

    def _why_not(self, bridge: str, words: str) -> LabError:
        if self._failure:
            return _unwritten(self._failure, Path(self._file.name))
        said = self._last_line()
        if said.startswith(f"{bridge}: No such device"):
            return NotFound(
                f"there is no bridge {bridge} on host {self._host.name}", host=self._host.name,
                hint="the network comes to a host with the first machine that is on it there",
            )  # fmt: skip
        if words and self._code == 1 and not said.startswith(f"{bridge}:"):
            return InvalidValue(
                f"{ascii(words)[:100]} is not a filter: {said}", host=self._host.name,
                hint='write it like "icmp", "tcp port 80" or "host 198.19.1.2" (man pcap-filter), with addresses',
            )  # fmt: skip
        return EngineError(f"tcpdump did not start: {said or self.ended}", host=self._host.name)

    def _last_line(self) -> str:
        said = _ERROR.findall(self._said)
        return str(said[-1])[:300] if said else ""

    # Its end

    def end(self, why: str) -> None:
        """Let it end; what has come by now is kept."""
        if not self._end_at:
            self._why, self._end_at = why, time.monotonic()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it has ended; whether it has."""
        return self._done.wait(timeout_s)

    def flows(self) -> tuple[Flow, ...]:
        """The flows of what has come so far."""
        with self._lock:
            self._read_all()
            return self._flows.table()

    def _read_all(self) -> None:
        while self._waiting:
            self._flows.add(self._waiting.popleft())

    # The thread

    def _follow(self) -> None:
        try:
            self._pump()
        except LabError as error:
            self.end(f"when something went wrong: {error.message}")
            self._running.close()
        except OSError as error:
            self._failure = error
            self.end(f"when its file could not be written: {error.strerror}")
            self._running.close()
        finally:
            self._finish()

    def _pump(self) -> None:
        poll = select.poll()
        poll.register(self._out, select.POLLIN)
        while True:
            self._look()
            if not poll.poll(0 if self._waiting else _LOOK_MS):
                self._read_some()
                continue
            chunk = os.read(self._out, 1 << 16)
            if not chunk:
                return
            self._take(chunk)

    def _look(self) -> None:
        """End it when it is time to."""
        now = time.monotonic()
        if now - self.began > self._bounds.seconds:
            self.end(f"after {format_duration(self._bounds.seconds)}")
        if self._interrupted_at:
            if now - self._interrupted_at > _END_S:
                self._running.close()
        elif self._end_at and (now - self._heard > _QUIET_S or now - self._end_at > _DRAIN_S):
            self._interrupted_at = now
            self._interrupt()

    def _interrupt(self) -> None:
        try:
            self._host.run(["sh", "-c", 'kill -INT "$1"', "labkit", str(self._running.pid)], timeout_s=_END_S)
        except LabError:  # the host may have ended, and tcpdump with it
            self._running.close()

    def _take(self, chunk: bytes) -> None:
        self._heard = time.monotonic()
        whole, packets = self._records.feed(chunk)
        if self.size + len(whole) > self._bounds.bytes:
            self.end(f"at its limit of {format_size(self._bounds.bytes)}")
            self._running.close()  # what else is on its way would not fit
            return
        if not self.size and self._file.seek(0, os.SEEK_END):
            self._file.truncate(0)  # not earlier: what was there is lost for good packets only
        self._file.write(whole)
        self.size += len(whole)
        self.packets += len(packets)
        self.bytes += sum(packet.length for packet in packets)
        self._waiting.extend(packets)
        if self._records.begun:
            self._begun.set()

    def _read_some(self) -> None:
        """Read some of the packets while no others come."""
        with self._lock:
            for _ in range(min(_AT_ONCE, len(self._waiting))):
                self._flows.add(self._waiting.popleft())

    def _finish(self) -> None:
        """Gather what it has left: its exit code, its words, why it has ended."""
        try:
            self._code = self._running.wait(_END_S)
        except (LabError, OSError):  # killed with the connection, or the host has ended
            self._why = self._why or "when its host ended"
        finally:
            self._running.close()
            self._said = _rest(self._err)
            self._close()
            self._file.close()
        if found := _DROPPED.search(self._said):
            self.dropped = int(found[1])
        with self._lock:
            self._read_all()
        self.ended = self._why_ended()
        self._begun.set()
        self._done.set()

    def _why_ended(self) -> str:
        if self._code is not None and self._code < 0 and not self._interrupted_at:
            return f"when tcpdump was killed (signal {-self._code})"
        if self._why:
            return self._why
        if self._code == 0:
            return f"after {self.packets} packets"
        return f"when tcpdump ended: {self._last_line() or f'exit code {self._code}'}"

    def _close(self) -> None:
        for descriptor in (self._out, self._err):
            os.close(descriptor)


def _rest(descriptor: int) -> str:
    """What can be read now from a pipe whose writers have ended."""
    os.set_blocking(descriptor, False)
    try:
        return os.read(descriptor, 1 << 16).decode(errors="replace")
    except BlockingIOError:
        return ""


def _unwritten(failure: OSError, path: Path) -> LabError:
    if failure.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(path.parent)
    return InvalidValue(f"{path} cannot be written: {failure.strerror}", hint="give the path of another file")


def _missing(host: str) -> PackageMissing:
    from ..hosts._checks import install

    return PackageMissing("tcpdump is not installed, which packets are captured by", hint=install(_PROGRAM), host=host)
