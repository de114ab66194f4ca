"""What is written for liblxc and what is read of the kernel's counters, without either."""

from __future__ import annotations

from typing import Any

import pytest

from labkit.errors import InvalidValue
from labkit.machines._lxc_config import (
    LxcSpec,
    check_capabilities,
    check_syscalls,
    configuration,
    limits,
    link_name,
    seccomp,
)
from labkit.machines.spec import NetworkInterface

CARD = NetworkInterface("lan", "52:54:00:01:02:03", "198.19.1.2")
NO_NETWORKS: Any = {}


def spec(**words: Any) -> LxcSpec:
    return LxcSpec("box", "small", words.pop("memory_bytes", 0), words.pop("vcpus", 1), 0, **words)


def test_a_description_comes_back_from_its_text() -> None:
    """What a container is survives being written to a file and read by another process."""
    whole = spec(interfaces=(CARD,), command=("a", "b c"), cpus=0.5, kept=("kill",), dropped=None, refused=())
    assert LxcSpec.from_json(whole.to_json()) == whole


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (1, ["lxc.cgroup.memory.limit_in_bytes = 67108864", "lxc.cgroup.cpu.cfs_quota_us = 50000"]),
        (2, ["lxc.cgroup2.memory.max = 67108864", "lxc.cgroup2.cpu.max = 50000 100000"]),
    ],
)
def test_limits_are_those_of_the_version(version: int, expected: list[str]) -> None:
    """Each version of cgroups has keys of its own; without a limit none is written."""
    limited = configuration(spec(memory_bytes=64 * 2**20, cpus=0.5), NO_NETWORKS, (0, 1), version).splitlines()
    assert set(expected) <= set(limited)
    assert not [line for line in configuration(spec(cpus=0.5), NO_NETWORKS, (0, 1), 0).splitlines() if "cfs" in line]
    assert limits(0, None, (0,), 2)["memory.max"] == "max"


def test_nothing_breaks_out_of_its_line() -> None:
    """A value with a newline is no configuration, however it came there."""
    with pytest.raises(InvalidValue):
        configuration(spec(kept=("kill\nlxc.hook.start = x",)), NO_NETWORKS, (0, 1), 0)


def test_names_of_capabilities_and_system_calls_are_checked() -> None:
    """They may be written as the kernel or as LXC does; what is none is refused."""
    assert check_capabilities(["CAP_NET_RAW", "kill"]) == ("kill", "net_raw")
    assert check_capabilities(None) is None
    assert check_syscalls(["mount"]) == ("mount",)
    assert "mount errno 1" in seccomp(["mount"]).splitlines()
    for wrong in (["net raw"], ["CAP_"], [3]):
        with pytest.raises(InvalidValue):
            check_capabilities(wrong)  # type: ignore[arg-type]
    for wrong in (["mount errno 0\nread"], ["nonsense"], [3]):
        with pytest.raises(InvalidValue):
            check_syscalls(wrong)  # type: ignore[arg-type]


def test_a_link_has_a_name_that_the_kernel_takes() -> None:
    """The host's end of a card has at most 15 bytes, and another for each card."""
    other = NetworkInterface("inner", CARD.mac, CARD.address)
    names = {link_name("box", CARD), link_name("box", other), link_name("bo", CARD)}
    assert len(names) == 3
    assert all(len(name) < 16 for name in names)
