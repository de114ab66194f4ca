"""The doctor's checks of programs: QEMU, libvirt, tools, and the engines that may be missing."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import _cgroups
from ._checks import Finding, as_root, fail, find_program, install, note, ok, run
from .acceleration import QEMU, acceleration, obstacle

if TYPE_CHECKING:
    from ..storage.images import Image

_VERSION = re.compile(r"\d+\.\d[\w.]*")
_NO_MACHINES = "Labs have no virtual machines."


def _version(path: str) -> tuple[str, str]:
    """The version that a program tells, and why it tells none; one of the two is ""."""
    ran = run([path, "--version"])
    match = _VERSION.search(ran.stdout)
    return (match[0], "") if ran.ok and match else ("", ran.said)


def _versioned(name: str, path: str, meaning: str, package: str) -> Finding:
    version, trouble = _version(path)
    if version:
        return ok(name, f"{path}, version {version}", meaning)
    fix = as_root(f"apt-get install --reinstall {package}")
    return fail(name, f"{path} does not run: {trouble}", _NO_MACHINES, fix)


# ── Virtual machines ──────────────────────────────────────────────────────────────────────────


def qemu() -> Finding:
    """The program that virtual machines run in."""
    if path := find_program(QEMU):
        return _versioned("QEMU", path, "Virtual machines can run.", "qemu-system-x86")
    return fail("QEMU", f"{QEMU} is not installed", _NO_MACHINES, install(QEMU))


def kvm(*, build_image: bool) -> Finding:
    """Hardware acceleration, by booting a guest on it."""
    answer = obstacle()
    if answer is None:
        image = _small_image(build=build_image)
        if image is None:
            found = "there, but not tried: the image to boot on it is not built yet"
            meaning = "It is tried when the first machine is made."
            return note("/dev/kvm", found, meaning, "labkit image build")
        answer = acceleration(image=image)
    if answer.is_kvm:
        return ok("/dev/kvm", answer.reason, "Virtual machines run at the processor's own speed.")
    meaning = "Virtual machines run emulated. Everything works, only slower."
    return note("/dev/kvm", answer.reason, meaning, answer.fix)


def _small_image(*, build: bool = False) -> Image | None:
    """The image *small*, whole; None if it is not built and is not to be."""
    from ..storage import images

    return images.get("small") if build or images.find("small") else None


def libvirt_daemon() -> Finding:
    """The daemon of libvirt: the one for all, or the modular ones."""
    name, meaning = "libvirt daemon", "Hosts can start their own."
    for daemons in (["libvirtd"], ["virtqemud", "virtnetworkd"]):
        paths = [find_program(daemon) for daemon in daemons]
        if all(paths):
            return _versioned(name, paths[0], meaning, "libvirt-daemon")
    missing = "virtnetworkd" if find_program("virtqemud") else "libvirtd"
    return fail(name, f"{missing} is not installed", _NO_MACHINES, install(missing))


_DRIVER_FOLDERS = (
    "/usr/lib/*/libvirt/connection-driver",
    "/usr/lib/libvirt/connection-driver",
    "/usr/lib64/libvirt/connection-driver",
)


def libvirt_drivers() -> Finding:
    """The modules that libvirt's daemon loads for QEMU and for networks."""
    name = "libvirt drivers"
    for driver, lost in (("qemu", _NO_MACHINES), ("network", "Machines have no networks.")):
        patterns = (f"{folder}/libvirt_driver_{driver}.so" for folder in _DRIVER_FOLDERS)
        if not any(glob.glob(pattern) for pattern in patterns):
            program = {"qemu": "virtqemud", "network": "virtnetworkd"}[driver]
            return fail(name, f"the driver for {driver} is missing", lost, install(program))
    return ok(name, "QEMU and networks", "Hosts can run virtual machines and networks.")


def libvirt_python() -> Finding:
    """The library with which labkit speaks to libvirt, loaded in another process."""
    name = "libvirt for Python"
    ran = run([sys.executable, "-c", "import libvirt; print(libvirt.getVersion())"])
    if ran.ok:
        number = int(ran.stdout)
        version = f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"
        return ok(name, f"can be loaded, with libvirt {version}", "labkit can speak to libvirt.")
    lacks_library = "libvirt.so" in ran.stderr or "libvirt-qemu.so" in ran.stderr
    pip = f"{sys.executable} -m pip install --force-reinstall libvirt-python"
    fix = as_root("apt-get install libvirt0") if lacks_library else pip
    return fail(name, f"cannot be loaded: {ran.said}", _NO_MACHINES, fix)


# ── Tools ─────────────────────────────────────────────────────────────────────────────────────

# Program: what it is for, and what goes without it.
_TOOLS = {
    "qemu-img": ("Disks of machines can be made.", "Machines have no disks."),
    "dnsmasq": ("Networks give out addresses and names.", "Networks with DHCP do not start."),
    "ip": ("Hosts can be connected.", "Hosts cannot be connected, so no lab can start."),
    "setpriv": ("A probe ends when labkit is killed.", "KVM cannot be tried."),
    "ssh-keygen": ("Machines get SSH keys of their own.", "Machines cannot get SSH keys."),
}
_BUILDERS = ("mmdebstrap", "mkfs.ext4")


