"""What Vagrant needs on the host of a lab whose libvirt it uses, made once and without copying the box."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from ipaddress import IPv4Network
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from .._paths import disk_room
from ..errors import DaemonFailed
from ..storage import _system, box
from ._login import make_key
from .base import Host

POOL, NETWORK = "default", "labkit-vagrant"
SUBNET = IPv4Network("198.19.200.0/24")
GATEWAY = str(SUBNET[1])
_GATEWAY_MAC = "52:54:00:c8:01:01"
POOL_FOLDER = "/var/lib/libvirt/images"
_DNSMASQ = "http://libvirt.org/schemas/network/dnsmasq/1.0"
ElementTree.register_namespace("dnsmasq", _DNSMASQ)
_LINKS = 'for path in "$1"/*-sock; do ln -sf "$path" /run/libvirt/; done'
_PLACE = 'mkdir -p "$1" && ln -sfn "$2" "$1/$3"'


def virsh(*words: str) -> list[str]:
    """A command of virsh for the system's libvirt, in English."""
    return ["env", "LC_ALL=C", "virsh", "-q", "-c", "qemu:///system", *words]


def prepare(host: Host, home: Path, made: box.Box) -> None:
    """Have libvirt, its pool and its network there, and the box where Vagrant and libvirt look for it."""
    host.start_libvirt()
    with disk_room(home):
        # Programs inside look for libvirt's sockets where a system has them.
        host.run(["sh", "-euc", _LINKS, "sh", str(host.sockets / "libvirt")], check=True)
        add_box(home, made)
        # The pool's volume is the box itself: Vagrant would upload 800 MB for each lab.
        host.run(["sh", "-euc", _PLACE, "sh", POOL_FOLDER, str(made.disk), volume(made)], check=True)
        _have_pool(host, volume(made))
        _have_network(host)
        _have_key(host, key(home))


def add_box(home: Path, made: box.Box) -> None:
    """Let Vagrant find the box among its own, in `home`, without unpacking one; one that was unpacked there stays."""
    folder = home / "boxes" / made.name.replace("/", "-VAGRANTSLASH-") / box.VERSION
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "libvirt"
    if not link.exists() or (link.is_symlink() and link.readlink() != made.folder):
        link.unlink(missing_ok=True)
        link.symlink_to(made.folder)


def volume(made: box.Box) -> str:
    """What the plugin calls the volume that it makes of the box."""
    return f"{made.name.replace('/', '-VAGRANTSLASH-')}_vagrant_box_image_{box.VERSION}_box.img"


def key(home: Path) -> Path:
    """The private key with which the hosts of one project are reached."""
    return home / "key"


def command_line(home: Path) -> str:
    """What the kernel of the box is told: who may log in, so that Vagrant's well-known key never may."""
    public = key(home).with_suffix(".pub").read_bytes().strip()
    return f"{_system.CMDLINE} labkit.authorize={base64.b64encode(public).decode()}"


def network_xml() -> str:
    """Vagrant's own network in a lab: it leads to the lab's other hosts only, and gives out addresses at once."""
    top = Element("network")
    SubElement(top, "name").text = NETWORK
    SubElement(top, "forward", mode="open")  # which has no way out of the lab
    SubElement(top, "bridge", name="virbr-vagrant", stp="off", delay="0")
    SubElement(top, "mtu", size="9000")  # as that between hosts
    SubElement(top, "mac", address=_GATEWAY_MAC)  # which a machine from another lab's memory knows
    address = SubElement(top, "ip", address=GATEWAY, netmask=str(SUBNET.netmask))
    SubElement(SubElement(address, "dhcp"), "range", start=str(SUBNET[2]), end=str(SUBNET[-2]))
    # dnsmasq would first ping each address for three seconds.
    SubElement(SubElement(top, f"{{{_DNSMASQ}}}options"), f"{{{_DNSMASQ}}}option", value="no-ping")
    return ElementTree.tostring(top, encoding="unicode")


def _have_pool(host: Host, volume: str) -> None:
    if not host.run(virsh("pool-info", POOL)).ok:
        _spoken(host, virsh("pool-define-as", POOL, "dir", "--target", POOL_FOLDER))
    if "running" not in host.run(virsh("pool-info", POOL)).stdout:
        _spoken(host, virsh("pool-start", POOL))
    elif not host.run(virsh("vol-info", volume, "--pool", POOL)).ok:
        _spoken(host, virsh("pool-refresh", POOL))


def _have_network(host: Host) -> None:
    told = host.run(virsh("net-info", NETWORK))
    if not told.ok:
        _spoken(host, virsh("net-define", "/dev/stdin"), network_xml())
    if "Active:         yes" not in host.run(virsh("net-info", NETWORK)).stdout:
        _spoken(host, virsh("net-start", NETWORK))


def _spoken(host: Host, argv: Sequence[str], input: str = "") -> None:
    done = host.run(argv, input=input)
    if not done.ok:
        raise DaemonFailed(
            f"libvirt could not be made ready for Vagrant: {done.stderr.strip()[-500:]}",
            host=host.name, hint="`labkit doctor` checks what libvirt needs",
        )  # fmt: skip


def _have_key(host: Host, path: Path) -> None:
    if not path.with_suffix(".pub").exists():
        path.unlink(missing_ok=True)
        make_key(host, path)
