"""The way out of a host, opened only for networks that were made with ``uplink=True``.

`pasta` gives the home host of such a network an interface, `LINK`, behind which stand sockets of the
user's own (see _pasta.py); rules let only the bridges of such networks through (see _uplink_rules.py).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import socket
import subprocess
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, SubElement

from filelock import FileLock, Timeout

from .._changes import What
from .._paths import PYTHON
from ..errors import Busy, DaemonFailed, InvalidValue, LabError, Unavailable
from ._pasta import END, GREETING_BYTES
from ._uplink_rules import GATEWAY, HOST, LINK, NETWORK, RESOLVER, ROUTES, TABLE, Rules, no_routing, removed, routing

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..lab import Lab
    from .network import Network

_LABS = IPv4Network("198.18.0.0/15")
_MAC = "52:55:c6:12:7f:01"  # of the other side of the link; by default it would be the machine's own
_START_S, _END_S = 20.0, 10.0
_SUPERVISOR = Path(__file__).with_name("_pasta.py")


# ── For networks ──────────────────────────────────────────────────────────────────────────────


def check_mode(mode: str, *, uplink: bool) -> None:
    """Raise `InvalidValue` if a network of this mode cannot lead out."""
    if uplink and mode != "nat":
        raise InvalidValue(f"a network of mode {mode} cannot lead out of the lab", hint='uplink=True needs mode="nat"')


def lead_names_out(network: Element) -> None:
    """In libvirt's description of a network: let its names be asked for outside, too."""
    dns = network.find("dns")
    SubElement(SubElement(network, "dns") if dns is None else dns, "forwarder", addr=RESOLVER)


def open_way(network: Network, host: Host) -> None:
    """Before `network` is used on `host`: open its way out if it is to have one, else keep it shut.

    Raises
    ------
    PackageMissing, Unavailable, DaemonFailed, Busy
    """
    home = host.lab.hosts.get(network.home)
    if home and (network.uplink or _was_opened(home)) and home.is_alive:
        _settle(home)


def close_way(lab: Lab, home: str) -> None:
    """After a network of the host `home` was removed: close its way out, unless another network needs it."""
    host = lab.hosts.get(home)
    if host and _was_opened(host) and host.is_alive:
        _settle(host)


def _was_opened(host: Host) -> bool:
    return os.path.lexists(_socket(host))


# ── For everybody ─────────────────────────────────────────────────────────────────────────────


def uplink_is_up(host: Host) -> bool:
    """Whether the way out of `host` is open now (asks what keeps it open)."""
    return _opened_with(host) is not None


def ensure(host: Host) -> None:
    """Have the way out of `host` be open, if a network of which it is the home leads out; else closed.

    Opens it again where what kept it open has died.

    Raises
    ------
    PackageMissing
        If `pasta` or `nft` is not installed.
    Unavailable
        If this machine has no way out itself, or has a network where labs have their addresses.
    DaemonFailed
        If `pasta` does not start; quotes its last words.
    """
    _settle(host)


def trouble(host: Host) -> str:
    """What is wrong with the way out of `host`, which is to be open; "" if nothing is (asks the host)."""
    if not uplink_is_up(host):
        return f"its way out is closed ({why_closed(host)})"
    if not host.run(["nft", "list", "table", "inet", TABLE]).ok:
        return "the rules for its way out are gone"
    if not host.run(["ip", "route", "show", "table", ROUTES]).stdout.strip():
        return "the route of its way out is gone"
    return ""


def why_closed(host: Host) -> str:
    """Why the way out of `host` has closed by itself, as far as what kept it open could still tell."""
    from ..hosts._libvirtd import last_lines

    return last_lines(_log(host), 1).partition(" ends: ")[2] or "what kept it open was killed"


# ── Opening and closing ───────────────────────────────────────────────────────────────────────


def _settle(host: Host) -> None:
    """Make what there is of a way out what the networks' records say, whatever it was."""
    with _alone(host):
        ways = [network for network in host.lab.networks if network.uplink and network.home == host.name]
        if not ways:
            _end(host)
            return
        machine, names, opened = look_at_machine(), has_resolver(), _opened_with(host)
        if opened is not None and names and "--dns-forward" not in opened:
            _close(host)  # there was nobody to ask for names then
            opened = None
        if opened is None:  # one that is open may wait for a machine that is offline for a while
            check_machine(machine)
        _set_rules(host, rules_for(ways, machine, resolves=names))  # before the way, so that it opens into them
        if opened is None:
            _start(host, names=names)
            host.lab.journal("uplink", host=host.name)
        _ip(host, routing(_rules_of_routes(host), [(way.bridge, IPv4Network(way.cidr)) for way in ways]))
    _watch(host)