def tools() -> list[Finding]:
    """The small programs that labs call."""
    findings = []
    for name, (meaning, lost) in _TOOLS.items():
        if path := find_program(name):
            findings.append(ok(name, path, meaning))
        else:
            findings.append(fail(name, "not installed", lost, install(name)))
    return findings


def builders() -> list[Finding]:
    """The programs that build images, needed until the image is built."""
    findings = []
    for name in _BUILDERS:
        if path := find_program(name):
            findings.append(ok(name, path, "Images can be built."))
        elif _small_image():
            meaning = "The image that is there can be used. No other can be built."
            findings.append(note(name, "not installed", meaning, install(name)))
        else:
            meaning = "No image can be built, and there is none yet."
            findings.append(fail(name, "not installed", meaning, install(name)))
    return findings


# ── What a lab can do without ─────────────────────────────────────────────────────────────────

# What is shown: program, what it brings, what goes without it.
_EXTRAS = {
    "tcpdump": ("tcpdump", "Packets can be captured.", "Packets of networks cannot be captured."),
    "LXC": (
        "lxc-start",
        "LXC machines can be made.",
        "LXC machines are not available. `./lab packages` installs it and starts none of its services.",
    ),
    "way out": (
        "pasta",
        "A network can lead out of its lab where that is asked for, with uplink=True.",
        "No network can lead out of its lab, not even with uplink=True.",
    ),
    "Graphviz": (
        "dot",
        "The picture of a lab has few crossing lines.",
        "The picture of a lab has more crossing lines.",
    ),
}


def extras(names: Iterable[str] = tuple(_EXTRAS)) -> list[Finding]:
    """Engines, host providers and tools that are not needed."""
    findings = []
    for name, (program, meaning, lost) in ((name, _EXTRAS[name]) for name in names):
        if path := find_program(program):
            findings.append(ok(name, path, meaning))
        else:
            found = f"{program} is not installed"
            findings.append(note(name, found, lost, install(program)))
    return findings


_PLUGINS = (
    "/usr/share/rubygems-integration/*/gems/vagrant-libvirt-*",
    "/opt/vagrant/embedded/gems/*/gems/vagrant-libvirt-*",
    os.path.expanduser("~/.vagrant.d/gems/*/gems/vagrant-libvirt-*"),
)


def vagrant() -> list[Finding]:
    """Vagrant and its plugin for libvirt, which make hosts that are virtual machines."""
    lost = "Vagrant hosts are not available. `./lab packages vagrant` installs what they need."
    path = find_program("vagrant")
    if not path:
        return [note("Vagrant", "vagrant is not installed", lost, install("vagrant"))]
    version, trouble = _version(path)
    if not version:
        fix = as_root("apt-get install --reinstall vagrant")
        return [note("Vagrant", f"{path} does not run: {trouble}", lost, fix)]
    first = ok("Vagrant", f"{path}, version {version}", "Hosts can be made by Vagrant.")
    # Asking Vagrant for its plugins would make it write into the user's home.
    found = sorted(place for pattern in _PLUGINS for place in glob.glob(pattern))
    if not found:
        missing = "the plugin vagrant-libvirt is not installed"
        return [first, note("Vagrant and libvirt", missing, lost, install("vagrant"))]
    meaning = "Vagrant can use the libvirt of a lab's host."
    return [first, ok("Vagrant and libvirt", os.path.basename(found[-1]), meaning)]


def docker() -> list[Finding]:
    """What hosts start their own Docker daemon from; one that runs on this machine is not touched."""
    lost = "Docker machines are not available."
    for program in ("dockerd", "containerd", "runc"):
        if not find_program(program):
            return [note("Docker", f"{program} is not installed", lost, install(program))]
    path = find_program("dockerd") or ""
    version, trouble = _version(path)
    if not version:
        fix = as_root("apt-get install --reinstall docker.io")
        return [note("Docker", f"{path} does not run: {trouble}", lost, fix)]
    found = f"{path}, version {version}"
    if _cgroups.usable():
        findings = [ok("Docker", found, "Docker machines can be made, with limits.")]
    else:
        meaning = (
            "Docker machines can be made, without limits and pausing, which need cgroups: run labs as root for those."
        )
        findings = [note("Docker", found, meaning)]
    if path := find_program("docker-registry"):
        return [*findings, ok("Docker registry", path, "Hosts of a lab can exchange images.")]
    lacking = "Images of one host do not get to another."
    return [*findings, note("Docker registry", "not installed", lacking, install("docker-registry"))]


def criu() -> Finding:
    """What containers' memory is saved with; it has to fit the kernel."""
    lost = "Containers cannot be saved and moved with their memory. All else works."
    path = find_program("criu")
    if not path:
        return note("CRIU", "criu is not installed", lost, install("criu"))
    if os.geteuid() != 0:
        return note("CRIU", f"{path}, which works for root only", lost)
    ran = run([path, "check"])
    if ran.ok:
        return ok("CRIU", path, "Containers can be saved and moved with their memory.")
    return note("CRIU", f"{path} does not fit this kernel: {ran.said}", lost)
