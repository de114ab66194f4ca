"""A 245-byte program for the guest that seeds the kernel's random numbers anew.

Machines restored from one memory image would draw the same random numbers. Writing to
/dev/urandom does not change what is drawn next; two ioctls do, and no small program of Debian
makes both. A program in C would need a compiler wherever an image is built, so it is machine code::

    rbp = rsp - 1024                        struct rand_pool_info { int bits, bytes; char data[]; }
    n = read(0, rbp + 8, 512)               no bytes: exit(1)
    bytes = n; bits = 8 n
    fd = open("/dev/urandom", O_WRONLY)
    ioctl(fd, RNDADDENTROPY, rbp)           an error: exit(1)
    ioctl(fd, RNDRESEEDCRNG)                an error: exit(1)
    exit(0)

References
----------
random(4); System V Application Binary Interface, chapters 4 and 5.
"""

from __future__ import annotations

import struct

_BASE = 0x400000
_CODE = bytes.fromhex(
    "488dac2400fcffff488d7508"  # lea rbp, [rsp-1024]; lea rsi, [rbp+8]
    "31ffba0002000031c00f05"  # xor edi, edi; mov edx, 512; xor eax, eax; syscall
    "85c07e49"  # test eax, eax; jle bad
    "894504c1e003894500"  # mov [rbp+4], eax; shl eax, 3; mov [rbp], eax
    "488d3d45000000be01000000"  # lea rdi, [rip+path]; mov esi, O_WRONLY
    "b8020000000f05"  # mov eax, SYS_open; syscall
    "89c389c7"  # mov ebx, eax; mov edi, eax
    "be035208404889ea"  # mov esi, RNDADDENTROPY; mov rdx, rbp
    "b8100000000f05"  # mov eax, SYS_ioctl; syscall
    "85c0781689df"  # test eax, eax; js bad; mov edi, ebx
    "be07520000"  # mov esi, RNDRESEEDCRNG
    "b8100000000f05"  # mov eax, SYS_ioctl; syscall
    "85c0780431ffeb05"  # test eax, eax; js bad; xor edi, edi; jmp end
    "bf01000000"  # bad: mov edi, 1
    "b83c0000000f05"  # end: mov eax, SYS_exit; syscall
) + b"/dev/urandom\0"  # path


def program() -> bytes:
    """The program as a static ELF file for x86-64."""
    header, segment = 64, 56
    start, size = header + segment, header + segment + len(_CODE)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    elf = struct.pack("<16sHHIQQQIHHHHHH", ident, 2, 62, 1, _BASE + start, header, 0, 0,
                      header, segment, 1, 64, 0, 0)  # fmt: skip
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return elf + load + _CODE
