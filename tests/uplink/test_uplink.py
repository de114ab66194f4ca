"""The way out of a lab: shut unless it was asked for, and then open for those it was asked for.

The internet is played by a second network namespace (see _outside.py); what it receives is what would leave.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from typing import Any

import pytest

Outcome = dict[str, Any]
World = Callable[..., Outcome]
PAGE = "a page from outside\n"
BOTH = ["pasta", "supervisor"]

pytestmark = [
    pytest.mark.xdist_group("uplink"),
    pytest.mark.skipif(shutil.which("pasta") is None, reason="pasta (Debian's package passt) is not installed"),
]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make another user")


@pytest.fixture(scope="module")
def reach(in_world: World) -> Outcome:
    """What a lab with a way out has seen; labs of root have machines of all engines."""
    return in_world("_reach.py", "kvm,lxc,docker" if os.geteuid() == 0 else "kvm")


@pytest.fixture(scope="module")
def reach_of_user(in_world_of_user: World) -> Outcome:
    """The same of an ordinary user's lab."""
    return in_world_of_user("_reach.py", "lxc,docker")


@pytest.fixture(scope="module")
def ends(in_world: World) -> Outcome:
    """What was left after each kind of end."""
    return in_world("_ends.py", "lab,host,kernel,opener,pasta,supervisor,two,without")


# ── Who gets out ──────────────────────────────────────────────────────────────────────────────


def only_those_on_the_network(seen: Outcome) -> None:
    assert seen["the machine"].startswith(PAGE), "the internet is not there"
    expected = {
        which: PAGE if which in ("out", "out on the other host", "container, out") else "" for which in seen["fetches"]
    }
    assert seen["fetches"] == expected
    assert all("203.0.113.80:80" in frame for frame in seen["frames of fetches"])
    assert len(set(seen["frames of fetches"])) == len([page for page in expected.values() if page])


def test_only_machines_on_the_network_get_out(reach: Outcome) -> None:
    """A guest on the network, on either host, fetches a page; those on other networks, Docker's too, do not."""
    only_those_on_the_network(reach)


@pytest.mark.slow
@needs_root
def test_only_machines_on_the_network_of_a_user_get_out(reach_of_user: Outcome) -> None:
    """The same holds in an ordinary user's lab."""
    only_those_on_the_network(reach_of_user)


def names_only_for_those_on_the_network(seen: Outcome) -> None:
    assert seen["names"] == {which: ", out" in which or "out" in which.split() for which in seen["names"]}
    assert all(frame.endswith("203.0.113.53:53") for frame in seen["frames of names"])
    assert "203.0.113.80" not in seen["names for the plain guest by the other gateway"]
    assert "far.lab" in seen["name of a neighbour"]


def test_only_they_are_told_names(reach: Outcome) -> None:
    """Names of outside resolve on the network and nowhere else, not by asking its gateway from another either."""
    names_only_for_those_on_the_network(reach)


@pytest.mark.slow
@needs_root
def test_only_they_are_told_names_in_a_lab_of_a_user(reach_of_user: Outcome) -> None:
    """The same holds in an ordinary user's lab."""
    names_only_for_those_on_the_network(reach_of_user)


def this_machine_is_not_behind_it(seen: Outcome) -> None:
    assert seen["services"] == [PAGE + "\n"] * 2, "the machine's services do not answer"
    assert not any(seen["closed to the guest"] + seen["closed to the host"])
    assert seen["frames of what is closed"] == []
    assert seen["listening"] == []


def test_this_machine_is_not_behind_it(reach: Outcome) -> None:
    """Neither a guest nor the host reaches services of the machine; the host itself does not get out; none come in."""
    this_machine_is_not_behind_it(reach)


@pytest.mark.slow
@needs_root
def test_this_machine_is_not_behind_it_in_a_lab_of_a_user(reach_of_user: Outcome) -> None:
    """The same holds in an ordinary user's lab."""
    this_machine_is_not_behind_it(reach_of_user)


def test_without_its_rules_the_way_leads_no_others_out(reach: Outcome) -> None:
    """When somebody flushes the host's rules, as in a lesson on firewalls, the others have no route out still."""
    assert not any(reach["without rules"])
    assert reach["host without rules"] == ""
    assert reach["frames without rules"] == []
    assert reach["faults without rules"] == ["out on alpha: the rules for its way out are gone"]
    assert reach["faults then"] == []


def test_a_network_says_that_it_leads_out(reach: Outcome) -> None:
    """The network's words say so; pings and 64 MiB come through."""
    assert "leads out" in reach["repr"]
    assert reach["up"]
    assert reach["ping"] == 0
    assert reach["throughput"]["bytes"] == 64 << 20


def test_without_the_network_there_is_no_way(reach: Outcome) -> None:
    """Removing the last such network ends pasta, its route and its rules; a network that is not NAT cannot be one."""
    assert not reach["up after removal"]
    assert not reach["rules after removal"]
    assert reach["routes after removal"] == ""
    assert reach["isolated"] == "InvalidValue"


