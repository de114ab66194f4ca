"""Packets of all kinds, made here, and what is read in them."""

from __future__ import annotations

import io
import socket
import struct
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dpkt
import pytest

from labkit._html_capture import bundle
from labkit.errors import InvalidValue
from labkit.networks._packets import Flow, Flows, Meaning, Packet, Records, read
from labkit.networks.capture import Capture

MACS = {"a": b"\x52\x54\x00\x00\x00\x0a", "b": b"\x52\x54\x00\x00\x00\x0b"}
A, B = "198.19.1.2", "198.19.1.3"


def ethernet(data: Any, kind: int = dpkt.ethernet.ETH_TYPE_IP, vlan: int | None = None) -> bytes:
    tag = struct.pack(">HH", 0x8100, vlan) if vlan is not None else b""
    return MACS["b"] + MACS["a"] + tag + struct.pack(">H", kind) + bytes(data)


def ipv4(data: Any, protocol: int, source: str = A, target: str = B, **words: int) -> Any:
    packed = {"src": socket.inet_aton(source), "dst": socket.inet_aton(target)}
    return dpkt.ip.IP(p=protocol, data=data, len=20 + len(bytes(data)), **packed, **words)


def tcp(source_port: int, port: int, flags: int = dpkt.tcp.TH_ACK, **words: Any) -> bytes:
    return ethernet(ipv4(dpkt.tcp.TCP(sport=source_port, dport=port, flags=flags), 6, **words))


def udp(source_port: int, port: int, data: bytes = b"x", vlan: int | None = None, **words: Any) -> bytes:
    datagram = dpkt.udp.UDP(sport=source_port, dport=port, data=data, ulen=8 + len(data))
    return ethernet(ipv4(datagram, 17, **words), vlan=vlan)


def echo(kind: int = 8, **words: Any) -> bytes:
    return ethernet(ipv4(dpkt.icmp.ICMP(type=kind, data=dpkt.icmp.ICMP.Echo(id=1, seq=1, data=b"x" * 56)), 1, **words))


def question(name: str) -> bytes:
    return bytes(dpkt.dns.DNS(id=7, qd=[dpkt.dns.DNS.Q(name=name, type=1)]))


def pcap(*frames: bytes, nano: bool = False) -> bytes:
    file = io.BytesIO()
    writer = dpkt.pcap.Writer(file, nano=nano)
    for number, frame in enumerate(frames):
        writer.writepkt(frame, ts=1_700_000_000 + number / 2)
    return file.getvalue()


ARP = dpkt.arp.ARP(
    op=1, sha=MACS["a"], spa=socket.inet_aton(A), tha=b"\0" * 6, tpa=socket.inet_aton(B),
)  # fmt: skip
DISCOVER = bytes(dpkt.dhcp.DHCP(opts=[(53, b"\x01")]))


@pytest.mark.parametrize(
    ("frame", "meaning"),
    [
        (ethernet(ARP, 0x0806), Meaning("ARP", A, None, B, None, None, f"who has {B}")),
        (echo(), Meaning("ICMP", A, None, B, None, None, "echo request")),
        (echo(0), Meaning("ICMP", A, None, B, None, None, "echo reply")),
        (tcp(40000, 80, dpkt.tcp.TH_SYN), Meaning("TCP", A, 40000, B, 80, None, "SYN")),
        (tcp(40000, 53), Meaning("DNS", A, 40000, B, 53, None, "")),
        (udp(5000, 6000), Meaning("UDP", A, 5000, B, 6000, None, "")),
        (udp(5000, 53, question("db.lab")), Meaning("DNS", A, 5000, B, 53, None, "db.lab A")),
        (udp(5000, 53, b"\xff"), Meaning("DNS", A, 5000, B, 53, None, "")),
        (
            udp(68, 67, DISCOVER, source="0.0.0.0", target="255.255.255.255"),
            Meaning("DHCP", "0.0.0.0", 68, "255.255.255.255", 67, None, "discover"),
        ),
        (udp(5000, 6000, vlan=42), Meaning("UDP", A, 5000, B, 6000, 42, "")),
        (ethernet(ARP, 0x0806, vlan=42), Meaning("ARP", A, None, B, None, 42, f"who has {B}")),
        (
            ethernet(ipv4(b"y" * 100, 17, _flags_offset=100)),  # a later fragment has no ports
            Meaning("UDP", A, None, B, None, None, ""),
        ),
        (ethernet(b"zzzz", 0x88CC), Meaning("0x88cc", "52:54:00:00:00:0a", None, "52:54:00:00:00:0b", None, None)),
    ],
)  # fmt: skip
def test_frames_are_told_apart(frame: bytes, meaning: Meaning) -> None:
    """Protocol, ends, VLAN and subject of each kind of frame are what was put into it."""
    assert read(frame) == meaning


