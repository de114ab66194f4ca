"""Packets as tcpdump writes them, and the conversations that they are parts of."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from dpkt import arp, dhcp, dns, ethernet, icmp, icmp6, ip, ip6, pcap, tcp, udp

from ..errors import InvalidValue

_MOST_WORDS = 4
_DNS_PORT, _MDNS_PORT = 53, 5353
_DHCP_PORTS = {67, 68}
_ICMP = {
    icmp.ICMP_ECHO: "echo request", icmp.ICMP_ECHOREPLY: "echo reply", icmp.ICMP_UNREACH: "unreachable",
    icmp.ICMP_TIMEXCEED: "time exceeded", icmp.ICMP_REDIRECT: "redirect",
}  # fmt: skip
_ICMP6 = {
    128: "echo request", 129: "echo reply", 133: "router solicitation", 134: "router advertisement",
    135: "neighbour solicitation", 136: "neighbour advertisement", 143: "multicast listener report",
}  # fmt: skip
_DHCP = ("discover", "offer", "request", "decline", "ack", "nak", "release", "inform")
_FLAGS = ((tcp.TH_SYN, "SYN"), (tcp.TH_FIN, "FIN"), (tcp.TH_RST, "RST"))


class Packet(NamedTuple):
    """A packet of a capture.

    Attributes
    ----------
    time_s
        When it came, in seconds since 1970.
    length
        Its bytes on the wire; `frame` may have fewer.
    frame
        What was kept of it, from the Ethernet header on.
    """

    time_s: float
    length: int
    frame: bytes


class Records:
    """Takes a pcap file apart while it comes in, in pieces of any size."""

    def __init__(self) -> None:
        self._rest = b""
        self._header: Any = None
        self._ticks = 1e6

    @property
    def begun(self) -> bool:
        """Whether the file's header has come."""
        return self._header is not None

    def feed(self, data: bytes) -> tuple[bytes, list[Packet]]:
        """The bytes, and the packets in them, that are whole by now; what is not waits for the next piece.

        Raises
        ------
        InvalidValue
            If it is not a pcap file of Ethernet frames.
        """
        buffer, at, packets = self._rest + data, 0, []
        if self._header is None:
            if len(buffer) < pcap.FileHdr.__hdr_len__:
                self._rest = buffer
                return b"", []
            self._begin(buffer[: pcap.FileHdr.__hdr_len__])
            at = pcap.FileHdr.__hdr_len__
        size = self._header.__hdr_len__
        while at + size <= len(buffer):
            head = self._header(buffer[at : at + size])
            end = at + size + head.caplen
            if end > len(buffer):
                break
            packets.append(Packet(head.tv_sec + head.tv_usec / self._ticks, head.len, buffer[at + size : end]))
            at = end
        self._rest = buffer[at:]
        return buffer[:at], packets

    def _begin(self, header: bytes) -> None:
        magic = pcap.FileHdr(header).magic
        kind = pcap.MAGIC_TO_PKT_HDR.get(magic)
        small_end_first = kind is pcap.LEPktHdr
        link = (pcap.LEFileHdr if small_end_first else pcap.FileHdr)(header).linktype
        if kind not in (pcap.PktHdr, pcap.LEPktHdr) or link & 0xFFFF != pcap.DLT_EN10MB:
            raise InvalidValue("this is not a pcap file of Ethernet frames", hint="is it what tcpdump has written?")
        if magic in (pcap.TCPDUMP_MAGIC_NANO, pcap.PMUDPCT_MAGIC_NANO):
            self._ticks = 1e9
        self._header = kind


class Meaning(NamedTuple):
    """What is read in a frame: who sends what to whom; `about` says what for."""

    protocol: str
    source: str
    source_port: int | None
    destination: str
    destination_port: int | None
    vlan: int | None
    about: str = ""


def read(frame: bytes) -> Meaning:
    """What a frame means; one that is damaged or cut off is told by the addresses of its Ethernet header."""
    try:
        ether = ethernet.Ethernet(frame)
    except Exception:  # what guests send may be anything
        return Meaning("damaged", _mac(frame[6:12]), None, _mac(frame[:6]), None, None)
    tags = getattr(ether, "vlan_tags", None)
    vlan = int(tags[0].id) if tags else None
    plain = Meaning(_ether_type(ether), _mac(ether.src), None, _mac(ether.dst), None, vlan)
    try:
        inner = ether.data
        if isinstance(inner, arp.ARP):
            return _arp(inner, vlan)
        if isinstance(inner, ip.IP | ip6.IP6):
            return _ip(inner, vlan)
    except Exception:  # the same
        return plain
    return plain


def _ether_type(ether: Any) -> str:
    kind = (ether.vlan_tags[-1].type if getattr(ether, "vlan_tags", None) else ether.type) or 0
    return {0x0800: "IPv4", 0x86DD: "IPv6", 0x0806: "ARP"}.get(kind, f"0x{kind:04x}" if kind > 1500 else "LLC")


def _mac(address: bytes) -> str:
    return ":".join(f"{byte:02x}" for byte in address)


@cache
def _address(packed: bytes) -> str:
    return str(ipaddress.ip_address(packed))


def _arp(packet: Any, vlan: int | None) -> Meaning:
    asks = packet.op == arp.ARP_OP_REQUEST
    source, destination = _address(packet.spa), _address(packet.tpa)
    about = f"who has {destination}" if asks else f"{source} is at {_mac(packet.sha)}"
    return Meaning("ARP", source, None, destination, None, vlan, about)


def _ip(packet: Any, vlan: int | None) -> Meaning:
    inner = packet.data
    protocol, about = _protocol(packet, inner)
    ports = (inner.sport, inner.dport) if isinstance(inner, tcp.TCP | udp.UDP) else (None, None)
    return Meaning(protocol, _address(packet.src), ports[0], _address(packet.dst), ports[1], vlan, about)


