"""A server that exists already, as a host of a lab."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .._values import check_name
from ._login import Login

if TYPE_CHECKING:
    from ..lab import Lab
    from .base import Host


@dataclass(frozen=True, slots=True)
class Ssh:
    """A server, for ``Lab.open("demo", hosts=[Ssh("user@server")])`` or ``lab.add_host(Ssh(…))``.

    The user must be able to log in without a password, and be root or become root by ``sudo -n``; the server
    needs python3 and the daemons of the engines that are used. Nothing is installed on it.

    Attributes
    ----------
    target
        ``server`` or ``user@server``, also a name from ``~/.ssh/config``.
    name
        Its name in the lab; by default made from the server's.
    port
        By default what ``~/.ssh/config`` says, or 22.
    identity
        The file with the private key; by default those that ssh tries.
    options
        More of ssh's options, such as ``["ProxyJump=gate"]``.
    address
        What other hosts of the lab reach it by; by default the server's name.
    """

    target: str
    name: str = ""
    port: int | None = None
    identity: str | Path = ""
    options: Sequence[str] = ()
    address: str = ""

    def __post_init__(self) -> None:
        login = self.login
        if not self.name:
            object.__setattr__(self, "name", _name_from(login.server))
        check_name(self.name, "name of a host")

    @property
    def login(self) -> Login:
        """How it is reached; raises `InvalidValue` for what cannot be."""
        return Login(self.target, self.port, str(self.identity), self.options)  # type: ignore[arg-type]

    def names(self) -> tuple[str, ...]:
        """The one host that it is."""
        return (self.name,)

    def start(self, lab: Lab, name: str) -> Host:
        """Connect to it; see `RemoteHost.start` for what is raised."""
        from .remote import RemoteHost

        return RemoteHost.start(lab, name, self.login, address=self.address)


def _name_from(server: str) -> str:
    """A name for a host: the first part of the server's, or its address with hyphens."""
    first = server if re.fullmatch(r"[\d.]+|.*:.*", server) else server.partition(".")[0]
    return re.sub(r"[^a-z0-9]+", "-", first.lower()).strip("-")[:31]
