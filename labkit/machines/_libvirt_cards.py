"""The network cards of a virtual machine, plugged in and out by libvirt."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import libvirt

from .._progress import check_cancelled
from ..errors import DeadlineExceeded, NotFound
from ._cards import card_on
from ._domain import NAMESPACE, spec_text
from ._libvirt import spoken

if TYPE_CHECKING:
    from ._kvm_machine import KvmMachine
    from ._libvirt_machine import LibvirtMachine
    from .spec import KvmSpec, MachineSpec, NetworkInterface

_UNPLUG_S = 20
_SLOWLY_S = 0.02
_LIVE, _CONFIG = libvirt.VIR_DOMAIN_AFFECT_LIVE, libvirt.VIR_DOMAIN_AFFECT_CONFIG


def _element(machine: LibvirtMachine, mac: str, *, config: bool = False) -> Element | None:
    """What libvirt says of the card with this MAC; of the next start if `config`."""
    with spoken(machine.host.name, machine.name):
        xml = machine.domain().XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE if config else 0)
    cards = ElementTree.fromstring(xml).iterfind("devices/interface")
    return next((card for card in cards if card.find(f"mac[@address='{mac}']") is not None), None)


def _text(element: Element) -> str:
    return ElementTree.tostring(element, encoding="unicode")


def plug(machine: LibvirtMachine, card: NetworkInterface, element: Element, *, live: bool) -> None:
    """Give it a card, unless it has it already: one who died while doing so may have left it."""
    for flag in [_LIVE, _CONFIG] if live else [_CONFIG]:
        if _element(machine, card.mac, config=flag == _CONFIG) is None:
            with spoken(machine.host.name, machine.name):
                machine.domain().attachDeviceFlags(_text(element), flag)


def unplug(machine: LibvirtMachine, card: NetworkInterface, *, live: bool) -> None:
    """Take a card away and, if it runs, wait until the guest has let go of it."""
    deadline = time.monotonic() + _UNPLUG_S
    for flag in [_LIVE, _CONFIG] if live else [_CONFIG]:
        if (element := _element(machine, card.mac, config=flag == _CONFIG)) is not None:
            with spoken(machine.host.name, machine.name):
                machine.domain().detachDeviceFlags(_text(element), flag)
    while live and _element(machine, card.mac) is not None:
        check_cancelled()
        if time.monotonic() > deadline:
            raise DeadlineExceeded(
                f"{machine.name} did not let go of its card on {card.network} within {_UNPLUG_S} s",
                hint="stop() it first", machine=machine.name, host=machine.host.name,
            )  # fmt: skip
        time.sleep(_SLOWLY_S)


def host_link(machine: LibvirtMachine, network: str) -> str:
    """The tap device of a card."""
    card = card_on(machine, network)
    element = _element(machine, card.mac)
    target = None if element is None else element.find("target")
    if target is None:
        raise NotFound(
            f"{machine.name} has no link to {network} now", machine=machine.name, host=machine.host.name,
            hint="start() it first",
        )  # fmt: skip
    return target.attrib["dev"]


def set_carrier(machine: KvmMachine, network: str, *, up: bool) -> None:
    """Have the guest see that the cable is plugged in, or not."""
    card = card_on(machine, network)
    if (element := _element(machine, card.mac)) is None:
        return
    for old in element.findall("link"):
        element.remove(old)
    SubElement(element, "link", state="up" if up else "down")
    with spoken(machine.host.name, machine.name):
        machine.domain().updateDeviceFlags(_text(element), _LIVE)


def note(machine: KvmMachine, spec: KvmSpec) -> None:
    """Keep in the domain what it is now."""
    element = Element("machine")
    element.text = spec_text(spec)
    with spoken(machine.host.name, machine.name):
        domain = machine.domain()
        domain.setMetadata(
            libvirt.VIR_DOMAIN_METADATA_ELEMENT, _text(element), "labkit", NAMESPACE,
            _CONFIG | (_LIVE if domain.isActive() else 0),
        )  # fmt: skip


def after_revert(machine: LibvirtMachine, spec: MachineSpec | None) -> None:
    """A snapshot brings back the cards that it had then: take their addresses again, and free the others."""
    if spec is None or spec.interfaces == machine.spec.interfaces:
        return
    networks = machine.host.lab.networks
    for card in set(machine.spec.interfaces) - set(spec.interfaces):
        with contextlib.suppress(NotFound):
            networks[card.network].release(machine.name)
    for card in set(spec.interfaces) - set(machine.spec.interfaces):
        dhcp = machine.asks_dhcp
        networks[card.network].reserve(machine.name, dhcp=dhcp, address=card.address, mac=card.mac)
        networks[card.network].announce(machine.name, card, dhcp=dhcp)
    machine.spec = spec
