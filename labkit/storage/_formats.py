"""The three binary formats that an image is made of: ELF files, kernel modules, cpio archives."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_DYNAMIC, _NEEDED, _STRTAB, _LOAD = 2, 1, 5, 1


def needed_libraries(binary: bytes) -> list[str]:
    """The names of the shared libraries that a 64-bit ELF file asks for; none if it is static.

    References
    ----------
    System V Application Binary Interface, chapter 5, "Program Loading and Dynamic Linking".
    """
    if binary[:5] != b"\x7fELF\x02":
        return []
    (offset,) = struct.unpack_from("<Q", binary, 32)
    size, count = struct.unpack_from("<HH", binary, 54)
    headers = [struct.unpack_from("<IIQQQQ", binary, offset + i * size) for i in range(count)]
    loads = [(head[3], head[2], head[5]) for head in headers if head[0] == _LOAD]
    for kind, _, start, _, _, length in headers:
        if kind == _DYNAMIC:
            pairs = list(struct.iter_unpack("<QQ", binary[start : start + length]))
            return list(_strings(binary, pairs, loads))
    return []


def _strings(binary: bytes, pairs: Sequence[tuple[int, ...]], loads: Sequence[tuple[int, int, int]]) -> Iterator[str]:
    table = next(value for tag, value in pairs if tag == _STRTAB)
    base = next(table - at + start for at, start, size in loads if at <= table < at + size)
    for tag, value in pairs:
        if tag == _NEEDED:
            begin = base + value
            yield binary[begin : binary.index(b"\0", begin)].decode("ascii")


def module_name(path: Path) -> str:
    """The kernel's name of the module in `path`: ``virtio-rng.ko`` is ``virtio_rng``."""
    return path.name.partition(".")[0].replace("-", "_")


def module_order(wanted: Sequence[str], modules: Mapping[str, Path]) -> dict[str, list[str]]:
    """Each wanted module and all that they need, in an order in which they can be loaded.

    Parameters
    ----------
    wanted
        Names as `module_name` gives them.
    modules
        The file of each module there is.

    Returns
    -------
    dict
        For each module, the names of all modules that must be loaded before it.
    """
    order: dict[str, list[str]] = {}

    def visit(name: str) -> None:
        if name in order:
            return
        found = re.search(rb"\0depends=([^\0]*)\0", modules[name].read_bytes())
        direct = found[1].decode("ascii").replace("-", "_").split(",") if found and found[1] else []
        before: dict[str, None] = {}
        for other in direct:
            visit(other)
            before.update(dict.fromkeys([*order[other], other]))
        order[name] = list(before)

    for name in wanted:
        visit(name)
    return order


def applet_names(busybox: bytes) -> list[str]:
    """The names of the programs inside a busybox, read from its table."""
    found = re.search(rb"\0(\[\0\[\[\0(?:[a-z0-9_-]+\0)+)", busybox)
    return [name.decode("ascii") for name in found[1].split(b"\0") if name] if found else []


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a cpio archive: a folder, a file, a link or a device."""

    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def cpio(entries: Sequence[Entry]) -> bytes:
    """An archive in the ``newc`` format, as the kernel takes it for an initrd.

    References
    ----------
    Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
    """
    parts = []
    for inode, entry in enumerate([*entries, Entry("TRAILER!!!", 0)], start=1):
        name = entry.name.encode() + b"\0"
        fields = (inode, entry.mode, 0, 0, 1, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
        head = b"070701" + b"".join(b"%08X" % field for field in fields)
        parts += [_padded(head + name), _padded(entry.data)]
    return b"".join(parts)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