def _protocol(packet: Any, inner: Any) -> tuple[str, str]:
    if isinstance(inner, icmp.ICMP):
        return "ICMP", _ICMP.get(inner.type, f"type {inner.type}")
    if isinstance(inner, icmp6.ICMP6):
        return "ICMPv6", _ICMP6.get(inner.type, f"type {inner.type}")
    if isinstance(inner, tcp.TCP):
        flags = " ".join(word for bit, word in _FLAGS if inner.flags & bit)
        return ("DNS" if _DNS_PORT in (inner.sport, inner.dport) else "TCP"), flags
    if isinstance(inner, udp.UDP):
        return _udp(inner)
    number = getattr(packet, "p", 0)
    names = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6"}  # a later fragment, or cut off
    return names.get(number) or str(ip.get_ip_proto_name(number) or f"IP {number}"), ""


def _udp(packet: Any) -> tuple[str, str]:
    ports = {packet.sport, packet.dport}
    if _DNS_PORT in ports or _MDNS_PORT in ports:
        return "DNS", _quietly(_dns_words, packet.data)
    if ports <= _DHCP_PORTS:
        return "DHCP", _quietly(_dhcp_words, packet.data)
    return "UDP", ""


def _quietly(words: Callable[[bytes], str], data: bytes) -> str:
    """What is said inside, unless it is damaged."""
    try:
        return words(data)
    except Exception:  # what guests send may be anything
        return ""


_DNS_TYPES = {1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV"}


def _dns_words(data: bytes) -> str:
    message = dns.DNS(data)
    asked = ", ".join(f"{one.name} {_DNS_TYPES.get(one.type, one.type)}" for one in message.qd[:2])
    failed = "" if not message.rcode else " unknown" if message.rcode == dns.DNS_RCODE_NXDOMAIN else " failed"
    return (asked + failed)[:80]


def _dhcp_words(data: bytes) -> str:
    options = dict(dhcp.DHCP(data).opts)
    return _DHCP[options[dhcp.DHCP_OPT_MSGTYPE][0] - 1]


@dataclass(frozen=True, slots=True)
class Flow:
    """What went one way between two ends; the other way has the same `conversation`.

    Attributes
    ----------
    conversation
        A number, 1 for the conversation with the most bytes.
    protocol
        ``ARP``, ``ICMP``, ``TCP``, ``UDP``, ``DHCP``, ``DNS``, or what else it is.
    source, source_port, destination, destination_port
        Addresses; the ports are None where the protocol has none.
    vlan
        The number in the frames' 802.1Q tag, None if they have none.
    packets, bytes
        How many, and how long they were on the wire.
    first_s, last_s
        When the first and the last came, in seconds after the first packet of the capture.
    answers
        Whether the other side has begun the conversation.
    about
        What it was about, such as the names that were asked for; a guest's words.
    """

    conversation: int
    protocol: str
    source: str
    source_port: int | None
    destination: str
    destination_port: int | None
    vlan: int | None
    packets: int
    bytes: int
    first_s: float
    last_s: float
    answers: bool
    about: str = ""


@dataclass(slots=True)
class _Tally:
    """What went one way so far."""

    meaning: Meaning
    first_s: float
    last_s: float
    answers: bool
    packets: int = 0
    bytes: int = 0
    about: dict[str, None] = field(default_factory=dict)

    def count(self, packet: Packet, about: str) -> None:
        self.packets += 1
        self.bytes += packet.length
        self.first_s, self.last_s = min(self.first_s, packet.time_s), max(self.last_s, packet.time_s)
        if about and len(self.about) <= _MOST_WORDS:
            self.about[about] = None

    def words(self) -> str:
        said = list(self.about)
        return ", ".join(said[:_MOST_WORDS]) + (", …" if len(said) > _MOST_WORDS else "")


_Key = tuple[Any, ...]


class Flows:
    """Counts packets by conversation and direction."""

    def __init__(self) -> None:
        self._tallies: dict[_Key, _Tally] = {}
        self._began_s = 0.0

    def add(self, packet: Packet) -> None:
        """Count a packet."""
        meaning = read(packet.frame)
        if not self._tallies:
            self._began_s = packet.time_s
        key = meaning[:6]
        tally = self._tallies.get(key)
        if tally is None:
            answers = _turned(key) in self._tallies and _turned(key) != key
            tally = self._tallies[key] = _Tally(meaning, packet.time_s, packet.time_s, answers)
        tally.count(packet, meaning.about)

    def table(self) -> tuple[Flow, ...]:
        """The flows: conversations with most bytes first, in each the way first that began it."""
        together: dict[frozenset[_Key], list[_Tally]] = {}
        for key, tally in list(self._tallies.items()):
            together.setdefault(frozenset((key, _turned(key))), []).append(tally)
        ordered = sorted(together.values(), key=lambda ways: -sum(way.bytes for way in ways))
        return tuple(self._flow(number, way) for number, ways in enumerate(ordered, 1) for way in _in_order(ways))

    def _flow(self, number: int, way: _Tally) -> Flow:
        began = self._began_s
        return Flow(
            number, *way.meaning[:6], way.packets, way.bytes, round(way.first_s - began, 6),
            round(way.last_s - began, 6), way.answers, way.words(),
        )  # fmt: skip


def _turned(key: Sequence[Any]) -> _Key:
    """The key of the other direction."""
    protocol, source, source_port, destination, destination_port, vlan = key
    return protocol, destination, destination_port, source, source_port, vlan


def _in_order(ways: list[_Tally]) -> list[_Tally]:
    return sorted(ways, key=lambda way: way.answers)
