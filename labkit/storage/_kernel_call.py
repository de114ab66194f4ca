"""A small program for the guest that sets the clock and seeds the kernel's random numbers anew.

Machines restored from one memory image would draw the same random numbers. Writing to
/dev/urandom does not change what is drawn next; two ioctls do, and no small program of Debian
makes both. A program in C would need a compiler wherever an image is built, so it is machine
code. Standard input: seconds (0 leaves the clock) and nanoseconds, 8 bytes each, big-endian, then
up to 512 bytes of seed (none leaves the random numbers)::

    n = read(0, p, 528) - 16                                less than 0: exit(1)
    if p.seconds: clock_settime(CLOCK_REALTIME, p)          an error: exit(1)
    if n:
        p[8:16] = 8 n, n                                    struct rand_pool_info begins at p + 8
        fd = open("/dev/urandom", O_WRONLY)
        ioctl(fd, RNDADDENTROPY, p + 8)                     an error: exit(1)
        ioctl(fd, RNDRESEEDCRNG)                            an error: exit(1)
    exit(0)

References
----------
random(4), clock_settime(2); System V Application Binary Interface, chapters 4 and 5.
"""

from __future__ import annotations

import struct

_BASE = 0x400000
_CODE = (
    bytes.fromhex(
        "488dac2400fcffff4889ee"  # lea rbp, [rsp-1024]; mov rsi, rbp
        "31ffba1002000031c00f05"  # xor edi, edi; mov edx, 528; xor eax, eax; syscall
        "83e8100f8c800000004189c4"  # sub eax, 16; jl bad; mov r12d, eax
        "488b45004885c07422"  # mov rax, [rbp]; test rax, rax; jz seed
        "480fc848894500"  # bswap rax; mov [rbp], rax
        "488b4508480fc848894508"  # mov rax, [rbp+8]; bswap rax; mov [rbp+8], rax
        "31ff4889eeb8e30000000f05"  # xor edi, edi; mov rsi, rbp; mov eax, SYS_clock_settime; syscall
        "85c07852"  # test eax, eax; js bad
        "4585e47449"  # seed: test r12d, r12d; jz good
        "4489650c41c1e40344896508"  # mov [rbp+12], r12d; shl r12d, 3; mov [rbp+8], r12d
        "488d3d46000000be01000000"  # lea rdi, [rip+path]; mov esi, O_WRONLY
        "b8020000000f05"  # mov eax, SYS_open; syscall
        "89c389c7be03520840488d5508"  # mov ebx, eax; mov edi, eax; mov esi, RNDADDENTROPY; lea rdx, [rbp+8]
        "b8100000000f05"  # mov eax, SYS_ioctl; syscall
        "85c0781689df"  # test eax, eax; js bad; mov edi, ebx
        "be07520000"  # mov esi, RNDRESEEDCRNG
        "b8100000000f05"  # mov eax, SYS_ioctl; syscall
        "85c07804"  # test eax, eax; js bad
        "31ffeb05"  # good: xor edi, edi; jmp end
        "bf01000000"  # bad: mov edi, 1
        "b83c0000000f05"  # end: mov eax, SYS_exit; syscall
    )
    + b"/dev/urandom\0"
)  # path


def program() -> bytes:
    """The program as a static ELF file for x86-64."""
    header, segment = 64, 56
    start, size = header + segment, header + segment + len(_CODE)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    elf = struct.pack("<16sHHIQQQIHHHHHH", ident, 2, 62, 1, _BASE + start, header, 0, 0,
                      header, segment, 1, 64, 0, 0)  # fmt: skip
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return elf + load + _CODE
