"""Connecting a running machine and taking it off, against the bare calls; throughput between machines, in one table."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

import libvirt
from _table import Row, interleaved, main
from rich.console import Console
from rich.table import Table

from labkit import Lab
from labkit._values import format_rate
from labkit.machines._docker_networks import name_in_docker
from labkit.machines.base import Machine

MIB = 2**20
PIECES = {"kvm": 32 * MIB, "docker": 256 * MIB, "lxc": 256 * MIB}
MAC = "52:54:00:be:be:01"
CARD = f"<interface type='network'><mac address='{MAC}'/><source network='dmz'/><model type='virtio'/></interface>"

# What `attach` does for a container, by hand, in one go: PID BRIDGE; and off again.
PLUG = """
ip link add bare type veth peer name eth9 netns "$1" && ip link set bare master "$2" up
nsenter --net="/proc/$1/ns/net" sh -c 'ip addr add 198.19.2.120/24 dev eth9; ip link set eth9 up'
"""
SERVE = """
[ ! -e /tmp/www ] || exit 0
mkdir /tmp/www && truncate -s "$1" /tmp/www/big && httpd -p 5001 -h /tmp/www
"""
FETCH = """
read -r began _ </proc/uptime
wget -q -O - "http://$1:5001/big" >/dev/null || exit
read -r ended _ </proc/uptime
echo "$began $ended"
"""


def lxc(lab: Lab, n: int) -> list[Row]:
    """A container of LXC, against `ip` and `nsenter` by hand."""
    machine, host, dmz = lab["alpha"].lxc["web-lxc"], lab["alpha"], lab.networks["dmz"]
    pid = host.run(["lxc-info", "--name=web-lxc", "--pid", "--no-humanize"], check=True).stdout.strip()
    return pair(
        machine, n, "ip by hand",
        lambda: host.run(["sh", "-c", PLUG, "sh", pid, dmz.bridge], check=True),
        lambda: host.run(["ip", "link", "del", "bare"], check=True),
    )  # fmt: skip


def docker(lab: Lab, n: int) -> list[Row]:
    """A container of Docker, against the docker package."""
    machine: Any = lab["alpha"].docker["web-docker"]
    machine.attach("dmz")
    machine.detach("dmz")
    api, network = machine.api(), name_in_docker(lab.networks["dmz"])
    return pair(
        machine, n, "docker package",
        lambda: api.connect_container_to_network(machine.container, network, ipv4_address="198.19.2.120"),
        lambda: api.disconnect_container_from_network(machine.container, network),
    )  # fmt: skip


def kvm(lab: Lab, n: int) -> list[Row]:
    """A virtual machine, against libvirt-python; the guest's own part by its agent is in both."""
    machine: Any = lab["alpha"].kvm["web-kvm"]
    domain = machine.domain()

    def plug() -> None:
        domain.attachDeviceFlags(CARD, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        script = "until ip addr add 198.19.2.120/24 dev eth1; do usleep 10000; done; ip link set eth1 up"
        machine.run(["sh", "-c", script], check=True)

    def unplug() -> None:
        domain.detachDeviceFlags(CARD, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        while MAC in domain.XMLDesc():
            time.sleep(0.005)

    return pair(machine, n, "libvirt-python", plug, unplug)


def pair(machine: Machine, n: int, whose: str, plug: Callable[[], object], unplug: Callable[[], object]) -> list[Row]:
    """Both ways of connecting and of taking off, in turn."""
    took: dict[str, float] = {}

    def timed(name: str, act: Callable[[], object]) -> None:
        began = time.perf_counter()
        act()
        took[name] = time.perf_counter() - began

    def bare() -> float:
        timed("bare", plug)
        timed("bare off", unplug)
        return took["bare"]

    def ours() -> float:
        timed("ours", lambda: machine.attach("dmz"))
        timed("ours off", lambda: machine.detach("dmz"))
        return took["ours"]

    kind = machine.engine
    return [
        row
        for verb, names in (("attach", ("bare", "ours")), ("detach", ("bare off", "ours off")))
        for row in interleaved(
            {
                f"{verb}, {kind}, {whose}": lambda names=names: (bare(), took[names[0]])[1],
                f"{verb}, {kind}, labkit": lambda names=names: (ours(), took[names[1]])[1],
            },
            n,
        )
    ]


def throughput(lab: Lab, n: int) -> list[Row]:
    """One connection between two machines at a time, by the receiver's clock."""
    cases = {}
    for near, far in (("lxc", "lxc"), ("docker", "docker"), ("kvm", "kvm"), ("kvm", "lxc"), ("lxc", "kvm")):
        for where, host in (("", "alpha"), (" across hosts", "beta")):
            source, target = getattr(lab["alpha"], near)[f"web-{near}"], getattr(lab[host], far)[f"peer-{far}-{host}"]
            size = min(PIECES[near], PIECES[far])
            cases[f"{near} to {far}{where}"] = (source, target, size)

    def fetch(source: Machine, target: Machine, size: int) -> float:
        source.run(["sh", "-c", SERVE, "sh", str(PIECES[source.engine])], check=True)
        told = target.run(["sh", "-c", FETCH, "sh", source.addresses[0]], check=True, timeout_s=120).stdout.split()
        return (float(told[1]) - float(told[0])) * size / PIECES[source.engine]

    rows = interleaved({name: lambda case=case: fetch(*case) for name, case in cases.items()}, n)
    shown = Table(title="Throughput of one TCP connection", title_justify="left", box=None, padding=(0, 2, 0, 0))
    for column in ("from and to", "median", "best"):
        shown.add_column(column, justify="left" if column == "from and to" else "right")
    for row, (_, _, size) in zip(rows, cases.values(), strict=True):
        shown.add_row(row.name, *(format_rate(8 * size / seconds) for seconds in (row.median_s, row.lowest_s)))
    Console(width=120).print(shown)
    return []


def rows(n: int) -> list[Row]:
    with Lab(f"bench-{secrets.token_hex(3)}", hosts=["alpha", "beta"]) as lab:
        lab.networks.create("lan")
        lab.networks.create("dmz", "isolated")
        for kind in ("lxc", "docker", "kvm"):
            getattr(lab["alpha"], kind).create(f"web-{kind}", networks=["lan"])
            for host in ("alpha", "beta"):
                getattr(lab[host], kind).create(f"peer-{kind}-{host}", networks=["lan"])
        throughput(lab, n)
        return [*lxc(lab, n), *docker(lab, n), *kvm(lab, n)]


if __name__ == "__main__":
    raise SystemExit(main(rows, "Connecting machines", default_n=5))
