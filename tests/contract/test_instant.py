"""Instant machines: many from one memory image, each somebody else."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from labkit import Lab
from labkit.machines.base import Machine

pytestmark = [pytest.mark.core, pytest.mark.xdist_group("instant")]


@pytest.fixture(scope="module")
def machines(lab: Lab) -> list[Machine]:
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda n: lab["alpha"].kvm.create(f"node{n}", networks=["lan"]), range(4)))


@pytest.mark.parametrize(
    "argv",
    [
        ["hostname"],
        ["cat", "/etc/machine-id"],
        ["cat", "/etc/ssh/ssh_host_ed25519_key"],
        ["cat", "/sys/class/net/eth0/address"],
        ["sh", "-c", "ip -4 -o addr show eth0"],
        ["head", "-c", "32", "/dev/urandom"],
        ["sh", "-c", "cat /proc/sys/kernel/random/uuid"],
    ],
    ids=["hostname", "machine-id", "host-key", "mac", "address", "random", "uuid"],
)
def test_no_two_share_an_identity(machines: list[Machine], argv: list[str]) -> None:
    """Name, machine id, host key, MAC, address and random numbers of machines differ."""
    told = [machine.run(argv, check=True).stdout for machine in machines]
    assert len(set(told)) == len(machines)


def test_each_is_what_the_lab_says(machines: list[Machine]) -> None:
    """The guest has the name, MAC and address that the library gives for it."""
    for machine in machines:
        [card] = machine.spec.interfaces
        seen = machine.run(["sh", "-c", "hostname; cat /sys/class/net/eth0/address; ip -4 -o addr show eth0"]).stdout
        assert seen.startswith(f"{machine.name}\n{card.mac}\n")
        assert f"{card.address}/24" in seen


def test_clocks_are_right(machines: list[Machine]) -> None:
    """A machine restored from memory has the time of now, not of then."""
    for machine in machines:
        assert abs(float(machine.run(["date", "+%s"]).stdout) - time.time()) < 10


def test_they_reach_each_other_by_name(machines: list[Machine]) -> None:
    """DNS on the network knows every machine."""
    for other in machines[1:]:
        assert machines[0].run(["ping", "-c", "1", "-W", "5", other.name]).ok


def test_sshd_answers_with_the_machines_own_key(lab: Lab, machines: list[Machine]) -> None:
    """The key that sshd shows on the network is the one made for this machine."""
    machine = machines[0]
    public = (machine.folder / "ssh_host_ed25519_key.pub").read_text().split()[1]
    deadline = time.monotonic() + 90
    while public not in (seen := lab["alpha"].run(["ssh-keyscan", "-T", "5", machine.addresses[0]])).stdout:
        assert time.monotonic() < deadline, seen
        time.sleep(0.1)


def test_writes_of_one_are_not_seen_by_another(machines: list[Machine]) -> None:
    """Each machine writes to a disk of its own."""
    machines[0].run(["sh", "-c", "echo mine > /root/mine; sync"], check=True)
    assert not machines[1].run(["cat", "/root/mine"]).ok


def test_cold_boot_ends_in_the_same_place(lab: Lab) -> None:
    """A machine that was booted cold has its name, address and key just the same."""
    cold = lab["beta"].kvm.create("cold", networks=["lan"], instant=False, disk="512 MiB")
    assert cold.run(["hostname"]).stdout == "cold\n"
    assert cold.addresses[0] in cold.run(["ip", "-4", "addr"]).stdout
    assert int(cold.run(["sh", "-c", "df -k / | tail -1 | awk '{print $2}'"]).stdout) > 400_000


def test_machines_on_two_hosts_are_on_one_network(lab: Lab, machines: list[Machine]) -> None:
    """A network spans hosts: a machine on beta reaches one on alpha by name."""
    far = lab["beta"].kvm.create("far", networks=["lan"])
    assert far.run(["ping", "-c", "1", "-W", "5", "node0"]).ok


def test_a_guest_nobody_announced_gets_an_address(lab: Lab, machines: list[Machine]) -> None:
    """DHCP on the network answers."""
    told = machines[3].run(["udhcpc", "-i", "eth0", "-n", "-q", "-s", "/bin/true"], timeout_s=30)
    assert machines[3].addresses[0] in told.stdout + told.stderr
