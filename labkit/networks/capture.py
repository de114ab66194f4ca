"""Packets of a network: captured by tcpdump on one of its hosts, told as a table of flows.

Opened by Wireshark and by ``tcpdump -r``: the file is what tcpdump has written.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from .._paths import disk_room
from .._progress import Work, check_cancelled, progress
from .._values import format_count, format_size, parse_duration, parse_size
from ..errors import Cancelled, DeadlineExceeded, InvalidState, InvalidValue, LabError
from ._packets import Flow
from ._tcpdump import Bounds, Tcpdump

if TYPE_CHECKING:
    from ..hosts.base import Host

LONGEST_S = 3600.0
MOST_PACKETS = 10_000
LARGEST = "64 MiB"
_SNAPSHOT_BYTES = 65_535
_TELL_S = 0.25


class Capture:
    """Packets of a network; made by ``network.capture()``.

    While it runs everything below tells of what has come so far. It ends with the ``with`` block,
    by `stop`, at its limits, or with this process; what was captured stays.

    Attributes
    ----------
    network, host
        The names of the network, and of the host on whose bridge it listens.
    filter
        Which packets it takes; "" for all.
    pcap
        The file with the packets.
    """

    def __init__(self, network: str, host: Host, words: str, pcap: Path, tcpdump: Tcpdump) -> None:
        self.network = network
        self.host = host.name
        self.filter = words
        self.pcap = pcap
        self._tcpdump = tcpdump
        self._ended_at = 0.0

    @property
    def is_running(self) -> bool:
        """Whether it goes on."""
        return not self._tcpdump.ended

    @property
    def ended(self) -> str:
        """When or why it has ended, in words; "" while it runs."""
        return self._tcpdump.ended

    @property
    def packets(self) -> int:
        """How many packets have come."""
        return self._tcpdump.packets

    @property
    def bytes(self) -> int:
        """How long they were on the wire, all together."""
        return self._tcpdump.bytes

    @property
    def dropped(self) -> int | None:
        """Packets that came too fast; None if that is not known, such as while it runs."""
        return self._tcpdump.dropped

    @property
    def flows(self) -> tuple[Flow, ...]:
        """What went from whom to whom: conversations with most bytes first, in each the way first that began it."""
        return self._tcpdump.flows()

    def __iter__(self) -> Iterator[Flow]:
        return iter(self.flows)

    def stop(self) -> Self:
        """End it, unless it has ended; everything that has come by now is in it."""
        self._tcpdump.end("when it was stopped")
        if not self._tcpdump.wait(30):
            raise DeadlineExceeded("tcpdump does not end", host=self.host, hint="end the lab, which ends it, too")
        return self

    def wait(self, timeout_s: float | str | None = None) -> Self:
        """Wait until it has ended at one of its limits.

        Raises
        ------
        DeadlineExceeded
            If it goes on after so many seconds.
        """
        deadline = time.monotonic() + (LONGEST_S * 24 if timeout_s is None else parse_duration(timeout_s, "time limit"))
        while not self._tcpdump.wait(min(_TELL_S, max(0.0, deadline - time.monotonic()))):
            check_cancelled()
            if time.monotonic() >= deadline:
                raise DeadlineExceeded(f"the capture on {self.network} goes on", hint="stop() ends it", host=self.host)
        return self

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Copy the file with the packets to `path`, which outlives the lab; returns it."""
        target = Path(path).absolute()
        try:
            with disk_room(target.parent):
                shutil.copyfile(self.pcap, target)
        except OSError as error:
            if isinstance(error, LabError):
                raise
            gone = f"{self.pcap} is gone, with its lab?" if not self.pcap.exists() else f"{target}: {error.strerror}"
            raise InvalidValue(f"the packets cannot be copied: {gone}", hint="give the path of a file") from error
        return target

    def __enter__(self) -> Self:
        if not self.is_running:
            raise InvalidState(
                f"the capture on {self.network} has ended already, {self.ended}", host=self.host,
                hint="for a with block leave out seconds: it goes on until the block ends",
            )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def summary(self) -> str:
        """What it is, in one sentence."""
        how = f"ended {self.ended}" if self.ended else "goes on"
        filtered = f", filter {self.filter!a}" if self.filter else ""
        lost = f"; {self.dropped} came too fast and are lost" if self.dropped else ""
        return f"{count_words(self)} on {self.network} (host {self.host}{filtered}): {how}{lost}"

    def __repr__(self) -> str:
        return f"<Capture: {self.summary}>"

    def __str__(self) -> str:
        from .._html_capture import text

        return text(self)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        from .._html_capture import bundle

        return bundle(self)


