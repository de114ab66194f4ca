"""The XML of domains."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

from labkit.hosts.acceleration import SLOW_FLAGS
from labkit.machines._domain import Domain, read_spec, rename
from labkit.machines.spec import KvmSpec, NetworkInterface

SPEC = KvmSpec("web", "small", 2**27, 2, 2**28, (NetworkInterface("lan", "52:54:00:00:00:01", "198.19.1.2"),))
DOMAIN = Domain(
    SPEC, "1e2d5f28-e696-404f-9fdd-d42262b546a8", False, Path("/k"), Path("/i"), "quiet", Path("/d"), Path("/log")
)


def test_it_says_what_was_asked() -> None:
    """Name, memory, processors, disk and interface are in the XML."""
    root = ElementTree.fromstring(DOMAIN.xml())
    assert root.get("type") == "qemu"
    assert root.findtext("name") == "web"
    assert int(root.findtext("memory") or 0) * 1024 == 2**27
    assert root.find("vcpu").get("current") == "2"  # type: ignore[union-attr]
    assert root.find("devices/disk/source").get("file") == "/d"  # type: ignore[union-attr]
    assert root.find("devices/interface/mac").get("address") == "52:54:00:00:00:01"  # type: ignore[union-attr]


def test_an_emulated_machines_memory_is_looked_through_page_by_page() -> None:
    """It is no multiple of 64 pages, so QEMU's emulator forgets no write; KVM needs none of that."""
    [size] = [arg for arg in ElementTree.fromstring(DOMAIN.xml()).iter() if "size=1342" in arg.get("value", "")]
    assert int(size.get("value", "").rpartition("=")[2]) % (64 * 4096)
    assert "odd.ram" not in replace(DOMAIN, accelerated=True).xml()


def test_only_an_emulated_processor_goes_without_what_is_slow() -> None:
    """What QEMU emulates slowly is left out; a processor on KVM is the host's own."""
    emulated, real = (
        ElementTree.fromstring(replace(DOMAIN, accelerated=kvm).xml()).find("cpu") for kvm in (False, True)
    )
    assert emulated is not None
    assert real is not None
    assert [flag.attrib for flag in emulated] == [{"policy": "disable", "name": name} for name in SLOW_FLAGS]
    assert list(real) == []


def test_the_specification_comes_back() -> None:
    """What a machine was asked to be can be read from its domain's XML."""
    assert read_spec(DOMAIN.xml()) == SPEC
    assert read_spec("<domain><name>x</name></domain>") is None


def test_hostile_words_stay_words() -> None:
    """Text that looks like XML stays text, wherever it comes from."""
    hostile = replace(DOMAIN, cmdline="</cmdline><script/>&", disk=Path('/a"b<c'))
    root = ElementTree.fromstring(hostile.xml())
    assert root.findtext("os/cmdline") == "</cmdline><script/>&"
    assert root.find("script") is None


def test_a_renamed_domain_is_somebody_else() -> None:
    """A saved domain gets name, UUID, disk, log and interface of another, and keeps its hardware."""
    other = replace(
        DOMAIN, uuid="00000000-0000-4000-8000-000000000001", disk=Path("/other"), console_log=Path("/otherlog"),
        spec=replace(SPEC, name="db", interfaces=(NetworkInterface("dmz", "52:54:00:00:00:02", "198.19.2.2"),)),
    )  # fmt: skip
    text = rename(replace(DOMAIN, plugged=False).xml(), other)
    for old in ("1e2d5f28", "<name>web", '"/d"', '"/log"', "52:54:00:00:00:01"):
        assert old not in text
    root = ElementTree.fromstring(text)
    assert read_spec(text) == other.spec
    card = root.find("devices/interface")
    assert card is not None
    assert card.get("type") == "network"
    assert card.find("source").get("network") == "dmz"  # type: ignore[union-attr]
