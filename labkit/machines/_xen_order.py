"""Run in domain 0 as a file, ``_xen_order.py DOMAIN``: has a domain that is not running yet find its disks last.

A guest resumes its devices in the order in which it has found them. Linux (seen with 6.1.192: ``evtchn_put`` in
hvc_xen.c) closes for each console that resumes the event channel that this had *before*, though by then a device that
has come back earlier may have that number: the disk, which never answers again. What is found last comes back last. A
guest finds devices in the order of their entries in the xenstore; so those of the disks are taken out and put in
again, in one transaction. Source of the protocol: https://xenbits.xen.org/docs/unstable/misc/xenstore.txt
"""

import socket
import struct
import sys

DIRECTORY, READ, GET_PERMS, START, END, WRITE, RM, SET_PERMS, ERROR = 1, 2, 3, 6, 7, 11, 13, 14, 16


def main(domain: str) -> None:
    """Move the entries of its disks to the end."""
    line = socket.socket(socket.AF_UNIX)
    line.connect("/run/xenstored/socket")
    stream = line.makefile("rwb")
    transaction = 0

    def ask(kind: int, *words: bytes, end: bytes = b"\0") -> bytes:
        data = b"\0".join(words) + end
        stream.write(struct.pack("<4I", kind, 0, transaction, len(data)) + data)
        stream.flush()
        answer, _, _, size = struct.unpack("<4I", stream.read(16))
        told: bytes = stream.read(size)
        if answer == ERROR:
            raise OSError(told.rstrip(b"\0").decode())
        return told

    def below(path: bytes) -> list[tuple[bytes, bytes, bytes]]:
        found = [(path, ask(READ, path), ask(GET_PERMS, path))]
        for name in ask(DIRECTORY, path).split(b"\0")[:-1]:
            found += below(path + b"/" + name)
        return found

    top = f"/local/domain/{domain}/device/vbd".encode()
    for tries in range(10):
        transaction = int(ask(START, b"").rstrip(b"\0"))
        entries = below(top)
        ask(RM, top)
        for path, value, allowed in entries:
            ask(WRITE, path, value, end=b"")
            ask(SET_PERMS, path, allowed, end=b"")
        try:
            ask(END, b"T")
            return
        except OSError as error:
            if str(error) != "EAGAIN" or tries == 9:
                raise
            transaction = 0


if __name__ == "__main__":
    main(sys.argv[1])
