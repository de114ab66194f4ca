"""Processes, daemons and folders on a server; see `_far`, with which it goes there over ssh."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import subprocess
import time
from typing import Any

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_END_S = 5.0
AT_THE_END = "at-the-end"  # the host's folder of commands, see `Host.when_leaving`


class Refused(Exception):
    """A request that cannot be met; the text goes to the client."""


def start(argv: list[str], fds: list[int], env: dict[str, str], cwd: str) -> int:
    """Start `argv` in a session of its own with `fds` as its standard streams."""
    home = pwd.getpwuid(os.geteuid()).pw_dir
    words = {"PATH": PATH, "HOME": home, "LANG": "C.UTF-8", **env}
    try:
        child = subprocess.Popen(
            argv, stdin=fds[0], stdout=fds[1], stderr=fds[2], env=words, cwd=cwd, start_new_session=True
        )
    except (OSError, ValueError) as error:
        what = cwd if getattr(error, "filename", "") == cwd else argv[0]
        raise Refused(f"{what}: {getattr(error, 'strerror', None) or error}") from error
    child.returncode = 0  # it is waited for elsewhere
    return child.pid


def exit_code(status: int) -> int:
    """As `os.waitstatus_to_exitcode`, which came with Python 3.9."""
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def began(pid: int) -> str:
    """When a process began, in ticks since the system did; "" if it has ended."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def read_daemon(note: str) -> dict[str, Any] | None:
    """What is known of a daemon; who waited for it may have been killed, too."""
    try:
        with open(note) as file:
            known: dict[str, Any] = json.loads(file.read())
    except OSError:
        return None
    if known["exit"] is None and began(known["pid"]) != known["began"]:
        known["exit"] = -signal.SIGKILL
        with contextlib.suppress(OSError, ValueError), open(note) as file:  # just being written
            known["exit"] = json.loads(file.read())["exit"] or known["exit"]
    return known