def test_names_come_through_a_resolver_on_the_machines_own_loopback(in_world: World) -> None:
    """Where systemd-resolved or the like serves names, the network has them, and its neighbours do not."""
    engines = "lxc,docker" if os.geteuid() == 0 else "kvm"
    seen = in_world("_stub.py", engines, OUTSIDE_RESOLVER="127.0.0.53")
    assert seen["the machine"].startswith(PAGE), "the machine's resolver does not answer"
    assert seen["names"] == {which: which == "out" for which in seen["names"]}
    assert seen["frames"] == []


def test_a_machine_gets_out_as_long_as_it_is_attached(reach: Outcome) -> None:
    """A machine on a plain network that is attached live gets out, and no more once it is detached."""
    assert reach["attached"] == PAGE
    assert reach["detached"] == ""


# ── By default ────────────────────────────────────────────────────────────────────────────────


def nothing_left(seen: Outcome) -> None:
    assert seen["the machine"].startswith(PAGE), "the internet is not there"
    assert seen["its frames"], "the record of frames does not work"
    assert seen["tries"]
    assert all(any(codes.values()) for codes in seen["tries"].values())
    assert all(seen["tries of the host"])
    assert seen["frames"] == []


@pytest.mark.core
def test_by_default_nothing_leaves(in_world: World) -> None:
    """Pings, TCP, UDP, names, broadcasts and ARP of machines of all engines: not one frame comes out of the lab."""
    nothing_left(in_world("_default.py", "kvm,lxc,docker" if os.geteuid() == 0 else "kvm"))


@pytest.mark.slow
@needs_root
def test_by_default_nothing_leaves_a_lab_of_a_user(in_world_of_user: World) -> None:
    """The same holds in an ordinary user's lab."""
    nothing_left(in_world_of_user("_default.py", "lxc,docker"))


# ── How it ends ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("killed", ["lab", "host"])
def test_the_way_ends_with_what_it_is_for(ends: Outcome, killed: str) -> None:
    """`kill -9` of the lab or of the home host: pasta and its supervisor are gone; a host made again has it again."""
    seen = ends[killed]
    assert seen["before"] == BOTH
    assert seen["gone_s"] >= 0
    assert seen.get("up again", True)


def test_the_way_outlives_the_kernel_as_its_lab_does(ends: Outcome) -> None:
    """`kill -9` of the kernel: the way of an opened lab stays, that of a lab of the process goes with it."""
    seen = ends["kernel"]
    assert seen["before"] == seen["stays"] == seen["tethered before"] == BOTH
    assert seen["up"]
    assert seen["after close"] == []


@pytest.mark.parametrize("killed", BOTH)
def test_a_way_that_died_is_told_and_opened_again(ends: Outcome, killed: str) -> None:
    """`kill -9` of pasta or its supervisor: the other goes too, subscribers are told, the next use opens the way."""
    seen = ends[killed]
    assert seen["before"] == seen["another"] == BOTH
    assert (seen["told"], seen["noted"], seen["up"], seen["up again"]) == (True, True, False, True)
    assert "leads out of the lab" in seen["card says"]
    assert "its way out is closed" in seen["card says"]
    assert len(seen["repaired"]) == 1
    assert seen["up after repair"]
    assert seen["after the lab"] == []
    assert seen["why"].startswith("pasta has ended with signal 9" if killed == "pasta" else "what kept it open was")


def test_whoever_opens_a_way_may_die_at_it(ends: Outcome) -> None:
    """A kernel that is killed at any step of opening a way: the next use finds all in order, and nothing is left."""
    steps = dict(ends["opener"])
    assert steps.pop("left") == []
    assert steps == {where: [-9, [], BOTH, [], False] for where in steps}


def test_networks_share_a_way(ends: Outcome) -> None:
    """Four who open a way at once get one; it stays until the last network that needs it is removed."""
    assert ends["two"] == {"again": BOTH, "stays": True, "up": False, "left": []}


def test_what_is_lacking_is_said(ends: Outcome) -> None:
    """No pasta, no way out of the machine, a route where labs are: a typed error, and no network is left."""
    seen = ends["without"]
    assert seen["pasta"].startswith("PackageMissing")
    assert "passt" in seen["pasta"]
    assert seen["route"].startswith("Unavailable")
    assert "198.18.5.0/24" in seen["route"]
    assert seen["default"].startswith("Unavailable")
    assert seen["networks"] == seen["left"] == []


@pytest.mark.slow
@needs_root
def test_the_way_of_a_user_ends_too(in_world_of_user: World) -> None:
    """In an ordinary user's lab, too, nothing outlives the lab, the host, pasta or the supervisor."""
    seen = in_world_of_user("_ends.py", "lab,host,kernel,pasta,supervisor")
    for killed in ("lab", "host", "pasta", "supervisor"):
        assert seen[killed]["before"] == BOTH
        assert seen[killed]["gone_s"] >= 0
    assert seen["pasta"]["up again"]
    assert seen["supervisor"]["up again"]
    assert seen["kernel"]["stays"] == BOTH
    assert seen["kernel"]["after close"] == []
