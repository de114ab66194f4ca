"""Tells a network where a machine is now: frames that switches learn its place from.

It is run as a file in a machine's network namespace (``python -I -S _greeting.py MAC ADDRESS …``) and
stands alone. Each card sends an ARP announcement (RFC 5227), as QEMU does for a machine that has moved.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import sys

_GET_MAC = 0x8927  # SIOCGIFHWADDR, see netdevice(7)
_EVERYBODY = b"\xff" * 6
_ARP = 0x0806


def announcement(mac: bytes, address: str) -> bytes:
    """The frame by which who has `address` says so."""
    where = socket.inet_aton(address)
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + mac + where + bytes(6) + where
    return _EVERYBODY + mac + struct.pack("!H", _ARP) + body


def main(words: list[str]) -> None:
    """Announce each of the pairs of MAC and address on the card with that MAC."""
    wanted = dict(zip(words[::2], words[1::2], strict=True))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in socket.if_nameindex():
            told = fcntl.ioctl(asked, _GET_MAC, struct.pack("256s", name.encode()))
            mac = told[18:24]
            if address := wanted.get(mac.hex(":")):
                with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
                    wire.bind((name, 0))
                    wire.send(announcement(mac, address))


if __name__ == "__main__":
    main(sys.argv[1:])
