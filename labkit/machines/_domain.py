"""A domain's XML, built from typed elements.

Source: https://libvirt.org/formatdomain.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from ..errors import InvalidValue
from ..hosts.acceleration import SLOW_FLAGS
from .spec import KvmSpec, NetworkInterface

NAMESPACE = "https://labkit.invalid/machine"
AGENT = "org.qemu.guest_agent.0"
MOST_VCPUS = 8
_TWO_PAGES = 8192
ElementTree.register_namespace("labkit", NAMESPACE)
_BALLOON_PERIOD_S = "2"  # how often the guest tells of its memory
_QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"
ElementTree.register_namespace("qemu", _QEMU)


def check_vcpus(vcpus: object, most: int = MOST_VCPUS) -> None:
    """Raise `InvalidValue` unless `vcpus` is a number of processors from 1 to `most`."""
    if isinstance(vcpus, bool) or not isinstance(vcpus, int) or not 1 <= vcpus <= most:
        raise InvalidValue(f"{ascii(vcpus)[:60]} is not a number of processors", hint=f"give 1 to {most}")


@dataclass(frozen=True, slots=True)
class Domain:
    """All that a domain's XML says.

    Attributes
    ----------
    spec
        The machine; each interface needs a `bridge network` of its name on the host.
    uuid, accelerated
        ``accelerated`` is whether KVM works.
    kernel, initrd, cmdline
        What is booted, without a boot loader.
    disk, console_log
        A qcow2 file, and the file that keeps what the serial console says.
    plugged
        False for a template, whose interfaces lead nowhere.
    """

    spec: KvmSpec
    uuid: str
    accelerated: bool
    kernel: Path
    initrd: Path
    cmdline: str
    disk: Path
    console_log: Path
    plugged: bool = True

    def element(self) -> Element:
        """The XML as an element."""
        root = Element("domain", type="kvm" if self.accelerated else "qemu")
        _text(root, "name", self.spec.name)
        _text(root, "uuid", self.uuid)
        SubElement(root, "genid")
        note = SubElement(SubElement(root, "metadata"), f"{{{NAMESPACE}}}machine")
        note.text = spec_text(self.spec)
        _text(root, "memory", str(self.spec.memory_bytes // 1024), unit="KiB")
        most = max(MOST_VCPUS, self.spec.vcpus)
        _text(root, "vcpu", str(most), current=str(self.spec.vcpus))
        self._add_boot(root)
        features = SubElement(root, "features")
        SubElement(features, "acpi")
        SubElement(features, "apic")
        processor = SubElement(root, "cpu", mode="host-passthrough" if self.accelerated else "maximum")
        for flag in () if self.accelerated else SLOW_FLAGS:
            SubElement(processor, "feature", policy="disable", name=flag)
        SubElement(root, "clock", offset="utc")
        _text(root, "on_crash", "destroy")
        self._add_devices(SubElement(root, "devices"))
        if not self.accelerated:
            self._add_odd_memory(root)
        # With this libvirt (9) asks QEMU for each of 420 flags of the processor, one by one, whenever a machine
        # starts: a sixth of the time of an instant one. Without it two questions tell the same.
        known = SubElement(root, f"{{{_QEMU}}}capabilities")
        SubElement(known, f"{{{_QEMU}}}del", capability="cpu-unavailable-features")
        return root

    def _add_odd_memory(self, root: Element) -> None:
        """Give an emulated machine two pages less, in a memory that QEMU looks through page by page.

        Until QEMU 9 its emulator forgets writes while a machine moves: where memory is a multiple of 64 pages,
        it notes 64 as read at once and does not tell the processor, which goes on writing unnoticed
        ("physmem: fix migration dirty bitmap coherency with TCG memory access").
        """
        size = self.spec.memory_bytes - _TWO_PAGES
        line = SubElement(root, f"{{{_QEMU}}}commandline")
        for word in ("-object", f"memory-backend-ram,id=odd.ram,size={size}", "-machine", "memory-backend=odd.ram",
                     "-m", f"size={size // 1024}k"):  # fmt: skip
            SubElement(line, f"{{{_QEMU}}}arg", value=word)

    def xml(self) -> str:
        """The XML as text."""
        return ElementTree.tostring(self.element(), encoding="unicode")

    def _add_boot(self, root: Element) -> None:
        system = SubElement(root, "os")
        _text(system, "type", "hvm", arch="x86_64", machine="q35")
        _text(system, "kernel", str(self.kernel))
        _text(system, "initrd", str(self.initrd))
        _text(system, "cmdline", self.cmdline)

    def _add_devices(self, devices: Element) -> None:
        disk = SubElement(devices, "disk", type="file", device="disk")
        SubElement(disk, "driver", name="qemu", type="qcow2", cache="writeback", discard="unmap")
        SubElement(disk, "source", file=str(self.disk))
        SubElement(disk, "target", dev="vda", bus="virtio")
        serial = SubElement(devices, "serial", type="pty")
        SubElement(serial, "log", file=str(self.console_log), append="on")
        channel = SubElement(devices, "channel", type="unix")
        SubElement(channel, "target", type="virtio", name=AGENT)
        for interface in self.spec.interfaces:
            devices.append(interface_element(interface, plugged=self.plugged))
        if self.spec.graphics:
            SubElement(SubElement(devices, "video"), "model", type="vga", vram="8192")
            SubElement(SubElement(devices, "graphics", type="vnc"), "listen", type="socket")
        SubElement(SubElement(devices, "memballoon", model="virtio"), "stats", period=_BALLOON_PERIOD_S)
        rng = SubElement(devices, "rng", model="virtio")
        _text(rng, "backend", "/dev/urandom", model="random")
        SubElement(devices, "panic", model="isa")  # the guest's kernel tells of its end; see on_crash
        SubElement(devices, "controller", type="usb", model="none")
        SubElement(devices, "controller", type="pci", model="pcie-root")
        for _ in range(9):  # a port for each device, and four for what is plugged in later
            SubElement(devices, "controller", type="pci", model="pcie-root-port")


def spec_text(spec: KvmSpec) -> str:
    """The specification as it is noted in a domain's XML."""
    return json.dumps(asdict(spec))


