"""Networks of a lab, without machines."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from labkit import Lab
from labkit.errors import InvalidName, InvalidValue, NameInUse, NotFound

pytestmark = pytest.mark.core


@pytest.mark.parametrize(
    ("cidr", "why"),
    [
        ("198.19.1.0/33", "not an IPv4 range"), ("198.19.1.1/24", "not an IPv4 range"),
        ("rubbish", "not an IPv4 range"),
        ("10.0.0.0/24", "cannot be a lab network"), ("198.19.0.0/30", "cannot be a lab network"),
        ("198.18.0.0/24", "overlaps"), ("198.19.1.128/25", "overlaps"), (7, "cannot be a lab network"),
    ],
)  # fmt: skip
def test_bad_ranges_are_refused(lab: Lab, cidr: object, why: str) -> None:
    """A range that is malformed, outside the lab's or overlaps another is refused in words."""
    with pytest.raises(InvalidValue, match=why):
        lab.networks.create("other", cidr=cidr)  # type: ignore[arg-type]
    assert "other" not in lab.networks


def test_names_and_modes_are_checked(lab: Lab) -> None:
    """A name in use, a bad name, an unknown mode or host are refused and leave no network."""
    with pytest.raises(NameInUse):
        lab.networks.create("lan")
    with pytest.raises(InvalidName):
        lab.networks.create("<lan>")
    with pytest.raises(InvalidValue, match="mode"):
        lab.networks.create("other", mode="open")
    with pytest.raises(NotFound):
        lab.networks.create("other", host="gamma")
    with pytest.raises(NotFound, match="other"):
        lab.networks["other"]
    assert [network.name for network in lab.networks] == ["lan"]


def test_networks_made_at_once_do_not_overlap(lab: Lab) -> None:
    """Four networks made at once have four ranges and four bridges, and can be removed."""
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda n: lab.networks.create(f"n{n}"), range(4)))
    assert len({network.cidr for network in made}) == 4
    bridges = lab["alpha"].run(["ip", "-br", "link", "show", "type", "bridge"]).stdout
    assert all(network.bridge in bridges for network in made)
    for network in made:
        lab.networks.remove(network.name)
    assert lab["alpha"].run(["ip", "-br", "link", "show", "type", "bridge"]).stdout.split()[0] == "lab1"


def test_dhcp_and_dns_run_on_the_home_host_only(lab: Lab) -> None:
    """One dnsmasq serves the network, on the host that is its home."""
    lab.networks["lan"].ensure_on(lab["beta"])

    def servers(host: str) -> int:
        return lab[host].run(["sh", "-c", "cat /proc/[0-9]*/comm"]).stdout.split().count("dnsmasq")

    assert servers("alpha") >= 1
    assert servers("beta") == 0
