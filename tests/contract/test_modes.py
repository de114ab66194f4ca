"""What the modes of networks let through, between machines of two hosts."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from labkit import Lab
from labkit.errors import Busy, InvalidValue, NameInUse, NotSupported
from labkit.machines.base import Machine
from labkit.networks.network import Network

pytestmark = [pytest.mark.core, pytest.mark.xdist_group("modes")]
MODES = {"open": "routed", "far": "routed", "behind": "nat", "apart": "isolated", "bare": "bridge"}


@pytest.fixture(scope="module")
def networks(lab: Lab) -> dict[str, Network]:
    """A network of each mode, at home on alpha, and a routed one at home on beta."""
    return {
        name: lab.networks.create(name, mode, host="beta" if name == "far" else "alpha") for name, mode in MODES.items()
    }


@pytest.fixture(scope="module")
def machines(lab: Lab, networks: dict[str, Network]) -> Iterator[dict[str, Machine]]:
    """A container on each network."""
    made: dict[str, Machine] = {
        name: lab["beta" if name == "far" else "alpha"].lxc.create(f"on-{name}", networks=[name]) for name in networks
    }
    yield made
    for machine in made.values():
        machine.destroy()


def reaches(source: Machine, target: str) -> bool:
    return source.run(["ping", "-c", "1", "-W", "2", target]).ok


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("open", "far", True), ("far", "open", True), ("behind", "open", True), ("behind", "far", True),
        ("open", "behind", False), ("far", "behind", False), ("apart", "open", False), ("open", "apart", False),
        ("bare", "open", False), ("open", "bare", False), ("apart", "behind", False),
    ],
)  # fmt: skip
def test_who_reaches_whom(machines: dict[str, Machine], source: str, target: str, expected: bool) -> None:
    """Routed networks reach each other, also beyond hosts; NAT leads to them and not back; isolated is isolated."""
    assert reaches(machines[source], machines[target].addresses[0]) is expected


WHO_ARE_YOU = """
mkdir -p /tmp/www/cgi-bin
printf '#!/bin/sh\\necho; echo "$REMOTE_ADDR"\\n' >/tmp/www/cgi-bin/who
chmod +x /tmp/www/cgi-bin/who
httpd -p 4000 -h /tmp/www
"""


def test_under_which_address_one_comes(machines: dict[str, Machine]) -> None:
    """Out of NAT machines come under the host's address, out of a routed network under their own."""
    target = machines["open"]
    target.run(["sh", "-c", WHO_ARE_YOU], check=True)
    for source, own in (("behind", False), ("far", True)):
        page = f"http://{target.addresses[0]}:4000/cgi-bin/who"
        seen = machines[source].run(["wget", "-q", "-O", "-", page], check=True).stdout
        assert seen.count("."), f"{source} got no answer"
        assert (machines[source].addresses[0] in seen) is own


def test_the_host_is_reached_but_on_a_bridge(machines: dict[str, Machine], networks: dict[str, Network]) -> None:
    """Each network's gateway is its home host; on a bridge no host has an address, and nobody serves anything."""
    for name, network in networks.items():
        if name == "bare":
            assert network.gateway == ""
            assert "nameserver" not in machines[name].run(["cat", "/etc/resolv.conf"]).stdout
        else:
            assert reaches(machines[name], network.gateway)
    told = json.loads(machines["bare"].host.run(["ip", "-j", "-4", "addr", "show", networks["bare"].bridge]).stdout)
    assert [address for link in told for address in link.get("addr_info", [])] == []


def test_a_bridge_carries_between_hosts(lab: Lab, machines: dict[str, Machine]) -> None:
    """A bridge that spans two hosts is one segment."""
    other = lab["beta"].lxc.create("other", networks=["bare"])
    try:
        assert reaches(other, machines["bare"].addresses[0])
    finally:
        other.destroy()


def test_a_machine_that_routes(lab: Lab, machines: dict[str, Machine]) -> None:
    """A machine on two bridges takes others from one to the other."""
    lab.networks.create("inner", "bridge")
    router = lab["alpha"].lxc.create("router", networks=["bare", "inner"])
    inside = lab["alpha"].lxc.create("inside", networks=["inner"])
    try:
        router.run(["sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"], check=True)
        inside.run(["ip", "route", "add", "default", "via", router.addresses[1]], check=True)
        machines["bare"].run(["ip", "route", "add", "default", "via", router.addresses[0]], check=True)
        assert reaches(inside, machines["bare"].addresses[0])
        assert reaches(machines["bare"], inside.addresses[0])
    finally:
        machines["bare"].run(["ip", "route", "del", "default"])
        for machine in (router, inside):
            machine.destroy()
        lab.networks.remove("inner")


def test_docker_opens_no_way(lab: Lab, machines: dict[str, Machine]) -> None:
    """Where Docker is used too, who reaches whom is as it was."""
    box = lab["alpha"].docker.create("opener", networks=["behind"])
    try:
        lab["alpha"].docker.create("isolated", networks=["apart"]).destroy()
        for source, target, expected in (
            (box, "apart", False), (box, "open", True), (box, "far", True), (machines["behind"], "apart", False),
            (machines["open"], "apart", False), (machines["open"], "behind", False), (machines["far"], "open", True),
        ):  # fmt: skip
            assert reaches(source, machines[target].addresses[0]) is expected, f"{source.name} to {target}"
    finally:
        box.destroy()


