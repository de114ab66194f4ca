"""A client that asks a machine for an echo every few milliseconds, and notes when each answer came.

On a slow host it asks less often: it is to watch the machine, not to have its processor.

It is run as a file on a host (``python -I -S _pinger.py ADDRESS INTERVAL_MS SECONDS``) and stands alone.
Numbered echo requests (ICMP) are answered by the machine's kernel: nothing need be set up in it.
It writes a line each 50 ms: JSON, ``[[number, sent, answered], …]`` for each answer that came since,
seconds on the monotonic clock; at its end ``{"sent": count, "until": when the last was sent}``. A line on its
standard input, or the end of that, ends it after the last answers' time to come.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
import sys
import time

ECHO_REQUEST, ECHO_REPLY = 8, 0
_TELL_S = 0.05
_GRACE_S = 0.5  # so long an answer may take
_LOOK_S = 0.005
_REST = 4  # so many times what a request and its answer took of the processor it waits until the next


def checksum(data: bytes) -> int:
    """The Internet checksum of `data` (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def request(ident: int, number: int) -> bytes:
    """An echo request (RFC 792); `number` is carried whole in its data, and its low 16 bits as sequence."""
    data = struct.pack("!Q", number)
    head = struct.pack("!BBHHH", ECHO_REQUEST, 0, 0, ident, number & 0xFFFF)
    return struct.pack("!BBHHH", ECHO_REQUEST, 0, checksum(head + data), ident, number & 0xFFFF) + data


def answered(packet: bytes, ident: int) -> int | None:
    """The number of the request that an IPv4 packet answers, if it answers one of ours."""
    body = packet[(packet[0] & 15) * 4 :]
    if len(body) < 16:
        return None
    kind, _, _, owner, _ = struct.unpack("!BBHHH", body[:8])
    number: int = struct.unpack("!Q", body[8:16])[0]
    return number if kind == ECHO_REPLY and owner == ident else None


def main(address: str, interval_s: float, longest_s: float) -> None:
    """Ask until told to end, or `longest_s` have passed."""
    wire = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    wire.setblocking(False)
    ident = os.getpid() & 0xFFFF
    sent: dict[int, float] = {}
    answers: list[tuple[int, float, float]] = []
    number, began = 0, time.monotonic()
    asked_at, used = began, time.process_time()
    next_at, tell_at, end_at = began, began + _TELL_S, began + longest_s
    ending = False
    while True:
        now = time.monotonic()
        if now >= end_at or (ending and all(asked < now - _GRACE_S for asked in sent.values())):
            break
        if not ending and now >= next_at:
            sent[number] = asked_at = now
            with contextlib.suppress(OSError):  # no way there just now: it counts as lost
                wire.sendto(request(ident, number), (address, 0))
            number += 1
            used, before = time.process_time(), used
            next_at = max(next_at + max(interval_s, _REST * (used - before)), now)  # after a pause of our own: no burst
        if now >= tell_at:
            tell_at = now + _TELL_S
            if answers:
                print(json.dumps(answers), flush=True)
                answers = []
        until = min(tell_at, end_at, now + _LOOK_S if ending else next_at)
        heard = [wire.fileno()] if ending else [wire.fileno(), 0]
        ready, _, _ = select.select(heard, [], [], max(0.0, until - time.monotonic()))
        if wire.fileno() in ready:
            came = time.monotonic()
            try:
                found = answered(wire.recv(2048), ident)
            except OSError:
                found = None
            if found in sent:
                answers.append((found, sent.pop(found), came))
        if 0 in ready:
            ending, end_at = True, min(end_at, time.monotonic() + _GRACE_S)
    if answers:
        print(json.dumps(answers), flush=True)
    print(json.dumps({"sent": number, "until": asked_at}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]) / 1000, float(sys.argv[3]))