def rules_for(ways: Iterable[Network], machine: Machine, *, resolves: bool) -> Rules:
    """The rules for a host with networks that lead out."""
    ways = list(ways)
    gateways = tuple(IPv4Address(network.gateway) for network in ways)
    return Rules(tuple(network.bridge for network in ways), gateways, machine.addresses, resolves)


def _set_rules(host: Host, rules: Rules) -> None:
    from ..hosts.doctor import require_program

    require_program("nft")
    host.run(["nft", "-j", "-f", "-"], input=rules.to_json(), check=True)


def _rules_of_routes(host: Host) -> list[dict[str, Any]]:
    told = host.run(["ip", "-j", "rule", "show", "table", ROUTES], check=True).stdout
    known: list[dict[str, Any]] = json.loads(told or "[]")
    return known


def _ip(host: Host, commands: list[str]) -> None:
    if commands:
        host.run(["ip", "-batch", "-"], input="\n".join(commands), check=True)


def _start(host: Host, *, names: bool) -> None:
    from ..hosts.doctor import require_program

    program = require_program("pasta")
    config = {
        "ctl": str(host.sockets / "ctl"), "socket": str(_socket(host)), "lock": str(host.folder / "uplink.lock"),
        "log": str(_log(host)), "name": str(host.folder / "pasta"), "program": program,
        "options": options(program, names=names), "deadline_s": _START_S, "joins": os.geteuid() != 0,
    }  # fmt: skip
    argv = [PYTHON, "-I", "-S", str(_SUPERVISOR), json.dumps(config)]
    try:
        ran = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=2 * _START_S + 10, check=False,
            cwd="/",
        )  # fmt: skip
        answer = json.loads(ran.stdout)
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise DaemonFailed(f"the way out does not open: {error}", host=host.name, hint=_HINT) from error
    if "error" in answer:
        raise DaemonFailed(f"the way out does not open: {answer['error']}", host=host.name, hint=_HINT)


_HINT = "`labkit doctor` checks what it needs; the host's uplink.log has more"


def options(program: str, *, names: bool) -> list[str]:
    """The options for `pasta`: one interface, not set up yet; nothing comes in; this machine is not behind it."""
    from ..hosts._checks import run

    told = run([program, "--help"])
    words = [
        "--foreground", "--quiet", "--ipv4-only", "--ns-ifname", LINK, "--no-netns-quit",
        "--address", HOST, "--netmask", str(NETWORK.prefixlen), "--gateway", GATEWAY, "--mac-addr", _MAC,
        "--no-map-gw", "--no-dhcp", "--no-dhcpv6", "--no-ndp", "--no-ra",
        "--tcp-ports", "none", "--udp-ports", "none", "--tcp-ns", "none", "--udp-ns", "none",
    ]  # fmt: skip
    if names:
        words += ["--dns-forward", RESOLVER]
    if os.geteuid() == 0:  # else it becomes nobody, who may not enter the host
        words += ["--runas", "0"]
    if "--stderr" in told.stdout + told.stderr:  # newer ones do so unasked, and drop the option
        words += ["--stderr"]
    return words


def _close(host: Host) -> None:
    """End pasta; returns when it has ended."""
    with contextlib.suppress(ConnectionError, FileNotFoundError), _connect(host)[0] as supervisor:
        supervisor.send(END)
        if not select.select([supervisor], [], [], _END_S)[0]:
            raise Busy(f"the way out does not close within {_END_S:g} s", host=host.name, hint="close the lab")
    _socket(host).unlink(missing_ok=True)


def _end(host: Host) -> None:
    """Close the way, and take away the rules for it."""
    _close(host)
    _ip(host, no_routing(_rules_of_routes(host)))
    host.run(["nft", "-j", "-f", "-"], input=json.dumps({"nftables": removed()}), check=True)