def test_every_engine_meets_on_one_network(lab: Lab, networks: dict[str, Network]) -> None:
    """A virtual machine and containers of both kinds on one network reach each other by name, also from other hosts."""
    made = [
        lab["alpha"].kvm.create("vm", networks=["behind"]), lab["alpha"].docker.create("box", networks=["behind"]),
        lab["beta"].docker.create("farbox", networks=["behind"]), lab["beta"].lxc.create("cell", networks=["behind"]),
    ]  # fmt: skip
    try:
        for source in made:
            missed = [target.name for target in made if not reaches(source, target.name)]
            assert not missed, f"{source.name} does not reach {missed}"
    finally:
        for machine in made:
            machine.destroy()


def test_without_dhcp_and_dns(lab: Lab) -> None:
    """What is not to be served is not, and the other is."""
    lab.networks.create("quiet", "isolated", dhcp=False, dns=False)
    lab.networks.create("names", "isolated", dhcp=False)
    machine = lab["alpha"].lxc.create("asker", networks=["quiet", "names"])
    try:
        servers = lab["alpha"].run(["sh", "-c", "cat /run/libvirt/network/quiet.pid /run/libvirt/network/names.pid"])
        assert len(servers.stdout.split()) == 1
        assert machine.run(["nslookup", "asker.lab", lab.networks["names"].gateway]).ok
        assert not machine.run(["nslookup", "asker.lab", lab.networks["quiet"].gateway], timeout_s=40).ok
        assert lab.networks.check() == {}
    finally:
        machine.destroy()
        lab.networks.remove("quiet")
        lab.networks.remove("names")


def test_a_vlan_or_its_reason(lab: Lab) -> None:
    """Where the kernel has VLANs, hosts are joined by one whose frames have the tag; where not, the error says so."""
    if not lab["alpha"].run(["ip", "link", "add", "link", "eth0", "name", "probe", "type", "vlan", "id", "9"]).ok:
        with pytest.raises(NotSupported, match="8021q"):
            lab.networks.create("tagged", "isolated", vlan=42)
        assert "tagged" not in lab.networks
        assert not lab["alpha"].kvm.has_network("tagged")
        return
    lab["alpha"].run(["ip", "link", "del", "probe"], check=True)
    lab.networks.create("tagged", "isolated", vlan=42)
    here, there = (lab[host].lxc.create(f"t-{host}", networks=["tagged"]) for host in ("alpha", "beta"))
    try:
        assert reaches(here, there.addresses[0])
        told = json.loads(lab["beta"].run(["ip", "-j", "-d", "link", "show", "type", "vlan"], check=True).stdout)
        assert [link["linkinfo"]["info_data"]["id"] for link in told] == [42]
        with pytest.raises(NameInUse, match="VLAN 42"):
            lab.networks.create("again", vlan=42)
    finally:
        here.destroy()
        there.destroy()
        lab.networks.remove("tagged")


@pytest.mark.parametrize("vlan", [-1, 4095, True, "7", 1.5])
def test_bad_tags_are_refused(lab: Lab, vlan: object) -> None:
    """What is no tag of a VLAN is refused in words."""
    with pytest.raises(InvalidValue, match="VLAN"):
        lab.networks.create("other", vlan=vlan)  # type: ignore[arg-type]
    assert "other" not in lab.networks


def test_a_bridge_serves_nothing(lab: Lab) -> None:
    """DHCP or DNS on a bridge is refused in words."""
    for words in ({"dhcp": True}, {"dns": True}):
        with pytest.raises(InvalidValue, match="bridge"):
            lab.networks.create("other", "bridge", **words)  # type: ignore[arg-type]


def test_a_network_with_machines_stays(lab: Lab, machines: dict[str, Machine]) -> None:
    """A network that machines are on is not removed, and the error names them."""
    with pytest.raises(Busy, match="on-open"):
        lab.networks.remove("open")
    assert reaches(machines["far"], machines["open"].addresses[0])


def test_a_routed_network_goes_with_its_routes(lab: Lab) -> None:
    """After a routed network was removed no host has a way to it."""
    network = lab.networks.create("short", "routed")
    assert network.cidr in lab["beta"].run(["ip", "route"]).stdout
    late = lab.add_host("late")
    assert network.cidr in late.run(["ip", "route"]).stdout
    lab.networks.remove("short")
    for host in lab:
        assert network.cidr not in host.run(["ip", "route"]).stdout


def test_how_it_shows_itself(networks: dict[str, Network], machines: dict[str, Machine]) -> None:
    """A network's static picture has its mode, its range, who serves it and who is on it."""
    html = networks["open"]._repr_mimebundle_()["text/html"]
    for word in ("routed", networks["open"].cidr, "DHCP and DNS", "on-open", machines["open"].addresses[0]):
        assert word in html
