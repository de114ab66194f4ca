"""The file of Vagrant hosts: what it says, and what is said of a mistake in it."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from labkit.errors import InvalidFile, InvalidValue
from labkit.hosts._vagrant_file import read

REPOSITORY = Path(__file__).parent.parent.parent
HEAD = """\
defaults: {box: labkit/debian, cpus: 2, memory: 1536 MiB, disk: 10 GiB, engines: [kvm]}
networks: {hosts: 198.19.201.0/24}
"""


def test_the_file_that_comes_with_labkit_is_read() -> None:
    """The committed hosts.yml has two hosts with defaults and an address each, and a workstation."""
    file = read(REPOSITORY / "vagrant/hosts.yml")
    assert list(file.hosts) == ["alpha", "beta"]
    alpha = file.hosts["alpha"]
    assert (alpha.cpus, alpha.memory_bytes, alpha.engines) == (2, 1536 * 2**20, ("kvm", "docker", "lxc"))
    assert alpha.addresses == {"hosts": IPv4Address("198.19.201.11")}
    assert file.workstation
    assert file.workstation.port == 8888


def test_a_host_says_what_differs_from_the_defaults(tmp_path: Path) -> None:
    """What a host says wins over the defaults; what it does not say comes from them."""
    path = tmp_path / "hosts.yml"
    path.write_text(HEAD + "hosts:\n  big: {cpus: 8, engines: []}\n  plain:\n")
    big, plain = read(path).hosts.values()
    assert (big.cpus, big.engines, big.box) == (8, (), "labkit/debian")
    assert (plain.cpus, plain.engines) == (2, ("kvm",))


def test_a_host_that_boots_xen_has_its_own_box(tmp_path: Path) -> None:
    """It is enough to say that it has Xen."""
    path = tmp_path / "hosts.yml"
    path.write_text(HEAD + "hosts: {xena: {engines: [xen]}}\n")
    assert read(path).hosts["xena"].box == "labkit/xen"


@pytest.mark.parametrize(
    ("rest", "line", "field", "told"),
    [
        ("hosts:\n  alpha: {engines: [kvm, xen]}\n", 4, "hosts.alpha", "it is alone"),
        ("hosts:\n  alpha: {engines: [xen], box: debian/bookworm64}\n", 4, "hosts.alpha", "box: labkit/xen"),
        ("hosts:\n  alpha: {engines: [xen], memory: 512 MiB}\n", 4, "hosts.alpha", "memory: 1 GiB"),
        ("hosts:\n  alpha:\n    memroy: 1 GiB\n", 5, "hosts.alpha.memroy", "the fields are: box, cpus, memory"),
        ("hosts:\n  Alpha: {}\n", 4, "hosts.Alpha", "small letters"),
        ("hosts:\n  alpha: {memory: lots}\n", 4, "hosts.alpha.memory", "128 MiB"),
        ("hosts:\n  alpha: {memory: 1536}\n", 4, "hosts.alpha.memory", "a number and a unit"),
        ("hosts:\n  alpha: {memory: 1 MiB}\n", 4, "hosts.alpha.memory", "256 MiB"),
        ("hosts:\n  alpha: {disk: 1 GiB}\n", 4, "hosts.alpha.disk", "10 GiB"),
        ("hosts:\n  alpha: {cpus: 0}\n", 4, "hosts.alpha.cpus", "from 1 to 256"),
        ("hosts:\n  alpha: {cpus: two}\n", 4, "hosts.alpha.cpus", "'two' is not a number"),
        ("hosts:\n  alpha: {cpus: [2]}\n", 4, "hosts.alpha.cpus", "a list or a mapping"),
        ("hosts:\n  alpha: {cpus: yes}\n", 4, "hosts.alpha.cpus", "is not a number"),
        ("hosts:\n  alpha: {box: 7}\n", 4, "hosts.alpha.box", "is not a text"),
        ("hosts:\n  alpha: {box: 'a b; c'}\n", 4, "hosts.alpha.box", "not the name of a box"),
        ("hosts:\n  alpha: {engines: kvm}\n", 4, "hosts.alpha.engines", "is not a list"),
        ("hosts:\n  alpha: {engines: [kvm, vmware]}\n", 4, "hosts.alpha.engines", "none of kvm, docker, lxc"),
        ("hosts:\n  alpha: {engines: [kvm, kvm]}\n", 4, "hosts.alpha.engines", "twice"),
        ("hosts:\n  alpha: {}\n  alpha: {}\n", 5, "hosts.alpha", "twice; first in line 4"),
        ("hosts:\n  workstation: {}\n", 4, "hosts.workstation", "another name"),
        ("hosts:\n  alpha: {addresses: {lan: 198.19.201.11}}\n", 4, "hosts.alpha.addresses.lan", "are: hosts"),
        ("hosts:\n  alpha: {addresses: {hosts: 10.0.0.1}}\n", 4, "hosts.alpha.addresses.hosts", "198.19.201.11"),
        ("hosts:\n  alpha: {addresses: {hosts: 198.19.201.255}}\n", 4, "hosts.alpha.addresses.hosts", "broadcast"),
        ("hosts:\n  alpha: {addresses: {hosts: 300.1.1.1}}\n", 4, "hosts.alpha.addresses.hosts", "IPv4"),
        (
            "hosts:\n  alpha: {addresses: {hosts: 198.19.201.11}}\n  beta:\n    addresses: {hosts: 198.19.201.11}\n",
            6, "hosts.beta.addresses.hosts", "of alpha (line 4)",
        ),
        ("hosts: [alpha]\n", 3, "hosts", "stands where fields belong"),
        ("hosts:\n", 1, "", "the field hosts is missing"),
        ("hosts:\n\talpha: {}\n", 4, "", "spaces"),
        ("hosts:\n  alpha: {cpus: 2\n", 5, "", "not YAML"),
        ("hosts: &all\n  alpha: {}\n  beta: *all\n", 5, "", "alias"),
        ("hosts: {alpha: {}}\nworkstation: {port: 80}\n", 4, "workstation.port", "1024"),
        ("hosts: {alpha: {}}\nworkstation: {engines: [kvm]}\n", 4, "workstation.engines", "no field"),
        ("hosts: {alpha: {}}\nhots: {}\n", 4, "hots", "no field 'hots'"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_line_and_field(tmp_path: Path, rest: str, line: int, field: str, told: str) -> None:
    """The error names the file, the line and the field, and says what to write."""
    path = tmp_path / "hosts.yml"
    path.write_text(HEAD + rest)
    with pytest.raises(InvalidFile) as caught:
        read(path)
    error = caught.value
    assert isinstance(error, InvalidValue)
    assert (error.line, error.field) == (line, field), str(error)
    assert told in str(error)
    assert f"{path}, line {line}" in str(error)
    assert error.hint


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "empty"), (b"\xff\xfe\x00", "cannot be read"), (b"a: \x07", "not YAML"), (b"[" * 1_000_000, "nested")],
    ids=["empty", "no text", "no YAML", "nested"],
)
def test_a_file_that_is_no_such_file_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    """Nothing that can lie in a file gives anything but a typed error."""
    path = tmp_path / "hosts.yml"
    path.write_bytes(content)
    with pytest.raises(InvalidFile, match=told):
        read(path)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """A folder without a hosts.yml is named."""
    with pytest.raises(InvalidFile, match="no such file"):
        read(tmp_path / "hosts.yml")
