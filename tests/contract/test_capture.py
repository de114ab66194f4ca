"""Packets of a real network: exactly those that were sent, as flows and as a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import _wait
import pytest

from labkit import Lab
from labkit.errors import InvalidState, InvalidValue, NotFound
from labkit.machines.base import Machine
from labkit.networks.capture import Capture

pytestmark = [pytest.mark.core, pytest.mark.xdist_group("net watch")]
until = partial(_wait.until, timeout_s=60)

SEND_TAGGED = """
import socket, struct, sys
sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sender.bind((sys.argv[1], 0))
udp = struct.pack(">HHHH", 7, 8, 12, 0) + b"lan!"
ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 32, 1, 0, 64, 17, 0, bytes([198, 19, 1, 9]), bytes([198, 19, 1, 8]))
for _ in range(3):
    sender.send(b"\\xff" * 6 + b"\\x52\\x54\\0\\0\\0\\1" + struct.pack(">HHH", 0x8100, 42, 0x0800) + ip + udp)
"""


@pytest.fixture(scope="module")
def machines(lab: Lab) -> Iterator[dict[str, Machine]]:
    """A VM, a Docker container and an LXC container on one host's bridge."""
    alpha = lab["alpha"]
    made: dict[str, Machine] = {
        "box": alpha.lxc.create("box", networks=["lan"]),
        "can": alpha.docker.create("can", networks=["lan"]),
        "web": alpha.kvm.create("web", networks=["lan"]),
    }
    yield made
    for machine in lab.machines():
        machine.destroy()


def tcpdumps(lab: Lab) -> str:
    """The tcpdump processes on the host."""
    return lab["alpha"].run(["pgrep", "tcpdump"]).stdout


def test_exactly_the_pings_are_captured(lab: Lab, machines: dict[str, Machine]) -> None:
    """Around a piece of work: three pings from each to each other are three requests and three answers, both ways."""
    pairs = [("box", "can"), ("can", "web"), ("web", "box")]
    with lab.networks["lan"].capture(filter="icmp") as capture:
        assert capture.is_running
        for one, other in pairs:
            machines[one].run(["ping", "-c", "3", machines[other].addresses[0]], check=True)
        until(lambda: capture.packets == 18)
    assert not capture.is_running
    assert capture.ended == "when it was stopped"
    assert capture.dropped == 0
    flows = {(flow.source, flow.destination, flow.about): flow for flow in capture.flows}
    assert len(flows) == 6
    for one, other in pairs:
        source, target = machines[one].addresses[0], machines[other].addresses[0]
        asked, answered = flows[source, target, "echo request"], flows[target, source, "echo reply"]
        assert (asked.protocol, asked.packets, asked.answers) == ("ICMP", 3, False)
        assert (answered.protocol, answered.packets, answered.answers) == ("ICMP", 3, True)
        assert asked.conversation == answered.conversation
        assert asked.bytes == 3 * (14 + 20 + 8 + 56)
        assert 1.9 < asked.last_s - asked.first_s < 60
    assert tcpdumps(lab) == ""


def test_the_file_is_one_that_others_open(lab: Lab, machines: dict[str, Machine], tmp_path: Path) -> None:
    """The file has pcap's magic number and Ethernet's link type, and tcpdump reads the same packets from it."""
    capture = lab.networks["lan"].capture(filter="icmp")
    machines["box"].run(["ping", "-c", "2", machines["web"].addresses[0]], check=True)
    until(lambda: capture.packets == 4)
    capture.stop()
    assert capture.pcap.is_relative_to(lab.folder)
    kept = capture.save(tmp_path / "kept.pcap")
    data = kept.read_bytes()
    order = sys.byteorder
    assert int.from_bytes(data[:4], order) == 0xA1B2C3D4  # type: ignore[arg-type]
    assert int.from_bytes(data[20:24], order) == 1  # type: ignore[arg-type]
    assert kept.stat().st_size == capture.pcap.stat().st_size
    read = lab["alpha"].run(["tcpdump", "-n", "-Z", "root", "-r", str(capture.pcap)], check=True).stdout.splitlines()
    assert len(read) == 4
    assert sum("ICMP echo request" in line for line in read) == 2
    with pytest.raises(InvalidValue, match="Is a directory"):
        capture.save(tmp_path)


def test_arp_dns_dhcp_and_tcp_are_told_apart(lab: Lab, machines: dict[str, Machine]) -> None:
    """A name that is looked up, a page that is fetched and an address that is asked for are flows of their own."""
    box, web, lan = machines["box"], machines["web"], lab.networks["lan"]
    web.run(["httpd", "-p", "8080", "-h", "/srv/www"], check=True)
    with lan.capture() as capture:
        box.run(["ip", "neigh", "flush", "all"])
        box.run(["nslookup", "web.lab", lan.gateway], check=True)
        box.run(["wget", "-qO-", f"http://{web.addresses[0]}:8080/"])
        box.run(["udhcpc", "-i", "eth0", "-n", "-q", "-f", "-s", "/bin/true"], check=True)
        wanted = {"ARP", "DNS", "TCP", "DHCP"}
        until(lambda: wanted <= {flow.protocol for flow in capture.flows})
    asked = [flow for flow in capture.flows if flow.protocol == "DNS" and not flow.answers]
    assert any("web.lab A" in flow.about and flow.destination_port == 53 for flow in asked)
    assert any("SYN" in flow.about and flow.destination_port == 8080 for flow in capture.flows)
    assert any("discover" in flow.about for flow in capture.flows if flow.protocol == "DHCP")
    assert any(flow.about.startswith("who has") for flow in capture.flows if flow.protocol == "ARP")
    shown = capture._repr_mimebundle_()
    assert "web.lab A" in shown["text/html"]
    assert "web.lab A" in shown["text/plain"]