def count_words(capture: Capture) -> str:
    """Such as ``123 packets, 45 KiB``."""
    return f"{format_count(capture.packets, 'packet')}, {format_size(capture.bytes)}"


def capture(
    network: str, bridge: str, host: Host, seconds: float | str | None, packets: int, words: str,
    file: str | os.PathLike[str] | None, size: int | str, snapshot_bytes: int,
) -> Capture:  # fmt: skip
    """Start a capture on `bridge` of `host`; if `seconds` are given, wait for its end. See `Network.capture`."""
    limit_s = LONGEST_S if seconds is None else parse_duration(seconds, "duration")
    _check_count(packets, "number of packets", 1 << 31)
    _check_count(snapshot_bytes, "number of bytes of a packet", 262_144)
    bounds = Bounds(limit_s, packets, parse_size(size, "size of a file"), snapshot_bytes)
    _check_words(words)
    pcap, opened, is_new = _open(network, host, file)
    try:
        made = Capture(network, host, words, pcap, Tcpdump(host, bridge, words, bounds, opened))
    except BaseException:
        opened.close()
        if is_new:
            pcap.unlink(missing_ok=True)
        raise
    if seconds is not None:
        _watch(made, limit_s)
    return made


def _check_count(count: object, what: str, most: int) -> None:
    if isinstance(count, bool) or not isinstance(count, int) or not 0 < count < most:
        raise InvalidValue(f"{ascii(count)[:40]} is not a {what}", hint=f"give a whole number from 1 to {most - 1}")


def _check_words(words: object) -> None:
    if not isinstance(words, str) or "\0" in words or len(words) > 4000:
        raise InvalidValue(f"{ascii(words)[:60]} is not a filter", hint='give words such as "icmp" or "tcp port 80"')


def _open(network: str, host: Host, file: str | os.PathLike[str] | None) -> tuple[Path, IO[bytes], bool]:
    """The file for the packets, and whether it is new: the one asked for, or the next free one in the lab's folder."""
    if file is not None:
        path = Path(file).absolute()
        try:
            is_new = not path.exists()
            return path, path.open("ab", buffering=0), is_new
        except OSError as error:
            raise InvalidValue(f"{path} cannot be written: {error.strerror}", hint="give the path of a file") from error
    folder = host.lab.folder / "captures"
    with disk_room(folder):
        folder.mkdir(mode=0o700, exist_ok=True)
        number = 1
        while True:
            path = folder / f"{network}-{number}.pcap"
            try:
                return path, path.open("xb", buffering=0), True
            except FileExistsError:
                number += 1


def _watch(capture: Capture, limit_s: float) -> None:
    """Show what comes until it ends; if somebody cancels it, it ends with what there is."""
    began = time.monotonic()
    alone = True
    try:
        with progress(f"capture on {capture.network}", quiet_s=1.0) as task:
            alone = isinstance(task, Work)
            task.phase("listening")
            while not capture._tcpdump.wait(_TELL_S):  # noqa: SLF001 - its other half
                task.detail(count_words(capture), min(1.0, (time.monotonic() - began) / limit_s))
    except Cancelled:
        capture._tcpdump.end("when it was cancelled")  # noqa: SLF001
        capture.stop()
        if not alone:  # what it is a part of was cancelled
            raise
    except BaseException:
        capture.stop()
        raise
