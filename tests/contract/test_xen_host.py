"""Hosts that boot Xen: copies of one template, in a lab beside hosts in namespaces."""

from __future__ import annotations

import time
from collections.abc import Iterator

import libvirt
import pytest
from _lab import lab_of

from labkit import Lab, Xen
from labkit.errors import InvalidValue, NameInUse, NotSupported
from labkit.hosts.vagrant_hosts import CARRIER
from labkit.hosts.xen import SUBNET, XenHost, XenState, is_accelerated

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500), pytest.mark.xdist_group("xen")]
_CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], 22), 60)"
TOLERANCE_S = 10.0  # of clocks, on a machine with other work


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A host in namespaces, and two that boot Xen."""
    with lab_of(["near", Xen("xena", vcpus=2)]) as made:
        made.add_host("xenb", provider="xen")
        yield made


@pytest.fixture(scope="module")
def pair(lab: Lab) -> tuple[XenHost, XenHost]:
    one, other = lab["xena"], lab["xenb"]
    assert isinstance(one, XenHost)
    assert isinstance(other, XenHost)
    return one, other


def _said(host: XenHost, *argv: str) -> str:
    return host.run(argv, check=True).stdout.strip()


def test_xen_runs_beneath(lab: Lab, pair: tuple[XenHost, XenHost]) -> None:
    """The hypervisor answers, its domain 0 is what commands run in, and the card says so."""
    for host in pair:
        assert "Domain-0" in _said(host, "xl", "list")
        assert dict(host.facts())["hypervisor"].startswith("Xen 4.")
        assert host.status() is XenState.RUNNING
        assert host.provider == "xen"
    assert list(lab.hosts) == ["near", CARRIER, "xena", "xenb"]


def test_processors_side_by_side_only_with_kvm(pair: tuple[XenHost, XenHost]) -> None:
    """Asked for two, it has them where KVM runs it; emulated ones disturb each other, so it has one there."""
    assert _said(pair[0], "nproc") == ("2" if is_accelerated() else "1")


def test_copies_of_one_template_are_different(pair: tuple[XenHost, XenHost]) -> None:
    """Nothing by which hosts are told apart, and no random number, is the same on two of them."""
    asked = (
        ("hostname",), ("cat", "/etc/machine-id"),
        ("cat", "/root/.ssh/authorized_keys"), ("cat", "/sys/class/net/eth0/address"),
        ("ssh-keygen", "-lf", "/etc/ssh/ssh_host_ed25519_key"), ("cat", "/proc/sys/kernel/random/uuid"),
        ("grep", "host_uuid", "/etc/libvirt/libvirtd.conf"),
    )  # fmt: skip
    for argv in asked:
        one, other = (_said(host, *argv) for host in pair)
        assert one != other, argv
    assert [_said(host, "hostname") for host in pair] == ["xena", "xenb"]


def test_clocks_are_right(pair: tuple[XenHost, XenHost]) -> None:
    """A copy of what was saved long ago has the time of now, and so has the hypervisor's for machines."""
    for host in pair:
        assert abs(float(_said(host, "date", "+%s.%N")) - time.time()) < TOLERANCE_S


def test_libvirt_answers(pair: tuple[XenHost, XenHost]) -> None:
    """By a socket here, with Xen as its driver; domain 0 listens to nobody else but ssh."""
    for host in pair:
        connection = libvirt.open(f"xen+unix:///system?socket={host.start_libvirt()}")
        try:
            assert connection.getType() == "Xen"
            assert connection.getHostname() == host.name
            assert "xenpvh" in connection.getCapabilities()
        finally:
            connection.close()
        ports = {line.split()[3].rpartition(":")[2] for line in _said(host, "ss", "-Htln").splitlines()}
        assert ports == {"22"}


def test_they_reach_each_other_and_the_lab(lab: Lab, pair: tuple[XenHost, XenHost]) -> None:
    """By address, both ways, and from a host in namespaces."""
    hosts = [*pair, lab["near"]]
    for host in hosts:
        for other in hosts:
            if other.provider == "xen":
                host.run([*host.python, "-c", _CONNECT, other.address], timeout_s=100, check=True)
    assert all(host.address in map(str, SUBNET.hosts()) for host in pair)


def test_another_process_finds_them(lab: Lab, pair: tuple[XenHost, XenHost]) -> None:
    """The lab remembers them."""
    other = Lab.attach(lab.name)
    assert isinstance(other["xena"], XenHost)
    assert _said(other["xenb"], "hostname") == "xenb"  # type: ignore[arg-type]


def test_other_engines_are_refused(pair: tuple[XenHost, XenHost]) -> None:
    """In plain words, with where they are."""
    for engine in ("kvm", "docker", "lxc"):
        with pytest.raises(NotSupported, match="does not run on a Xen host") as caught:
            getattr(pair[0], engine)
        assert caught.value.host == "xena"
        assert "namespaces" in caught.value.hint


def test_files_come_and_go(pair: tuple[XenHost, XenHost]) -> None:
    """What is written on one is on its disk, which is none of the other's."""
    one, other = pair
    one.run(["dd", "if=/dev/zero", "of=/var/tmp/large", "bs=1M", "count=64", "status=none"], check=True)
    assert _said(one, "stat", "-c", "%s", "/var/tmp/large") == str(64 * 2**20)
    assert not other.run(["test", "-e", "/var/tmp/large"]).ok
    one.run(["rm", "/var/tmp/large"], check=True)


def test_names_and_carriers_are_checked(lab: Lab) -> None:
    """Before anything is made."""
    with pytest.raises(NameInUse):
        lab.add_host("xena", provider="xen")
    with pytest.raises(InvalidValue, match="run on"):
        lab.add_host(Xen("xenc", carrier="near"))
    with pytest.raises(InvalidValue, match="is not what a host is made from"):
        lab.add_host("xenc", provider="hyper")
    assert "xenc" not in lab.hosts


def test_one_is_destroyed_and_made_again(lab: Lab) -> None:
    """Its QEMU, address and files go with it; a new one of the name is another."""
    host = lab.add_host(Xen("xenc"))
    assert isinstance(host, XenHost)
    carrier, identity = host.carrier, _said(host, "cat", "/etc/machine-id")
    host.destroy()
    assert "xenc" not in carrier.run(["ls", str(carrier.folder / "xen")], check=True).stdout.split()
    assert carrier.daemon_exit("xen-xenc") is not None
    again = lab.add_host("xenc", provider="xen")
    assert isinstance(again, XenHost)
    assert _said(again, "cat", "/etc/machine-id") != identity
    again.destroy()