@pytest.mark.parametrize("frame", [echo(), tcp(1, 2), udp(5, 53, question("x.lab"), vlan=3), ethernet(ARP, 0x0806)])
def test_frames_that_are_cut_off_are_read_as_far_as_they_go(frame: bytes) -> None:
    """However little was kept of a frame, reading it raises nothing."""
    for length in range(len(frame)):
        assert isinstance(read(frame[:length]), Meaning)


def test_rubbish_is_read_without_an_error() -> None:
    """Frames with any type and with bytes that mean nothing are told, not raised."""
    for kind in (0x0800, 0x86DD, 0x0806, 0x8100, 0x8847, 0x8864, 10, 0):
        for fill in (b"\x00", b"\xff", b"\x45", b"\x60"):
            assert isinstance(read(ethernet(fill * 60, kind)), Meaning)


@pytest.mark.parametrize("nano", [False, True])
@pytest.mark.parametrize("piece", [1, 7, 24, 100, 10_000])
def test_a_file_may_come_in_pieces(piece: int, nano: bool) -> None:
    """However the file is cut, the same packets come, with their times, and all its bytes are whole at the end."""
    file = pcap(echo(), tcp(1, 2), udp(3, 4), nano=nano)
    records, came, whole = Records(), [], b""
    for at in range(0, len(file), piece):
        part, packets = records.feed(file[at : at + piece])
        whole, came = whole + part, came + packets
    assert whole == file
    assert [packet.frame for packet in came] == [echo(), tcp(1, 2), udp(3, 4)]
    assert [packet.time_s - 1_700_000_000 for packet in came] == [0, 0.5, 1]


def test_a_last_packet_that_is_cut_off_is_left_out() -> None:
    """What is whole makes a file that can be read, whatever comes after it."""
    file = pcap(echo(), tcp(1, 2))
    for length in range(len(pcap(echo())), len(file)):
        whole, packets = Records().feed(file[:length])
        assert whole == pcap(echo())
        assert [packet.frame for packet in packets] == [echo()]
        assert len(list(dpkt.pcap.Reader(io.BytesIO(whole)))) == 1


@pytest.mark.parametrize("file", [b"\x00" * 24, b"<html>" * 10, pcap()[:20] + b"\x71\x00\x00\x00"])
def test_other_files_are_refused(file: bytes) -> None:
    """What is no pcap file, or not of Ethernet, raises a typed error."""
    with pytest.raises(InvalidValue, match="pcap"):
        Records().feed(file)


def flows_of(*frames: bytes) -> tuple[Flow, ...]:
    flows = Flows()
    for number, frame in enumerate(frames):
        flows.add(Packet(1000 + number / 10, len(frame), frame))
    return flows.table()