@contextlib.contextmanager
def _alone(host: Host) -> Iterator[None]:
    try:
        with FileLock(host.folder / "uplink-client.lock", timeout=60):
            yield
    except Timeout as error:
        raise Busy(
            "somebody else has been opening the way out for a minute", host=host.name, hint="try again"
        ) from error


def _socket(host: Host) -> Path:
    return host.sockets / "uplink"


def _log(host: Host) -> Path:
    return host.folder / "uplink.log"


def _opened_with(host: Host) -> list[str] | None:
    """The options that the way out of `host` was opened with; None if it is closed."""
    with contextlib.suppress(OSError):
        supervisor, opened = _connect(host)
        supervisor.close()
        return opened
    return None


def _connect(host: Host) -> tuple[socket.socket, list[str]]:
    """A connection to what keeps the way open, and the options of `pasta`."""
    supervisor = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    supervisor.settimeout(_END_S)
    try:
        supervisor.connect(str(_socket(host)))
        greeting = supervisor.recv(GREETING_BYTES)
        if not greeting:
            raise ConnectionResetError
    except OSError:
        supervisor.close()
        raise
    return supervisor, json.loads(greeting)


# ── Seeing it end ─────────────────────────────────────────────────────────────────────────────

_watched: dict[Path, threading.Thread] = {}


def _watch(host: Host) -> None:
    """Have a change of the host's networks be told when its way out closes."""
    known = _watched.get(_socket(host))
    if known and known.is_alive():
        return
    try:
        supervisor, _ = _connect(host)
    except OSError:  # it has died already: who uses the network next will see
        return
    thread = threading.Thread(target=_tell_of_end, args=(host, supervisor), name="labkit-uplink", daemon=True)
    _watched[_socket(host)] = thread
    thread.start()


def _tell_of_end(host: Host, supervisor: socket.socket) -> None:
    with supervisor, contextlib.suppress(OSError):
        supervisor.settimeout(None)
        supervisor.recv(1)
    with contextlib.suppress(LabError, OSError):  # the lab may have ended with it
        if not host.lab.closed and host.is_alive:
            host.lab.journal("uplink ended", host=host.name)
            host.lab.changes.tell(What.NETWORKS, host)


# ── The machine that the lab runs on ──────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Machine:
    """What a way out has to know of this machine.

    Attributes
    ----------
    addresses
        Its own.
    networks
        Those that it has a route to, but for the default.
    has_default
        Whether it has a route to everywhere else.
    """

    addresses: tuple[IPv4Address, ...]
    networks: tuple[IPv4Network, ...]
    has_default: bool


def look_at_machine() -> Machine:
    """Read this machine's routes."""
    from ..hosts._checks import run
    from ..hosts.doctor import require_program

    ran = run([require_program("ip"), "-j", "-4", "route", "show", "table", "all"])
    return read_routes(json.loads(ran.stdout or "[]"))


def check_machine(machine: Machine) -> None:
    """Raise `Unavailable` if a way out would lead nowhere or astray."""
    if clash := next((network for network in machine.networks if network.subnet_of(_LABS)), None):
        raise Unavailable(
            f"this machine has a route to {clash}, and labs have their addresses in {_LABS}",
            hint="take that route away, or use networks without uplink=True",
        )
    if not machine.has_default:
        raise Unavailable("this machine has no way out itself (no default route for IPv4)", hint="connect it first")


def read_routes(routes: list[dict[str, Any]]) -> Machine:
    """What ``ip -j -4 route show table all`` tells of a machine."""
    addresses, networks, has_default = [], [], False
    for route in routes:
        kind, target = route.get("type", "unicast"), str(route.get("dst", ""))
        if target == "default":
            has_default = has_default or kind == "unicast"
            continue
        with contextlib.suppress(ValueError):
            network = IPv4Network(target)
            networks.append(network)
            if kind == "local" and network.prefixlen == 32:
                addresses.append(network.network_address)
    return Machine(tuple(addresses), tuple(networks), has_default)


def has_resolver(path: Path = Path("/etc/resolv.conf")) -> bool:
    """Whether this machine knows somebody to ask for names, whom `pasta` can ask by IPv4."""
    with contextlib.suppress(OSError):
        # Written so, with a space, for pasta to read it.
        return bool(
            re.search(r"^nameserver (\d+\.){3}\d+\s*$", path.read_text(errors="replace"), re.ASCII | re.MULTILINE)
        )
    return False
