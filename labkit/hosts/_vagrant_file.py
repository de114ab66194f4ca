"""The file that says which hosts Vagrant makes, ``vagrant/hosts.yml``, read with care.

The Vagrantfile reads it as well. Here a mistake is found before Vagrant is started, and named with
its line and field. ``python -m labkit.hosts._vagrant_file FILE`` checks a file.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any, TypeVar

import yaml

from .._values import check_name, format_size, parse_size
from ..errors import InvalidFile, InvalidValue, LabError
from ..storage import box

ENGINES = ("kvm", "docker", "lxc", "xen")
_GIB = 2**30
_MEMORY = (256 * 2**20, 4096 * _GIB)
_DISK = (2 * _GIB, 65536 * _GIB)
_CPUS = (1, 256)
_XEN_BYTES = _GIB
_PORTS = (1024, 65535)
_BOX = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)
_SETTINGS = ("box", "cpus", "memory", "disk", "engines")
_TAG = "tag:yaml.org,2002:"
_MOST_BYTES = 2**20
_MOST_DEEP = 10  # a list in a host in the hosts is three

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class VagrantHost:
    """A host that Vagrant makes.

    Attributes
    ----------
    name
        Its name, and its hostname.
    box
        What it is made from.
    cpus, memory_bytes, disk_bytes
        Its size.
    engines
        Which of ``kvm``, ``docker``, ``lxc`` are installed; or ``xen`` alone: the host boots Xen.
    addresses
        Its address in each network it is on.
    line
        Where it begins in the file.
    """

    name: str
    box: str
    cpus: int
    memory_bytes: int
    disk_bytes: int
    engines: tuple[str, ...]
    addresses: Mapping[str, IPv4Address]
    line: int = 0


@dataclass(frozen=True, slots=True)
class Workstation:
    """The virtual machine that holds the whole of labkit; `port` is JupyterLab's on this computer."""

    box: str
    cpus: int
    memory_bytes: int
    disk_bytes: int
    port: int


@dataclass(frozen=True, slots=True)
class HostsFile:
    """What the file says.

    Attributes
    ----------
    path
        The file.
    hosts
        By name, in the file's order.
    networks
        The addresses of each network between hosts.
    workstation
        None if the file has none.
    """

    path: Path
    hosts: Mapping[str, VagrantHost]
    networks: Mapping[str, IPv4Network] = field(default_factory=dict)
    workstation: Workstation | None = None


def read(path: Path | str) -> HostsFile:
    """Read and check the file.

    Raises
    ------
    InvalidFile
        If it is missing or has a mistake; names the line and the field, and says what to write.
    """
    where = Path(path)
    return _file(where, _Value(_compose(where), str(where), ""))


