"""What a host can be made from, besides its name alone."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast, runtime_checkable

from .._values import check_name
from ..errors import InvalidValue, NameInUse

if TYPE_CHECKING:
    from ..lab import Lab
    from ._remotes import Note
    from .base import Host
    from .remote import RemoteHost

# The class of the hosts of a provider that a lab remembers; see `_remotes`.
_HOSTS = {"ssh": "remote:RemoteHost", "vagrant": "vagrant_hosts:VagrantHost", "xen": "xen:XenHost"}


@runtime_checkable
class HostSpec(Protocol):
    """Describes one host or several: a server reached by ssh, virtual machines from a Vagrantfile.

    What it makes is a `RemoteHost` as a rule, which a lab remembers by itself.
    """

    def names(self) -> Sequence[str]:
        """The names of the hosts that it describes."""

    def start(self, lab: Lab, name: str) -> Host:
        """Make the host, or find it, for this lab; whatever ends this early, nothing is left."""


def restore(lab: Lab, note: Note) -> RemoteHost:
    """The host that a lab remembers."""
    module, _, name = _HOSTS.get(note["provider"], _HOSTS["ssh"]).partition(":")
    kind = cast("type[RemoteHost]", getattr(import_module(f".{module}", __package__), name))
    return kind.restore(lab, note)


# Names of namespace hosts, and what other hosts are made from.
HostsWanted = Sequence[str | HostSpec] | HostSpec


def by_name(hosts: HostsWanted) -> dict[str, HostSpec | None]:
    """The hosts that are wanted, by name, with what each is made from; None: namespaces."""
    wanted: dict[str, HostSpec | None] = {}
    for one in [hosts] if isinstance(hosts, HostSpec) else hosts:
        made_from = one if isinstance(one, HostSpec) else None
        for name in made_from.names() if made_from else [one]:
            check_name(name, "name of a host")
            if str(name) in wanted:
                raise NameInUse(f"two hosts are called {name}", hint="give one of them another name")
            wanted[str(name)] = made_from
    return wanted


def one_by_name(host: str | HostSpec, provider: HostSpec | str | None) -> dict[str, HostSpec | None]:
    """The same for one host; a provider may be named that needs to be told nothing else."""
    if isinstance(provider, str):
        return by_name([host if isinstance(host, HostSpec) else _named(provider, host)])
    if provider is not None and not isinstance(provider, HostSpec):
        raise InvalidValue(f"{ascii(provider)[:60]} is not what a host is made from", hint='such as Ssh("user@server")')
    if isinstance(host, HostSpec):
        wanted = by_name(host)
        if len(wanted) != 1:
            raise InvalidValue(f"this describes {len(wanted)} hosts", hint='lab.add_host("name", provider=…) names one')
        return wanted
    return {check_name(host, "name of a host"): provider}


def _named(provider: str, name: str) -> str | HostSpec:
    check_name(name, "name of a host")
    if provider == "xen":
        from .xen import Xen

        return Xen(name)
    if provider != "namespace":
        raise InvalidValue(f"{ascii(provider)[:60]} is not what a host is made from by name",
                           hint='"namespace" and "xen" are; others are told more: Ssh("user@server")')  # fmt: skip
    return name
