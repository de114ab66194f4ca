"""Messages and streams over one pair of pipes: what a supervisor and the program on its server share.

The server gets the text of this file and of `_far` over ssh, so both use the standard library only,
and of it what Python 3.8 has. A frame is a number, a length, and that many bytes. Number 0 is a
message in JSON; every other number is a stream in one direction, of which the receiving end has
asked for so many bytes (``more``): one that nobody reads holds up no other.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import selectors
import socket
import stat
import struct
from collections.abc import Callable
from typing import Any

HEAD = struct.Struct("!II")
MESSAGE = 0
WINDOW = 1 << 20
PIECE = 1 << 16
_READ = 1 << 18
# Of what cannot be made non-blocking, a write of this size does not wait once it may be written to.
_SURE = 4096

Watcher = Callable[[int], None]


def can_be_watched(descriptor: int) -> bool:
    """Whether a descriptor tells when it is ready: files and /dev/null do not."""
    with selectors.EpollSelector() as probe:
        try:
            probe.register(descriptor, selectors.EVENT_READ)
        except (PermissionError, ValueError):
            return False
    return True


def own_description(descriptor: int, flags: int) -> tuple[int, bool]:
    """A copy of `descriptor`, and whether it never waits.

    A pipe is opened anew, for what is set on it would be set for who has handed it over, too.
    """
    with contextlib.suppress(OSError):
        if os.readlink(f"/proc/self/fd/{descriptor}").startswith("pipe:"):
            return os.open(f"/proc/self/fd/{descriptor}", flags | os.O_NONBLOCK | os.O_CLOEXEC), True
    return os.dup(descriptor), not os.get_blocking(descriptor)


class Watch:
    """A descriptor of a selector, which calls `act` for it while that is wanted."""

    def __init__(self, selector: selectors.BaseSelector, descriptor: int, events: int, act: Watcher) -> None:
        self._selector, self._descriptor, self._events, self._act = selector, descriptor, events, act
        self._on = False

    def set(self, wanted: bool) -> None:
        """Begin to watch, or stop."""
        if wanted and not self._on:
            self._selector.register(self._descriptor, self._events, self._act)
        elif self._on and not wanted:
            self._selector.unregister(self._descriptor)
        self._on = wanted


class Wire:
    """One end of the wire.

    Parameters
    ----------
    selector
        Of the loop that calls back.
    source, sink
        Two descriptors, which become its own; never the same number.
    heard
        Called with each message.
    lost
        Called once, when the other end has closed the wire or spoken nonsense.
    """

    def __init__(
        self, selector: selectors.BaseSelector, source: int, sink: int,
        heard: Callable[[dict[str, Any]], None], lost: Callable[[], None],
    ) -> None:  # fmt: skip
        self.selector = selector
        self.inflows: dict[int, Inflow] = {}
        self.outflows: dict[int, Outflow] = {}
        self.closed = False
        self._source, self._sink = source, sink
        self._heard, self._lost = heard, lost
        self._in, self._out = bytearray(), bytearray()
        for descriptor in (source, sink):
            os.set_blocking(descriptor, False)
        self._reading = Watch(selector, source, selectors.EVENT_READ, self._read)
        self._writing = Watch(selector, sink, selectors.EVENT_WRITE, self._write)
        self._reading.set(True)

    def tell(self, op: str, **fields: Any) -> None:
        """Send a message."""
        self.send(MESSAGE, json.dumps({"op": op, **fields}).encode())

    def send(self, number: int, data: bytes) -> None:
        """Send a frame."""
        if not self.closed:
            self._out += HEAD.pack(number, len(data)) + data
            self._write(0)

    def _write(self, _: int) -> None:
        while self._out and not self.closed:
            try:
                del self._out[: os.write(self._sink, bytes(self._out[:_READ]))]
            except BlockingIOError:
                break
            except OSError:  # noticed when it is read
                self._out.clear()
        if not self.closed:
            self._writing.set(bool(self._out))

    def _read(self, _: int) -> None:
        if self.closed:
            return
        try:
            data = os.read(self._source, _READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            self._lost()
            return
        self._in += data
        self._frames()

    def _frames(self) -> None:
        at = 0
        while len(self._in) - at >= HEAD.size and not self.closed:
            number, length = HEAD.unpack_from(self._in, at)
            if len(self._in) - at - HEAD.size < length:
                break
            at += HEAD.size
            self._frame(number, bytes(self._in[at : at + length]))
            at += length
        del self._in[:at]

    def _frame(self, number: int, data: bytes) -> None:
        if number != MESSAGE:
            if number in self.inflows:
                self.inflows[number].take(data)
            return
        message = json.loads(data)
        stream = message.get("stream", 0)
        if message["op"] == "more":
            if stream in self.outflows:
                self.outflows[stream].more(message["bytes"])
        elif message["op"] == "stop":
            if stream in self.outflows:
                self.outflows[stream].stop()
        elif message["op"] == "end":
            if stream in self.inflows:
                self.inflows[stream].finish()
        else:
            self._heard(message)

    def close(self) -> None:
        """Close it and all its streams."""
        if self.closed:
            return
        self._reading.set(False)
        self._writing.set(False)
        self.closed = True
        for inflow in self.inflows.values():
            inflow.close()
        for outflow in self.outflows.values():
            outflow.close()
        for descriptor in (self._source, self._sink):
            os.close(descriptor)


class Outflow:
    """Bytes from a descriptor to the other end, as many as that has asked for.

    Parameters
    ----------
    number
        Of the stream.
    descriptor
        Copied; what is read from is the copy.
    done
        Called once nothing more is sent.
    """

    def __init__(self, wire: Wire, number: int, descriptor: int, done: Callable[[], None] = lambda: None) -> None:
        self.drained = False
        self._wire, self._number, self._done = wire, number, done
        self._descriptor, self._never_waits = own_description(descriptor, os.O_RDONLY)
        self._asked = WINDOW
        self._last = self._ended = False
        self._watch = Watch(wire.selector, self._descriptor, selectors.EVENT_READ, self.pump)
        self._watchable = can_be_watched(self._descriptor)
        wire.outflows[number] = self
        if self._watchable:
            self._watch.set(True)
        else:
            self.pump(0)

    def more(self, count: int) -> None:
        """The other end has room for `count` more bytes."""
        self._asked += count
        self.pump(0)

    def drain(self) -> None:
        """What is to be sent is there already: send it, wait for no more, but go on if there is."""
        self._last = True
        self.pump(0)

    def pump(self, event: int) -> None:
        """Send what there is."""
        while self._asked > 0 and not self._ended:
            if not event and not self._never_waits and self._watchable:
                break  # it says when it can be read
            try:
                data = os.read(self._descriptor, min(self._asked, PIECE))
            except BlockingIOError:
                self._note_drained()
                break
            except OSError:  # a terminal whose other end is closed
                data = b""
            event = 0
            if not data:
                self.cut()
                return
            self._asked -= len(data)
            self._wire.send(self._number, data)
        if not self._ended and self._watchable:
            self._watch.set(self._asked > 0)

    def _note_drained(self) -> None:
        if self._last and not self.drained:
            self.drained = True
            self._done()

    def cut(self) -> None:
        """Send nothing more, and say so."""
        if not self._ended:
            self._wire.tell("end", stream=self._number)
        self.stop()

    def stop(self) -> None:
        """Send nothing more, and let go of the descriptor."""
        if self._ended:
            return
        self.close()
        self._wire.outflows.pop(self._number, None)
        told, self.drained = self.drained, True
        if not told:
            self._done()

    def close(self) -> None:
        """Let go of the descriptor."""
        if not self._ended:
            self._ended = True
            self._watch.set(False)
            os.close(self._descriptor)


class Inflow:
    """Bytes from the other end into a descriptor, a copy of which it keeps until the stream ends."""

    def __init__(self, wire: Wire, number: int, descriptor: int) -> None:
        self._wire, self._number = wire, number
        self._descriptor, self._never_waits = own_description(descriptor, os.O_WRONLY)
        self._data = bytearray()
        self._written = 0
        self._at_end = self._ended = False
        self._watch = Watch(wire.selector, self._descriptor, selectors.EVENT_WRITE, self._flush)
        self._watchable = can_be_watched(self._descriptor)
        self._piece = PIECE if self._never_waits or not self._watchable else _SURE
        wire.inflows[number] = self

    def take(self, data: bytes) -> None:
        """Write `data`, at once or when there is room."""
        if not self._ended:
            self._data += data
            self._flush(0)

    def finish(self) -> None:
        """After what was taken nothing more comes."""
        self._at_end = True
        self._flush(0)

    def _flush(self, event: int) -> None:
        while self._data and not self._ended:
            if not event and not self._never_waits and self._watchable:
                break
            try:
                written = os.write(self._descriptor, bytes(self._data[: self._piece]))
            except BlockingIOError:
                break
            except OSError as error:
                self._refuse(error)
                return
            event = 0
            del self._data[:written]
            self._written += written
        if self._ended:
            return
        if self._at_end and not self._data:
            self.stop()
            return
        self._watch.set(bool(self._data) and self._watchable)
        if self._written >= WINDOW // 4:
            self._wire.tell("more", stream=self._number, bytes=self._written)
            self._written = 0

    def _refuse(self, error: OSError) -> None:
        """Nobody reads any more, or there is no room: whoever writes at the other end is to see it."""
        self._wire.tell("stop", stream=self._number, full=error.errno == errno.ENOSPC)
        self.stop()

    def stop(self) -> None:
        """Write nothing more, and let go of the descriptor."""
        if not self._ended and stat.S_ISSOCK(os.fstat(self._descriptor).st_mode):
            # It may still be read from: closing one descriptor of it says nothing to the peer.
            with socket.socket(fileno=os.dup(self._descriptor)) as peer, contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_WR)
        self.close()
        self._wire.inflows.pop(self._number, None)

    def close(self) -> None:
        """Let go of the descriptor."""
        if not self._ended:
            self._ended = True
            self._watch.set(False)
            os.close(self._descriptor)
