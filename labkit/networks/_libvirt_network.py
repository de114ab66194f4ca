"""A libvirt network on one host."""

from __future__ import annotations

from xml.etree.ElementTree import Element, tostring

import libvirt

_DHCP = libvirt.VIR_NETWORK_SECTION_IP_DHCP_HOST
_DNS = libvirt.VIR_NETWORK_SECTION_DNS_HOST
_LIVE = libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE


class LibvirtNetwork:
    """What a lab network needs of libvirt's."""

    def __init__(self, network: libvirt.virNetwork) -> None:
        self._network = network

    def update(self, dhcp: Element, dns: Element, *, remove: bool = False) -> None:
        """Make DHCP and DNS know a machine, or forget it; what is stale is replaced."""
        for section, element in ((_DHCP, dhcp), (_DNS, dns)):
            xml = tostring(element, encoding="unicode")
            try:
                self._update(section, xml, remove=remove)
            except libvirt.libvirtError:
                if remove:
                    continue  # it was not there
                self._update(section, xml, remove=True)
                self._update(section, xml, remove=False)

    def _update(self, section: int, xml: str, *, remove: bool) -> None:
        command = libvirt.VIR_NETWORK_UPDATE_COMMAND_DELETE if remove else libvirt.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST
        self._network.update(command, section, -1, xml, _LIVE)
