"""A Xen domain's XML, built from typed elements.

Source: https://libvirt.org/drvxen.html, https://libvirt.org/formatdomain.html
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from ..errors import InvalidValue
from ._domain import AGENT, NAMESPACE
from .spec import NetworkInterface, XenSpec

KINDS = ("pvh", "pv", "hvm")
MOST_VCPUS = 4
# What libvirt calls them: the type of its <os>, and the machine.
_TYPES = {"pv": ("linux", "xenpv"), "pvh": ("xenpvh", "xenpvh"), "hvm": ("hvm", "xenfv")}


def check_kind(kind: object) -> str:
    """`kind`, or `InvalidValue` unless it is one of `KINDS`."""
    if kind not in KINDS:
        raise InvalidValue(f"{ascii(kind)[:40]} is not a kind of Xen machine", hint=f"use one of {', '.join(KINDS)}")
    return str(kind)


@dataclass(frozen=True, slots=True)
class XenDomain:
    """All that a domain's XML says.

    Attributes
    ----------
    spec
        The machine.
    uuid
        Its own.
    kernel, initrd, disk
        What is booted and the block device, as domain 0 has them.
    cmdline
        What the image has its kernel told on a PC.
    bridges
        The bridge of each network.
    """

    spec: XenSpec
    uuid: str
    kernel: Path
    initrd: Path
    cmdline: str
    disk: Path
    bridges: Mapping[str, str]

    def xml(self) -> str:
        """The XML as text."""
        return ElementTree.tostring(self._element(), encoding="unicode")

    def _element(self) -> Element:
        spec = self.spec
        root = Element("domain", type="xen")
        _text(root, "name", spec.name)
        _text(root, "uuid", self.uuid)
        root.append(_note(spec))
        _text(root, "memory", str(spec.memory_bytes // 1024), unit="KiB")
        _text(root, "vcpu", str(max(MOST_VCPUS, spec.vcpus)), current=str(spec.vcpus))
        kind, machine = _TYPES[spec.kind]
        system = SubElement(root, "os")
        _text(system, "type", kind, arch="x86_64", machine=machine)
        _text(system, "kernel", str(self.kernel))
        _text(system, "initrd", str(self.initrd))
        words = self.cmdline.replace("/dev/vda", "/dev/xvda").replace("console=ttyS0", "console=hvc0")
        _text(system, "cmdline", words)
        if spec.kind != "pv":
            features = SubElement(root, "features")
            for name in ("acpi", "apic", "pae") if spec.kind == "hvm" else ("acpi",):
                SubElement(features, name)
        SubElement(root, "clock", offset="utc")
        for event, reaction in (("poweroff", "destroy"), ("reboot", "restart"), ("crash", "destroy")):
            _text(root, f"on_{event}", reaction)
        self._add_devices(SubElement(root, "devices"))
        return root

    def _add_devices(self, devices: Element) -> None:
        disk = SubElement(devices, "disk", type="block", device="disk")
        SubElement(disk, "driver", name="phy")
        SubElement(disk, "source", dev=str(self.disk))
        SubElement(disk, "target", dev="xvda", bus="xen")
        for card in self.spec.interfaces:
            devices.append(interface_element(self.spec.name, card, self.bridges[card.network]))
        SubElement(SubElement(devices, "console", type="pty"), "target", type="xen", port="0")
        channel = SubElement(devices, "channel", type="unix")
        SubElement(channel, "target", type="xen", name=AGENT)


def interface_element(machine: str, card: NetworkInterface, bridge: str) -> Element:
    """A network card on a bridge of domain 0; named, for of one that is plugged in libvirt learns no name."""
    element = Element("interface", type="bridge")
    SubElement(element, "mac", address=card.mac)
    SubElement(element, "source", bridge=bridge)
    SubElement(element, "script", path="vif-bridge")
    SubElement(element, "target", dev=link_name(machine, card.network))
    SubElement(element, "model", type="netfront")
    return element


def link_name(machine: str, network: str) -> str:
    """What a card's end in domain 0 is called: with ``-emu``, which a whole PC's has besides, 15 characters."""
    return "xv" + hashlib.sha256(f"{machine}/{network}".encode()).hexdigest()[:9]


def _note(spec: XenSpec) -> Element:
    metadata = Element("metadata")
    SubElement(metadata, f"{{{NAMESPACE}}}machine").text = json.dumps(asdict(spec))
    return metadata


def read_spec(xml: str) -> XenSpec | None:
    """The specification noted in a domain's XML, or None if labkit did not make it."""
    note = ElementTree.fromstring(xml).find(f"metadata/{{{NAMESPACE}}}machine")
    return spec_of(note.text) if note is not None and note.text else None


def spec_of(text: str) -> XenSpec:
    """The specification from what was noted of it."""
    words = json.loads(text)
    words["interfaces"] = tuple(NetworkInterface(**card) for card in words["interfaces"])
    return XenSpec(**words)


def with_spec(xml: str, spec: XenSpec) -> str:
    """A domain's XML with another specification noted in it."""
    root = ElementTree.fromstring(xml)
    for old in root.findall("metadata"):
        root.remove(old)
    root.append(_note(spec))
    return ElementTree.tostring(root, encoding="unicode")


def _text(parent: Element, tag: str, text: str, **attributes: str) -> None:
    SubElement(parent, tag, attributes).text = text