def test_both_ways_of_a_conversation_are_next_to_each_other() -> None:
    """Question and answer have one number, the question comes first, conversations with most bytes before."""
    answer = {"source": B, "target": A}
    big = udp(7, 8, b"x" * 500)
    found = flows_of(echo(), tcp(9, 80, dpkt.tcp.TH_SYN), echo(0, **answer), tcp(80, 9, dpkt.tcp.TH_RST, **answer), big)
    assert [(flow.conversation, flow.protocol, flow.source, flow.answers, flow.packets) for flow in found] == [
        (1, "UDP", A, False, 1),
        (2, "ICMP", A, False, 1), (2, "ICMP", B, True, 1),
        (3, "TCP", A, False, 1), (3, "TCP", B, True, 1),
    ]  # fmt: skip
    assert [(flow.first_s, flow.last_s) for flow in found] == [(0.4, 0.4), (0, 0), (0.2, 0.2), (0.1, 0.1), (0.3, 0.3)]
    assert [flow.about for flow in found] == ["", "echo request", "echo reply", "SYN", "RST"]
    assert found[0].bytes == len(big)


def test_tagged_and_untagged_frames_are_different_flows() -> None:
    """The same ends on another VLAN are another conversation."""
    found = flows_of(udp(1, 2), udp(1, 2, vlan=7), udp(1, 2, vlan=7))
    assert {(flow.vlan, flow.packets) for flow in found} == {(None, 1), (7, 2)}
    assert {flow.conversation for flow in found} == {1, 2}


def test_a_table_reads_while_packets_come() -> None:
    """What a flow is about is cut after a few words, however much is asked."""
    found = flows_of(*(udp(5, 53, question(f"n{number}.lab")) for number in range(50)))
    assert found[0].packets == 50
    assert found[0].about == "n0.lab A, n1.lab A, n2.lab A, n3.lab A, …"


class Fake:
    """What a capture asks of its tcpdump."""

    def __init__(self, *frames: bytes) -> None:
        self.packets, self.bytes = len(frames), sum(map(len, frames))
        self.ended, self.dropped = "after 5 s", 3
        self.flows = lambda: flows_of(*frames)


def capture_of(*frames: bytes) -> Capture:
    host: Any = SimpleNamespace(name="alpha")
    fake: Any = Fake(*frames)
    return Capture("lan", host, "", Path("/nowhere/lan-1.pcap"), fake)


def test_what_guests_say_is_shown_as_text() -> None:
    """A name that is HTML, asked for by a guest, is escaped; one with control characters does not reach a terminal."""
    shown = bundle(capture_of(udp(5, 53, question("<script>alert(1)</script>")), udp(6, 53, question("\x1b[31mred"))))
    assert "<script" not in shown["text/html"]
    assert "&lt;script&gt;" in shown["text/html"]
    assert "\x1b" not in shown["text/plain"]


def test_the_table_is_cut_between_conversations() -> None:
    """Twenty flows are shown at once, the others folded; a conversation is not torn apart."""
    answer = {"source": B, "target": A}
    frames = [udp(0, 1, b"x" * 900)]
    for port in range(1000, 1030):
        frames += [udp(port, 80), udp(80, port, **answer)]
    shown = bundle(capture_of(*frames))
    first, rest = shown["text/html"].split("<details>")
    assert first.count("<tr") - 1 == 19
    assert rest.count("<tr") - 1 == 61 - 19
    assert "42 more flows" in rest
    assert shown["text/plain"].endswith("… and 42 more flows")
    assert "61 packets" in shown["text/plain"]
    assert "3 came too fast and are lost" in shown["text/plain"]


def test_an_empty_capture_shows_a_sentence() -> None:
    """Without packets there is no table, but it is said why there are none."""
    shown = bundle(capture_of())
    assert "0 packets" in shown["text/plain"]
    assert "<th" not in shown["text/html"]
    assert "lan-1.pcap" in shown["text/html"]


def test_packets_are_not_read_before_they_are_needed() -> None:
    """`import labkit.networks.network` does not load the library that reads packets."""
    import subprocess

    code = "import labkit.lab, labkit.networks.network, sys; print('dpkt' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
