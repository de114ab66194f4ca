"""What the programs that run in the world of _outside.py share."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from _internet import SERVER

from labkit.testing import take_stock

TRY_S, PATIENT_S = 4, 30


def frames() -> list[str]:
    """Every frame that has come out of the machine since this was last asked, ARP included."""
    told, data = socket.socket(socket.AF_UNIX), b""
    with told:
        told.connect(os.environ["OUTSIDE"])
        while more := told.recv(1 << 16):
            data += more
    found: list[str] = json.loads(data)
    return found


def frames_until_now() -> list[str]:
    """The same, once a packet of the machine's own has come through: nothing from before is on its way still."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as marker:
        marker.sendto(b"now", (SERVER, 9))
        port = marker.getsockname()[1]
    seen: list[str] = []
    deadline = time.monotonic() + 20
    while not any(frame.endswith(f":{port} > {SERVER}:9") for frame in seen):
        assert time.monotonic() < deadline, seen
        time.sleep(0.01)
        seen += frames()
    return [frame for frame in seen if not frame.endswith(f"{SERVER}:9")]


def until(true: Callable[[], object], what: str, timeout_s: float = 30) -> float:
    """Wait until `true()` holds; the seconds it took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < timeout_s, f"within {timeout_s:g} s it did not come true that {what}"
        time.sleep(0.01)
    return time.monotonic() - began


def keepers(lab: str) -> dict[str, int]:
    """The processes outside of a lab that keep its way out open: ``{"pasta": pid, "supervisor": pid}``."""
    found = {}
    for entry in take_stock(lab).processes:
        pid, _, command = entry.partition(" ")
        if command.split()[0].endswith("/pasta"):
            found["pasta"] = int(pid)
        elif "_pasta.py" in command:
            found["supervisor"] = int(pid)
    return found


_FETCH = """
import sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
print(opener.open(f"http://{sys.argv[1]}:{sys.argv[2]}/", timeout=20).read().decode())
"""


def fetch(address: str, port: int = 80) -> list[str]:
    """The command by which the machine itself, or a host, fetches a page."""
    return ["/usr/bin/python3", "-I", "-S", "-c", _FETCH, address, str(port)]


def wget(address: str, port: int = 80, timeout_s: int = TRY_S) -> list[str]:
    """The command by which a guest fetches a page."""
    return ["timeout", str(timeout_s), "wget", "-q", "-O", "-", f"http://{address}:{port}/"]


def lookup(name: str, timeout_s: int = 2 * TRY_S) -> list[str]:
    """The command by which a guest asks its resolver for an address."""
    return ["timeout", str(timeout_s), "nslookup", name]


def said(argv: list[str]) -> str:
    """What a command of the machine itself writes."""
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60).stdout


def serve(address: str) -> int:
    """Serve a page on the machine itself; its port."""
    from http.server import ThreadingHTTPServer

    from _internet import Page

    server = ThreadingHTTPServer((address, 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_port)