def keep_daemon(note: str, argv: list[str], log: str, env: dict[str, str], tell: int) -> None:
    """In a process of its own: start a daemon, tell so, wait for it, and note how it ended."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        null = os.open(os.devnull, os.O_RDWR)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        pid = start(argv, [null, out, out], env, "/")
        known: dict[str, Any] = {"pid": pid, "began": began(pid), "exit": None}
        write_whole(note, json.dumps(known))
    except (Refused, OSError) as error:
        os.write(tell, json.dumps({"error": str(error)}).encode())
        return
    os.write(tell, json.dumps(known).encode())
    for number in (0, 1, 2):  # the last that it has of the connection
        os.dup2(null, number)
    os.closerange(3, 1 << 12)
    known["exit"] = exit_code(os.waitpid(pid, 0)[1])
    with contextlib.suppress(OSError):  # its folder is gone, and the host with it
        write_whole(note, json.dumps(known))


def write_whole(path: str, text: str) -> None:
    """Write a file so that who reads it finds the old text or the new."""
    fresh = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}-{os.getpid()}")
    with open(fresh, "w") as file:
        file.write(text)
    os.replace(fresh, path)


# ── The lab's folders on the server ───────────────────────────────────────────────────────────


def settle(config: dict[str, Any]) -> None:
    """Make the folders of the lab and the host, or clear first what an earlier lab of the same user has left.

    Raises
    ------
    Refused
        If they are those of a lab of another computer or user.
    """
    lab, mark = config["lab"], os.path.join(config["lab"], "owner.json")
    ours = {"origin": config["origin"], "id": config["id"]}
    try:
        with open(mark) as file:
            owner = json.loads(file.read())
    except (OSError, ValueError):
        owner = ours
    if os.path.exists(os.path.join(lab, "lab.json")):  # which is only where the lab was made
        raise Refused("this is the computer that the lab itself runs on")
    if owner["origin"] != ours["origin"]:
        raise Refused(f"another computer has a lab in {lab}")
    if owner != ours:
        hosts = os.path.join(lab, "hosts")
        for name in os.listdir(hosts) if os.path.isdir(hosts) else []:
            clear({**config, "name": name, "folder": os.path.join(lab, "hosts", name)})
    os.makedirs(config["folder"], mode=0o700, exist_ok=True)
    write_whole(mark, json.dumps(ours))


def clear(config: dict[str, Any]) -> None:
    """End the daemons and machines of the host, take back what else was made there, and remove its folders."""
    daemons = os.path.join(config["folder"], "daemons")
    known = [read_daemon(os.path.join(daemons, name)) for name in os.listdir(daemons)] if os.path.isdir(daemons) else []
    machines = os.path.join(config["lab"], "machines")
    for name in os.listdir(machines) if os.path.isdir(machines) else []:
        if _text(os.path.join(machines, name, "host")) == config["name"]:
            _end_machine(name, os.path.join(machines, name), config["folder"])
    promised = os.path.join(config["folder"], AT_THE_END)
    for name in sorted(os.listdir(promised)) if os.path.isdir(promised) else []:
        for argv in json.loads(_text(os.path.join(promised, name)) or "[]"):
            _say(argv)
    for daemon in known:
        if daemon and daemon["exit"] is None:
            _end_group(daemon)
    with contextlib.suppress(OSError):  # who waited for one may only now note there how it ended
        os.rename(daemons, f"{daemons}-ended")
    shutil.rmtree(config["folder"], ignore_errors=True)
    hosts = os.path.dirname(config["folder"])
    if not (os.path.isdir(hosts) and os.listdir(hosts)):
        shutil.rmtree(config["lab"], ignore_errors=True)
        with contextlib.suppress(OSError):  # others have labs here
            os.rmdir(os.path.dirname(config["lab"]))
            os.rmdir(os.path.dirname(os.path.dirname(config["lab"])))


def _text(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def remember_undo(host: str, machine: str, undo: list[list[str]]) -> None:
    """Note how a machine is taken back, for the end of the lab."""
    folder = os.path.join(host, "undo")
    os.makedirs(folder, mode=0o700, exist_ok=True)
    write_whole(os.path.join(folder, machine), json.dumps(undo))


def _end_machine(name: str, folder: str, host: str) -> None:
    """Remove a machine of any engine, and nothing of that name that is not this lab's.

    A domain is if it uses the folder, an LXC container if it leads there, one of Docker's if the lab has made
    one of that name, for no other can be then.
    """
    made = _text(os.path.join(host, "undo", name))
    steps = []
    if folder in _say(["virsh", "dumpxml", name]):
        steps = [["virsh", "destroy", name],
                 ["virsh", "undefine", name, "--managed-save", "--snapshots-metadata", "--nvram"]]  # fmt: skip
    containers = _say(["docker", "ps", "-aq", "--filter", f"label=labkit.machine={name}"]).split()
    if containers and "docker" in made:
        steps.append(["docker", "rm", "-f", *containers])
    place = os.path.join("/var/lib/lxc", name)
    with contextlib.suppress(OSError):
        if os.readlink(os.path.join(place, "machine")) == folder:
            steps += [["lxc-stop", "-k", "-n", name], ["rm", "-rf", place]]
    for argv in steps:
        _say(argv)
    shutil.rmtree(folder, ignore_errors=True)


def _say(argv: list[str]) -> str:
    """What a command writes; "" if it is not there or fails."""
    try:
        done = subprocess.run(argv, env={"PATH": PATH}, check=False, timeout=30, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace")


def _end_group(daemon: dict[str, Any]) -> None:
    """End a daemon and its process group, gently first."""
    for number, patience_s in ((signal.SIGTERM, _END_S), (signal.SIGKILL, 1.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(daemon["pid"], number)
        deadline = time.monotonic() + patience_s
        while began(daemon["pid"]) == daemon["began"] and time.monotonic() < deadline:
            time.sleep(0.02)