def test_tagged_frames_have_their_vlan(lab: Lab) -> None:
    """Frames with an 802.1Q tag are told with its number and what is in them."""
    lan = lab.networks["lan"]
    with lan.capture(filter="vlan 42") as capture:
        lab["alpha"].run([sys.executable, "-I", "-S", "-c", SEND_TAGGED, lan.bridge], check=True)
        until(lambda: capture.packets >= 3)
    (flow,) = capture.flows
    assert (flow.vlan, flow.protocol, flow.source_port, flow.destination_port) == (42, "UDP", 7, 8)
    assert flow.packets == 3


def test_it_ends_at_its_limits(lab: Lab, machines: dict[str, Machine], tmp_path: Path) -> None:
    """It ends after its seconds, after its packets and before its file grows too large; the file stays whole."""
    lan, box = lab.networks["lan"], machines["box"]
    quiet = lan.capture(seconds=0.5, filter="icmp")
    assert (quiet.packets, quiet.ended, quiet.flows) == (0, "after 500 ms", ())
    target = machines["web"].addresses[0]
    few = lan.capture(packets=3, filter="icmp")
    box.run(["ping", "-c", "3", target], check=True)
    assert few.wait(30).ended == "after 3 packets"
    assert few.packets == 3
    file = tmp_path / "small.pcap"
    small = lan.capture(size=1000, filter="icmp", file=file)
    box.run(["ping", "-c", "3", "-s", "400", target], check=True)
    assert small.wait(30).ended == "at its limit of 0.977 KiB"
    assert file.stat().st_size <= 1000
    assert lab["alpha"].run(["tcpdump", "-n", "-Z", "root", "-r", str(file)]).stdout.count("ICMP") == small.packets >= 1
    until(lambda: tcpdumps(lab) == "")


def test_a_with_block_around_what_has_ended(lab: Lab) -> None:
    """With seconds it has ended before the block begins: that is said, not passed over."""
    with pytest.raises(InvalidState, match="leave out seconds"), lab.networks["lan"].capture(seconds=0.2):
        pass


@pytest.mark.parametrize(
    "words", ["tcp prot 80", "host no-such-host", "-w /tmp/labkit-stolen.pcap", "--version", "port"]
)
def test_bad_filters_are_refused(lab: Lab, words: str) -> None:
    """What tcpdump does not understand is refused with its words; an option is not one."""
    with pytest.raises(InvalidValue, match="is not a filter: "):
        lab.networks["lan"].capture(seconds=1, filter=words)
    assert not os.path.exists("/tmp/labkit-stolen.pcap")
    assert tcpdumps(lab) == ""


@pytest.mark.parametrize(
    "words",
    [{"packets": 0}, {"packets": "all"}, {"seconds": -1}, {"seconds": "soon"}, {"size": 0}, {"filter": 7},
     {"filter": "a\0b"}, {"snapshot_bytes": 0}, {"file": "/nowhere/at/all.pcap"}],
)  # fmt: skip
def test_bad_limits_are_refused(lab: Lab, words: dict[str, object]) -> None:
    """What makes no sense raises a typed error before anything is started, and leaves no file."""
    before = set(lab.folder.glob("captures/*"))
    with pytest.raises(InvalidValue):
        lab.networks["lan"].capture(**words)  # type: ignore[arg-type]
    assert set(lab.folder.glob("captures/*")) == before


def test_a_bad_filter_leaves_a_file_that_was_there(lab: Lab, tmp_path: Path) -> None:
    """An earlier capture's file is not lost by a new one that does not come to be."""
    file = tmp_path / "old.pcap"
    file.write_bytes(b"old")
    with pytest.raises(InvalidValue):
        lab.networks["lan"].capture(seconds=1, filter="nonsense nonsense", file=file)
    assert file.read_bytes() == b"old"


def test_hosts_that_the_network_is_not_on(lab: Lab) -> None:
    """Where the network has no bridge there is nothing to listen on; an unknown host is not found."""
    network = lab.networks.create("here")
    try:
        with pytest.raises(NotFound, match="no bridge"):
            network.capture(seconds=1, host="beta")
        with pytest.raises(NotFound, match="gamma"):
            network.capture(seconds=1, host="gamma")
    finally:
        lab.networks.remove("here")


def test_two_at_a_time_have_files_of_their_own(lab: Lab, machines: dict[str, Machine]) -> None:
    """Two captures of one network do not disturb each other."""
    lan = lab.networks["lan"]
    with lan.capture(filter="icmp") as one, lan.capture(filter="arp or icmp") as other:
        machines["box"].run(["ping", "-c", "1", machines["web"].addresses[0]], check=True)
        until(lambda: one.packets == 2 and other.packets >= 2)
    assert one.pcap != other.pcap
    assert all(isinstance(made, Capture) and made.pcap.exists() for made in (one, other))