def alias(network: str) -> str:
    """What libvirt calls the card that a machine got while it was there already."""
    return f"ua-net-{network}"


def interface_element(interface: NetworkInterface, *, plugged: bool = True) -> Element:
    """A network interface; unplugged it is a tap device that leads nowhere."""
    card = Element("interface", type="network" if plugged else "ethernet")
    SubElement(card, "mac", address=interface.mac)
    if plugged:
        SubElement(card, "source", network=interface.network)
    SubElement(card, "model", type="virtio")
    SubElement(card, "driver", name="qemu")  # the same with and without /dev/vhost-net
    return card


def _text(parent: Element, tag: str, text: str, **attributes: str) -> None:
    SubElement(parent, tag, attributes).text = text


def read_spec(xml: str) -> KvmSpec | None:
    """The specification noted in a domain's XML, or None if labkit did not make it."""
    note = ElementTree.fromstring(xml).find(f"metadata/{{{NAMESPACE}}}machine")
    if note is None or not note.text:
        return None
    words = json.loads(note.text)
    words["interfaces"] = tuple(NetworkInterface(**card) for card in words["interfaces"])
    return KvmSpec(**words)


def rename(xml: str, domain: Domain) -> str:
    """Give a saved domain the identity of another whose hardware is the same.

    Keeps every address and alias of the saved hardware; replaces the name, UUID, notes, disk, log
    and network interfaces' ends.
    """
    root = ElementTree.fromstring(xml)
    new = domain.element()
    for tag in ("name", "uuid"):
        _find(root, tag).text = _find(new, tag).text
    for old in [*root.findall("metadata"), *root.findall("genid"), *root.findall("title")]:
        root.remove(old)
    root.append(_find(new, "metadata"))
    root.append(_find(new, "genid"))
    _find(root, "devices/disk/source").set("file", str(domain.disk))
    _forget_backing(_find(root, "devices/disk"))
    for log in root.iterfind("devices/*/log"):
        log.set("file", str(domain.console_log))
    _forget(root.iterfind("devices/channel"), "source")
    for graphics in root.iterfind("devices/graphics"):  # its socket's path has the name
        graphics.attrib.pop("socket", None)
        for listen in graphics.iterfind("listen"):
            listen.attrib.pop("socket", None)
    cards = root.findall("devices/interface")
    for card, interface in zip(cards, domain.spec.interfaces, strict=True):
        _plug(card, interface)
    return ElementTree.tostring(root, encoding="unicode")


def _find(root: Element, path: str) -> Element:
    found = root.find(path)
    if found is None:
        raise ValueError(f"the saved domain has no {path}")
    return found


def _forget(elements: Iterable[Element], *tags: str) -> None:
    for element in elements:
        for tag in tags:
            for child in element.findall(tag):
                element.remove(child)


def _forget_backing(disk: Element) -> None:
    _forget([disk], "backingStore")


def _plug(card: Element, interface: NetworkInterface) -> None:
    card.set("type", "network")
    _forget([card], "source", "target", "script", "backend")
    _find(card, "mac").set("address", interface.mac)
    SubElement(card, "source", network=interface.network)
