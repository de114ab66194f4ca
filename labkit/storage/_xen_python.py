"""Run in domain 0 as a file, ``_xen_python.py FOLDER``: Python without its start.

On an emulated processor Python takes seconds until a program's first line. This process has it in memory, with what
labkit's programs import. ``python3 -I -S …``, which is how labkit starts those on hosts, is a small script in domain
0 (`_xen_files`); it asks this process by its number for a child, which gets the script's arguments, environment,
folder and standard streams. The child ends with the script, and the script with the child, or with this process.
"""
# ruff: noqa: F401  what is not used here is for the children

import collections.abc
import contextlib
import ctypes
import errno
import fcntl
import json
import os
import select
import selectors
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import termios
import time
import traceback
import types
import typing

PIDFD_GETFD, PR_SET_PDEATHSIG = 438, 1
libc = ctypes.CDLL(None, use_errno=True)


class Job:
    """A child, and who asked for it."""

    def __init__(self, asker: int) -> None:
        self.reach, self.answer = os.pidfd_open(asker), 0
        self.child = os.fork()
        self.ends = os.pidfd_open(self.child) if self.child else -1

    def has_ended(self) -> None:
        """The asker learns whether that was well."""
        found = os.waitid(os.P_PIDFD, self.ends, os.WEXITED)
        self.answer = signal.SIGUSR2 if found is None or found.si_status else signal.SIGUSR1
        os.close(self.ends)
        self.ends = -1

    def tell(self) -> None:
        """Send the answer; one that comes just before the asker waits is lost, so it is sent until that has ended."""
        if self.answer and self.reach >= 0:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self.reach, self.answer)

    def is_left(self) -> None:
        """The asker has ended."""
        os.close(self.reach)
        self.reach = -1
        if self.ends >= 0:
            with contextlib.suppress(OSError):
                os.killpg(self.child, signal.SIGKILL)


def wait(folder: str) -> tuple[bytes, str]:
    """Answer for ever; in a child, what it is to be: the program and its name."""
    asked, _ = (os.open(f"{folder}/{name}", os.O_RDWR) for name in ("python", "python-runs"))
    jobs: list[Job] = []
    rest = b""
    while True:
        jobs = [job for job in jobs if job.reach >= 0 or job.ends >= 0]
        poll = select.poll()
        for descriptor in [asked, *(each for job in jobs for each in (job.reach, job.ends) if each >= 0)]:
            poll.register(descriptor, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(200 if any(job.answer for job in jobs) else None)}
        for job in jobs:
            if job.ends in ready:
                job.has_ended()
            if job.reach in ready:
                job.is_left()
            job.tell()
        if asked in ready:
            *lines, rest = (rest + os.read(asked, 4096)).split(b"\n")
            for asker in map(int, lines):
                with contextlib.suppress(ProcessLookupError):
                    job = Job(asker)
                    if not job.child:
                        return be(asker, job.reach)
                    jobs.append(job)


def be(asker: int, reach: int) -> tuple[bytes, str]:
    """Take over what is the asker's; returns the program that it wants, and the name of that."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.setsid()
    for ours, number in enumerate((3, 4, 2)):
        theirs = libc.syscall(PIDFD_GETFD, reach, number, 0)
        if theirs < 0:  # it has ended
            os._exit(1)
        os.dup2(theirs, ours)
    os.closerange(3, 256)
    with open(f"/proc/{asker}/environ", "rb") as file:
        pairs = [pair.partition(b"=") for pair in file.read().split(b"\0")[:-1]]
    os.environb.clear()
    os.environb.update({name: value for name, _, value in pairs})
    with open(f"/proc/{asker}/cmdline", "rb") as file:
        words = file.read().split(b"\0")[4:-1]  # after sh, the script, -I and -S
    os.chdir(f"/proc/{asker}/cwd")
    if words[0] == b"-c":
        sys.argv = ["-c", *map(os.fsdecode, words[2:])]
        return words[1], "<string>"
    sys.argv = [os.fsdecode(word) for word in words]
    with open(words[0], "rb") as file:
        return file.read(), sys.argv[0]


def compiled(path: str) -> dict[str, types.CodeType]:
    """Modules of labkit's that a program may begin with, by their texts; the file has those by their names."""
    try:
        with open(path) as file:
            texts = json.load(file)
    except FileNotFoundError:
        return {}
    return {text: compile(text, f"{name}.py", "exec", dont_inherit=True) for name, text in texts.items()}


if __name__ == "__main__":
    modules = compiled(f"{sys.argv[1]}/modules")
    program, name = wait(sys.argv[1])
    sys.modules["__main__"] = main = types.ModuleType("__main__")
    main.__dict__["COMPILED"] = modules
    exec(compile(program, name, "exec", dont_inherit=True), main.__dict__)  # noqa: S102  what it is for
