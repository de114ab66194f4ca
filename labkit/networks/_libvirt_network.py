"""A libvirt network on one host."""

from __future__ import annotations

import contextlib
from xml.etree.ElementTree import Element, SubElement, tostring

import libvirt

from ..machines._libvirt import spoken

_DHCP = libvirt.VIR_NETWORK_SECTION_IP_DHCP_HOST
_DNS = libvirt.VIR_NETWORK_SECTION_DNS_HOST
_ADD = libvirt.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST
_DELETE = libvirt.VIR_NETWORK_UPDATE_COMMAND_DELETE


class LibvirtNetwork:
    """What a lab network needs of libvirt's."""

    def __init__(self, network: libvirt.virNetwork, host: str) -> None:
        self._network = network
        self._host = host

    @property
    def uuid(self) -> str:
        """What tells it from those that have, or had, its name."""
        return str(self._network.UUIDString())

    def announce(self, name: str, mac: str, address: str, *, dhcp: bool, dns: bool) -> None:
        """Make DHCP and DNS know a machine; what they knew of its name or address is replaced."""
        parts = []
        if dhcp:
            stale = [_dhcp(name=name), _dhcp(ip=address)]
            parts.append((_DHCP, _dhcp(mac=mac, name=name, ip=address), stale))
        if dns:
            parts.append((_DNS, _dns([name], ip=address), [_dns([name]), _dns([], ip=address)]))
        with spoken(self._host, name):
            for section, whole, stale in parts:
                try:
                    self._update(_ADD, section, whole)
                except libvirt.libvirtError:
                    for part in stale:
                        with contextlib.suppress(libvirt.libvirtError):
                            self._update(_DELETE, section, part)
                    self._update(_ADD, section, whole)

    def forget(self, name: str, mac: str, address: str, *, dhcp: bool, dns: bool) -> None:
        """Make DHCP and DNS forget a machine, if they know it."""
        parts = []
        if dhcp:
            parts.append((_DHCP, _dhcp(mac=mac, name=name, ip=address)))
        if dns:
            parts.append((_DNS, _dns([name], ip=address)))
        for section, whole in parts:
            with contextlib.suppress(libvirt.libvirtError):
                self._update(_DELETE, section, whole)

    def wake(self, spare: str, *, dns: bool) -> None:
        """Have libvirt start the network's dnsmasq if it has ended: it looks with each change.

        Parameters
        ----------
        spare
            An address of the network that no machine has.
        dns
            Whether DNS is served; else DHCP is.
        """
        section, entry = _DHCP, _dhcp(mac="52:54:00:00:00:00", name="labkit-wake", ip=spare)
        if dns:
            section, entry = _DNS, _dns(["labkit-wake"], ip=spare)
        with spoken(self._host):
            self._update(_ADD, section, entry)
            self._update(_DELETE, section, entry)

    def _update(self, command: int, section: int, element: Element) -> None:
        xml = tostring(element, encoding="unicode")
        self._network.update(command, section, -1, xml, libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE)


def _dhcp(**attributes: str) -> Element:
    return Element("host", attributes)


def _dns(names: list[str], **attributes: str) -> Element:
    host = Element("host", attributes)
    for name in names:
        SubElement(host, "hostname").text = name
    return host