def _compose(path: Path) -> yaml.Node:
    """The file as nodes that know their lines."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InvalidFile("it is larger than 1 MiB", path=str(path), line=0, hint="is it the right file?")
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        hint = "give the folder that holds a hosts.yml, such as vagrant/ of labkit"
        raise InvalidFile("there is no such file", path=str(path), line=0, hint=hint) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidFile(f"it cannot be read: {error}", path=str(path), line=0, hint="write text, in UTF-8") from None
    depth = 0
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MOST_DEEP:
                line, hint = event.start_mark.line + 1, "see vagrant/hosts.yml"
                raise InvalidFile("it is nested too deeply", path=str(path), line=line, hint=hint)
            if isinstance(event, yaml.AliasEvent):
                what, hint = f"the alias *{event.anchor} is not understood here", "write out what it stands for"
                raise InvalidFile(what, path=str(path), line=event.start_mark.line + 1, hint=hint)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise _not_yaml(path, text, error) from None
    if node is None:
        raise InvalidFile("it is empty", path=str(path), line=0, hint="it must have `defaults:` and `hosts:`")
    return node


def _not_yaml(path: Path, text: str, error: yaml.YAMLError) -> InvalidFile:
    mark = getattr(error, "problem_mark", None)
    line = mark.line + 1 if mark else 0
    told = text.splitlines()[line - 1] if 0 < line <= len(text.splitlines()) else ""
    if "\t" in told:
        return InvalidFile("the line has a tab", path=str(path), line=line, hint="indent with spaces, two a level")
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    hint = "write `name: value`, and indent what belongs to a name by two spaces"
    return InvalidFile(f"it is not YAML: {problem}", path=str(path), line=line, hint=hint)


# ── Nodes ─────────────────────────────────────────────────────────────────────────────────────


class _Value:
    """A node of the file, which knows where it is."""

    def __init__(self, node: yaml.Node, path: str, name: str) -> None:
        self.node = node
        self.path = path
        self.name = name
        self.line: int = node.start_mark.line + 1

    def wrong(self, what: str, hint: str) -> InvalidFile:
        return InvalidFile(what, path=self.path, line=self.line, field=self.name, hint=hint)

    @contextmanager
    def checked(self) -> Iterator[None]:
        """Turn what is wrong with a value into what is wrong with the file."""
        try:
            yield
        except InvalidFile:
            raise
        except InvalidValue as error:
            raise self.wrong(error.message, error.hint) from None

    @property
    def shown(self) -> str:
        return ascii(self.node.value)[:60] if isinstance(self.node, yaml.ScalarNode) else "a list or a mapping"

    @property
    def is_empty(self) -> bool:
        return bool(self.node.tag == f"{_TAG}null")

    def items(self, known: tuple[str, ...] | None, example: str) -> dict[str, _Value]:
        """The fields of a mapping; `known` are those that it may have."""
        if self.is_empty:
            return {}
        if not isinstance(self.node, yaml.MappingNode):
            raise self.wrong(f"{self.shown} stands where fields belong", f"write such as  {example}")
        found: dict[str, _Value] = {}
        for key, value in self.node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            at = _Value(key, self.path, f"{self.name}.{name}".lstrip("."))
            if known is not None and name not in known:
                raise at.wrong(f"there is no field {ascii(name)[:60]}", f"the fields are: {', '.join(known)}")
            if name in found:
                raise at.wrong(f"it is there twice; first in line {found[name].line}", "take one of them out")
            found[name] = _Value(value, self.path, at.name)
            found[name].line = at.line if not isinstance(value, yaml.ScalarNode) else found[name].line
        return found

    def whole(self, least_most: tuple[int, int]) -> int:
        least, most = least_most
        number = int(self.node.value) if self._is("int") and re.fullmatch(r"\d{1,9}", self.node.value) else -1
        if not least <= number <= most:
            raise self.wrong(f"{self.shown} is not a number from {least} to {most}", f"write such as  {least}")
        return number

    def text(self, example: str) -> str:
        if not self._is("str"):
            raise self.wrong(f"{self.shown} is not a text", f"write such as  {example}")
        return str(self.node.value)

    def size(self, least_most: tuple[int, int], example: str) -> int:
        least, most = least_most
        size = 0
        if self._is("str"):
            with self.checked():
                size = parse_size(self.node.value)
        if not least <= size <= most:
            limits = f"{format_size(least)} to {format_size(most)}, as a number and a unit"
            raise self.wrong(f"{self.shown} is not a size from {limits}", f"write such as  {example}")
        return size

    def words(self, known: tuple[str, ...], example: str) -> tuple[str, ...]:
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.wrong(f"{self.shown} is not a list", f"write such as  {example}")
        found: list[str] = []
        for node in self.node.value:
            word = _Value(node, self.path, self.name)
            if (text := word.text(known[0])) not in known or text in found:
                what = "is there twice" if text in found else f"is none of {', '.join(known)}"
                raise word.wrong(f"{word.shown} {what}", f"write such as  {example}")
            found.append(text)
        return tuple(found)

    def address(self, kind: Callable[[str], T], example: str) -> T:
        try:
            return kind(self.text(example))
        except ValueError as error:
            if isinstance(error, LabError):
                raise
            raise self.wrong(f"{self.shown} is not an IPv4 address", f"write such as  {example}") from None

    def _is(self, kind: str) -> bool:
        return isinstance(self.node, yaml.ScalarNode) and bool(self.node.tag == _TAG + kind)


# ── What the fields mean ──────────────────────────────────────────────────────────────────────

_EXAMPLES = {
    "defaults": "defaults: {box: labkit/debian, cpus: 2, memory: 1536 MiB, disk: 10 GiB, engines: [kvm]}",
    "networks": "hosts: 198.19.201.0/24",
    "hosts": "alpha: {addresses: {hosts: 198.19.201.11}}",
    "workstation": "{cpus: 2, memory: 4 GiB, disk: 20 GiB, port: 8888}",
}


def _file(path: Path, top: _Value) -> HostsFile:
    fields = top.items(tuple(_EXAMPLES), _EXAMPLES["defaults"])
    for name in ("defaults", "hosts"):
        if name not in fields or fields[name].is_empty:
            raise top.wrong(f"the field {name} is missing", f"write such as  {name}: {{…}}; see vagrant/hosts.yml")
    defaults = _settings(fields["defaults"], _SETTINGS)
    for name in _SETTINGS:
        if name not in defaults:
            raise fields["defaults"].wrong(f"the field {name} is missing", _EXAMPLES["defaults"])
    networks = _networks(fields["networks"]) if "networks" in fields else {}
    hosts: dict[str, VagrantHost] = {}
    for name, value in fields["hosts"].items(None, _EXAMPLES["hosts"]).items():
        hosts[name] = _host(name, value, defaults, networks)
        _check_apart(hosts, value)
    workstation = _workstation(fields["workstation"], defaults) if "workstation" in fields else None
    return HostsFile(path, hosts, networks, workstation)


def _settings(value: _Value, known: tuple[str, ...]) -> dict[str, Any]:
    """The fields of `known` that are there, checked."""
    found: dict[str, Any] = {}
    for name, its in value.items(known, "cpus: 2").items():
        if name == "box":
            found[name] = its.text("labkit/debian")
            if not _BOX.fullmatch(found[name]):
                raise its.wrong(f"{its.shown} is not the name of a box", "write such as  debian/bookworm64")
        elif name == "cpus":
            found[name] = its.whole(_CPUS)
        elif name == "port":
            found[name] = its.whole(_PORTS)
        elif name == "engines":
            found[name] = its.words(ENGINES, "[kvm, docker, lxc]")
        elif name in ("memory", "disk"):
            found[name] = its.size(*((_MEMORY, "1536 MiB") if name == "memory" else (_DISK, "10 GiB")))
        else:
            found[name] = its
    return found


def _networks(value: _Value) -> dict[str, IPv4Network]:
    found: dict[str, IPv4Network] = {}
    for name, its in value.items(None, _EXAMPLES["networks"]).items():
        with its.checked():
            check_name(name, "name of a network")
        network = its.address(IPv4Network, "198.19.201.0/24")
        if not 8 <= network.prefixlen <= 29:
            raise its.wrong(f"{network} is not a network for hosts", "write such as  198.19.201.0/24")
        for other, known in found.items():
            if known.overlaps(network):
                raise its.wrong(f"{network} overlaps the network {other}", "give each network addresses of its own")
        found[name] = network
    return found


def _host(name: str, value: _Value, defaults: dict[str, Any], networks: dict[str, IPv4Network]) -> VagrantHost:
    with value.checked():
        check_name(name, "name of a host")
    if name == "workstation":
        raise value.wrong("a host cannot be called workstation: that is the machine with labkit", "give another name")
    own = _settings(value, (*_SETTINGS, "addresses"))
    has = defaults | own
    if "xen" in has["engines"]:
        has |= {"box": _xen_box(value, has)}
    addresses = _addresses(own["addresses"], networks) if "addresses" in own else {}
    return VagrantHost(name, has["box"], has["cpus"], has["memory"], has["disk"], has["engines"], addresses, value.line)


def _xen_box(value: _Value, has: dict[str, Any]) -> str:
    """The box of a host that boots Xen."""
    if has["engines"] != ("xen",):
        raise value.wrong(
            "where Xen is, it is alone: beneath it there is no KVM, and its domain 0 has no containers",
            "write  engines: [xen]  and have another host for the other engines",
        )
    if has["box"] not in (box.NAME, box.XEN):
        raise value.wrong(f"the box {has['box']} does not boot Xen", f"write  box: {box.XEN}")
    if has["memory"] < _XEN_BYTES:
        least = format_size(_XEN_BYTES)
        raise value.wrong(f"{format_size(has['memory'])} do not hold Xen and its machines", f"write  memory: {least}")
    return box.XEN


def _addresses(value: _Value, networks: dict[str, IPv4Network]) -> dict[str, IPv4Address]:
    found: dict[str, IPv4Address] = {}
    for name, its in value.items(None, "hosts: 198.19.201.11").items():
        if name not in networks:
            known = ", ".join(networks) or "none"
            raise its.wrong(f"there is no network {ascii(name)[:60]}", f"the networks of this file are: {known}")
        example = str(networks[name].network_address + 11 % networks[name].num_addresses)
        address = its.address(IPv4Address, example)
        # The first is the network's own on the host that carries it.
        if address not in networks[name] or int(address) - int(networks[name].network_address) < 2:
            raise its.wrong(f"{address} is not an address for a host in {networks[name]}", f"write such as  {example}")
        if address == networks[name].broadcast_address:
            raise its.wrong(f"{address} is the broadcast address of {networks[name]}", f"write such as  {example}")
        found[name] = address
    return found


def _check_apart(hosts: dict[str, VagrantHost], value: _Value) -> None:
    """The last host has no address that another one has."""
    *others, last = hosts.values()
    for other in others:
        for network, address in last.addresses.items():
            if other.addresses.get(network) == address:
                where = value.items(None, "")["addresses"].items(None, "")[network]
                raise where.wrong(f"{address} is the address of {other.name} (line {other.line}) too", "give another")


def _workstation(value: _Value, defaults: dict[str, Any]) -> Workstation:
    has = {"port": 8888} | defaults | _settings(value, ("box", "cpus", "memory", "disk", "port"))
    return Workstation(has["box"], has["cpus"], has["memory"], has["disk"], has["port"])


def _main(argv: list[str]) -> int:
    try:
        told = read(argv[1] if len(argv) > 1 else "vagrant/hosts.yml")
    except LabError as error:
        print(error, file=sys.stderr)
        return 1
    for host in told.hosts.values():
        where = ", ".join(f"{address} in {network}" for network, address in host.addresses.items())
        print(f"{host.name}: {host.cpus} cpus, {format_size(host.memory_bytes)}, {where or 'no network'}")
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv))
