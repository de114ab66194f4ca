"""What ssh says when it does not connect, in words that tell what to do.

Run by the supervisor of a remote host, so it uses the standard library only.
"""

from __future__ import annotations

import re
import shlex

NO_PYTHON, NO_ROOT, OLD_PYTHON = "labkit: no python3", "labkit: no sudo", "labkit: an old python3"
# Given to ssh, which hands it to the login shell of the user, whatever that is.
_LOOK = (
    'PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH"; '
    f"command -v python3 >/dev/null 2>&1 || {{ echo {NO_PYTHON} >&2; exit 91; }}; "
    '[ "$(id -u)" != 0 ] || exec @python@; '
    f"sudo -n true 2>/dev/null || {{ echo {NO_ROOT} >&2; exit 92; }}; "
    "exec sudo -n @python@"
)
_LAST = 6
_OFFENDING = re.compile(r"Offending \S+ key in (.+):\d+")
# What ssh says, and the kind of error, its sentence, and what to do; {target} is whom ssh was asked for.
_KNOWN = (
    (r"REMOTE HOST IDENTIFICATION HAS CHANGED", "ServerChanged",
     "the server of {target} has another key than the one that is known",
     "if it was set up anew, remove the old key: ssh-keygen {file}-R {server}; if not, somebody may be in between"),
    (r"Host key verification failed", "ServerChanged",
     "the key of {target} is not one that is known, and ssh is told to accept no other",
     "log in once by hand to compare it: ssh {target}"),
    (r"Could not resolve hostname ([^:\s]+)", "Unreachable",
     "the name of {target} is not known", "check its spelling, or give an address"),
    (r"Permission denied \(", "LoginRefused",
     "{target} does not let this user in with any of the keys that ssh has offered",
     "ssh-copy-id {target} puts a key there; identity=… of Ssh names another"),
    (r"Too many authentication failures", "LoginRefused",
     "{target} was offered too many keys", "name the right one by identity=… of Ssh"),
    (r"Connection refused", "Unreachable",
     "{target} does not accept ssh connections", "start sshd there, or give another port=… of Ssh"),
    (r"No route to host|Network is unreachable|timed out|Operation timed out", "Unreachable",
     "{target} does not answer", "check that the server runs, and that this machine has a way to it"),
    (re.escape(NO_PYTHON), "PackageMissing",
     "there is no python3 on {target}", "install it there: sudo apt-get install python3"),
    (re.escape(OLD_PYTHON), "PackageMissing",
     "the python3 of {target} is older than 3.8", "install a newer one there"),
    (re.escape(NO_ROOT), "LoginRefused",
     "{target} may not become root by `sudo -n`",
     "log in as root, or let the user there: echo '{user} ALL=(ALL) NOPASSWD: ALL' | sudo tee /etc/sudoers.d/labkit"),
    (r"No space left on device|Disk quota exceeded", "NotEnoughDisk",
     "the disk of {target} is full", "remove there what is not needed"),
    (r"Bad configuration option|no argument after keyword|Bad owner or permissions|percent_expand|unknown option",
     "InvalidValue", "ssh does not accept its options for {target}", "see options=… of Ssh, and ~/.ssh/config"),
)  # fmt: skip


def remote_command(size: int) -> str:
    """The one word for ssh that has the server run a Python program of `size` bytes from its standard input."""
    program = f'exec(open(0,"rb",closefd=False).read({size}))'
    python = f"python3 -I -S -c {shlex.quote(program)}"
    return f"exec sh -c {shlex.quote(_LOOK.replace('@python@', python))}"


def explain(said: str, target: str, otherwise: str = "") -> tuple[str, str, str]:
    """The kind of error, its sentence and its hint, given what ssh wrote.

    Parameters
    ----------
    said
        Its standard error.
    target
        Whom ssh was asked for, such as ``user@server``.
    otherwise
        The sentence if nothing known was said.
    """
    user, _, server = target.rpartition("@")
    for pattern, kind, sentence, hint in _KNOWN:
        if re.search(pattern, said):
            place = _OFFENDING.search(said)
            words = {"target": target, "server": server, "user": user or "USER",
                     "file": f"-f {shlex.quote(place[1])} " if place else ""}  # fmt: skip
            quoted = "" if kind == "ServerChanged" else _quoted(said)
            return kind, f"{sentence.format(**words)}{quoted}", hint.format(**words)
    sentence = otherwise or f"the connection to {target} has ended"
    return "Unreachable", f"{sentence}{_quoted(said)}", f"try it by hand: ssh {target} true"


def _quoted(said: str) -> str:
    """The last lines that are not decoration."""
    lines = [line.strip() for line in said.splitlines() if line.strip("@ \t\r") and not line.startswith("labkit: ")]
    return f": {' / '.join(lines[-_LAST:])}" if lines else ""
