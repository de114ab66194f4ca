"""How a server is reached by ssh, checked at the door, and the command that does it."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DeadlineExceeded, InvalidValue, NotFound, PackageMissing
from ._checks import find_program, install

if TYPE_CHECKING:
    from .base import Host

# Not with a hyphen: ssh would take it for an option.
_TARGET = re.compile(r"(?:[A-Za-z0-9_][\w.+-]*@)?(?:[A-Za-z0-9][\w.-]*|\[?[0-9a-fA-F:]+(?:%\w+)?\]?)", re.ASCII)
_OPTION = re.compile(r"([A-Za-z]+)\s*[= ]\s*(\S[^\n\0]*)", re.ASCII)
_CONFIG_S = 10
# What ssh tells if nobody has said anything else; it names both files in one line.
_USUAL_FILES = re.compile(r"(\S+)/known_hosts \1/known_hosts2")


@dataclass(frozen=True, slots=True)
class Login:
    """Whom ssh is asked for, and how.

    Attributes
    ----------
    target
        ``server`` or ``user@server``, also a name from ``~/.ssh/config``.
    port
        None for ssh's own choice.
    identity
        The file with the private key; "" for ssh's own choice.
    options
        More of ssh's options, such as ``"ProxyJump=gate"``; they come before all others.
    """

    target: str
    port: int | None = None
    identity: str = ""
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.target, str) or len(self.target) > 255 or not _TARGET.fullmatch(self.target):
            raise InvalidValue(f"{ascii(self.target)[:60]} is not a server", hint='give "server" or "user@server"')
        if self.port is not None and (
            isinstance(self.port, bool) or not isinstance(self.port, int) or not 0 < self.port < 65536
        ):
            raise InvalidValue(f"{ascii(self.port)[:40]} is not a port", hint="give a number from 1 to 65535")
        if isinstance(self.options, str) or not all(
            isinstance(option, str) and _OPTION.fullmatch(option) for option in self.options
        ):
            raise InvalidValue(f"{ascii(self.options)[:80]} are not options of ssh", hint='such as ["ProxyJump=gate"]')
        object.__setattr__(self, "options", tuple(self.options))
        if not isinstance(self.identity, str | Path) or "\0" in str(self.identity):
            raise InvalidValue(f"{ascii(self.identity)[:60]} is not a file", hint="give the path of a private key")
        if self.identity:
            object.__setattr__(self, "identity", str(Path(self.identity).expanduser().absolute()))

    @property
    def server(self) -> str:
        """The server without the user."""
        return self.target.rpartition("@")[2]

    def _given(self) -> list[str]:
        """The options that were given; ssh takes the first of each."""
        words = [word for option in self.options for word in ("-o", option)]
        if self.port is not None:
            words += ["-p", str(self.port)]
        if self.identity:
            words += ["-i", self.identity, "-o", "IdentitiesOnly=yes"]
        return words

    def argv(self, control: Path | None, known_hosts: Path) -> list[str]:
        """The ssh command for a connection that others can share; a command for the server is to follow.

        Parameters
        ----------
        control
            The socket by which it is shared; None: it is not.
        known_hosts
            Where the keys of servers are noted that nobody knew, unless the user has said where.

        Raises
        ------
        NotFound
            If there is no such key file.
        PackageMissing
            If ssh is not installed.
        """
        if self.identity and not Path(self.identity).is_file():
            raise NotFound(f"there is no key file {self.identity}", hint="ssh-keygen makes one")
        program = find_program("ssh")
        if not program:
            raise PackageMissing("ssh is not installed", hint=install("ssh"))
        ours = {
            "BatchMode": "yes", "ConnectTimeout": "10", "ServerAliveInterval": "5", "ServerAliveCountMax": "3",
            "ControlMaster": "yes" if control else "no", "ControlPersist": "no",
            "ControlPath": str(control).replace("%", "%%") if control else "none",
            "ClearAllForwardings": "yes", "ForwardAgent": "no", "ForwardX11": "no", "RequestTTY": "no",
            "RemoteCommand": "none", "PermitLocalCommand": "no", "LogLevel": "ERROR", "EscapeChar": "none",
        }  # fmt: skip
        words = [word for key, value in ours.items() for word in ("-o", f"{key}={value}")]
        given = self._given()
        trust = _trust(self._config(program, given), known_hosts)
        return [program, "-T", *given, *trust, *words, "--", self.target]

    def _config(self, program: str, given: list[str]) -> dict[str, str]:
        """What ssh would do, by its own account."""
        try:
            told = subprocess.run(
                [program, *given, "-G", "--", self.target], capture_output=True, text=True, check=False,
                stdin=subprocess.DEVNULL, timeout=_CONFIG_S,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise DeadlineExceeded(
                f"ssh did not read its configuration for {self.target} within {_CONFIG_S} s",
                hint="a `Match exec` in ~/.ssh/config may wait for something",
            ) from error
        if told.returncode:
            said = told.stderr.strip().splitlines() or ["it does not say why"]
            raise InvalidValue(f"ssh does not accept its options for {self.target}: {said[-1]}",
                               hint="see options=… of Ssh, and ~/.ssh/config")  # fmt: skip
        return dict(line.split(" ", 1) for line in told.stdout.splitlines() if " " in line)


def _trust(config: dict[str, str], known_hosts: Path) -> list[str]:
    """Options by which a server that nobody knows is believed once; none where the user has said otherwise."""
    words = []
    files = config.get("userknownhostsfile", "")
    if _USUAL_FILES.fullmatch(files):
        words += ["-o", f'UserKnownHostsFile="{known_hosts}" {files}']
    if config.get("stricthostkeychecking") == "ask":
        words += ["-o", "StrictHostKeyChecking=accept-new"]
    return words


def make_key(host: Host, path: Path, comment: str = "labkit") -> None:
    """Make a pair of keys on a host, which `path` and ``path.pub`` are to hold."""
    host.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)], check=True)
