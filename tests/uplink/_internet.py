"""Plays the internet in a network namespace: a page, a resolver, and a record of every frame that comes in.

Run as ``unshare --net python _internet.py CONTROL``. It says ``apart`` when it is in its namespace,
waits for a line (the link ``in0`` is there now), and says ``up``. At the Unix socket CONTROL whoever
connects is told the frames that have come in since it was last asked, as JSON.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GATEWAY, MACHINE = "192.0.2.1", "192.0.2.2"
SERVER, RESOLVER = "203.0.113.80", "203.0.113.53"
MACS = ("02:00:00:00:00:02", "02:00:00:00:00:01")  # of the machine, of its gateway
NAME, PAGE = "page.example", b"a page from outside\n"
_OUTGOING = 4  # see packet(7)


def main() -> None:
    print("apart", flush=True)
    sys.stdin.readline()
    lines = [
        "link set lo up", *(f"addr add {address}/32 dev lo" for address in (SERVER, RESOLVER)),
        f"addr add {GATEWAY}/24 dev in0", "link set in0 up",
        f"neigh add {MACHINE} lladdr {MACS[0]} dev in0 nud permanent",
    ]  # fmt: skip
    with open("/proc/sys/net/ipv6/conf/all/disable_ipv6", "w") as file:
        file.write("1")
    frames: list[str] = []
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    wire.bind(("in0", 0))
    for work, what in ((record, (wire, frames)), (serve_pages, ()), (serve_names, ())):
        threading.Thread(target=work, args=what, daemon=True).start()
    control = socket.socket(socket.AF_UNIX)
    control.bind(sys.argv[1])
    os.chmod(sys.argv[1], 0o666)
    control.listen()
    print("up", flush=True)
    while True:
        asker, _ = control.accept()
        with asker:
            asker.sendall(json.dumps(frames).encode())
            frames.clear()


def record(wire: socket.socket, frames: list[str]) -> None:
    while True:
        data, (_, _, kind, *_) = wire.recvfrom(65535)
        if kind != _OUTGOING:
            frames.append(describe(data))


def describe(frame: bytes) -> str:
    """A frame in words, such as ``17 192.0.2.2:4711 > 203.0.113.53:53``."""
    kind = struct.unpack("!H", frame[12:14])[0]
    if kind == 0x0806:
        return f"arp who has {socket.inet_ntoa(frame[38:42])}"
    if kind != 0x0800:
        return f"ethertype {kind:#06x}"
    packet = frame[14:]
    protocol, source, target = packet[9], socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
    if protocol not in (6, 17):
        return f"{protocol} {source} > {target}"
    ports = struct.unpack("!HH", packet[(packet[0] & 15) * 4 :][:4])
    return f"{protocol} {source}:{ports[0]} > {target}:{ports[1]}"


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        size = int(self.path[1:] or 0)
        body = bytes(size) if size else PAGE
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def serve_pages() -> None:
    ThreadingHTTPServer((SERVER, 80), Page).serve_forever()


def serve_names(address: str = RESOLVER) -> None:
    """Know one name, and of every other that there is none."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 53))
    while True:
        question, asker = server.recvfrom(4096)
        end = question.index(0, 12) + 5
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1 : at + 1 + question[at]].decode())
            at += question[at] + 1
        known = ".".join(labels) == NAME
        wanted = known and question[end - 4 : end - 2] == b"\0\1"
        answer = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton(SERVER) if wanted else b""
        flags = 0x8180 if known else 0x8183
        header = question[:2] + struct.pack("!HHHHH", flags, 1, 1 if wanted else 0, 0, 0)
        server.sendto(header + question[12:end] + answer, asker)


if __name__ == "__main__":
    main()
