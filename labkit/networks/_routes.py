"""The ranges that the machine itself is connected to."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import struct
from pathlib import Path


def of_this_machine(table: Path = Path("/proc/self/net/route")) -> list[ipaddress.IPv4Network]:
    """The ranges that this machine has routes to, but the default; see proc_pid_net(5)."""
    found = []
    with contextlib.suppress(OSError):
        for line in table.read_text().splitlines()[1:]:
            words = line.split()
            address, mask = (socket.inet_ntoa(struct.pack("=I", int(words[index], 16))) for index in (1, 7))
            network = ipaddress.IPv4Network(f"{address}/{mask}")
            if network.prefixlen:
                found.append(network)
    return found
