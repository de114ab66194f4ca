"""What holds when a container moves to another host: stopped, copied, started; for both engines."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from _wait import until

from labkit import Lab
from labkit.errors import InvalidState, InvalidValue, NotFound, NotSupported
from labkit.machines.base import MOVING, Machine
from labkit.machines.spec import State

ENGINES = ("docker", "lxc")
LONG_S = 120

pytestmark = pytest.mark.core


# Two labs' worth of daemons are enough: each engine has a worker.
@pytest.fixture(
    scope="module", params=[pytest.param(kind, marks=pytest.mark.xdist_group(f"machine-{kind}")) for kind in ENGINES]
)
def kind(request: pytest.FixtureRequest) -> str:
    """The engine whose turn it is."""
    return str(request.param)


@pytest.fixture(scope="module")
def near(lab: Lab, kind: str) -> Iterator[Machine]:
    """A neighbour on the network, which stays on beta."""
    made: Machine = getattr(lab["beta"], kind).create("near", networks=["lan"])
    yield made
    made.destroy()


@pytest.fixture
def make(lab: Lab, kind: str) -> Iterator[Callable[..., Any]]:
    """Make containers on alpha that are destroyed when the test ends."""
    made: list[Any] = []

    def create(name: str = "web", **words: Any) -> Any:
        made.append(getattr(lab["alpha"], kind).create(name, **{"networks": ["lan"], **words}))
        return made[-1]

    yield create
    for machine in made:
        machine.destroy()
    assert [one.name for one in lab.machines() if one.name != "near"] == []


def where(lab: Lab, kind: str) -> list[tuple[str, str]]:
    """Which hosts have which containers, as the engines themselves say; without the neighbour."""
    found = []
    for host in lab:
        if kind == "docker":
            told = host.docker.api().containers(all=True)
            names = [str(entry["Names"][0]).removeprefix("/") for entry in told]
        else:
            names = host.run(["lxc-ls", "-1"], check=True).stdout.split()
        found += [(host.name, name) for name in names if name != "near"]
    return found


def test_it_goes_on_elsewhere_as_it_was(
    lab: Lab, kind: str, near: Machine, make: Callable[..., Any]
) -> None:  # fmt: skip
    """Files, name, address, MAC and object are the same; a neighbour reaches it; only the new host has it."""
    web, beta = make(), lab["beta"]
    web.run(["sh", "-c", "echo before >/root/note; chown 7:8 /root/note; rm /etc/passwd"], check=True)
    before = web.run(["sh", "-c", "hostname; ip -o -4 addr; ip -o link"]).stdout
    moved = web.migrate(beta, live=False)
    result = moved.wait(LONG_S)
    assert (result.source, result.destination, result.way) == ("alpha", "beta", "cold: stopped, copied, started")
    assert web.host is beta
    assert web.state is State.RUNNING
    assert getattr(beta, kind)["web"] is web
    assert where(lab, kind) == [("beta", "web")]
    with pytest.raises(NotFound):
        getattr(lab["alpha"], kind)["web"]
    assert web.run(["sh", "-c", "cat /root/note; stat -c %u:%g /root/note"]).stdout == "before\n7:8\n"
    assert not web.run(["test", "-e", "/etc/passwd"]).ok
    after = web.run(["sh", "-c", "hostname; ip -o -4 addr; ip -o link"]).stdout
    for word in ("web\n", web.addresses[0], web.spec.interfaces[0].mac):
        assert word in before
        assert word in after
    assert near.run(["ping", "-c", "1", "-W", "5", "web"]).ok
    assert not (web.notes / MOVING).exists()
    assert moved.phase
    assert moved.is_done


def test_its_figures_are_those_of_the_move(lab: Lab, make: Callable[..., Any]) -> None:
    """It stood still from its stop to its answer, the client missed it meanwhile, and bytes have gone over."""
    web = make()
    web.run(["dd", "if=/dev/urandom", "of=/root/much", "bs=1M", "count=8"], check=True)
    moved = web.migrate(lab["beta"], live=False)
    result = moved.wait(LONG_S)
    assert 0 < result.downtime_ms < result.total_s * 1000
    assert result.downtime_ms == pytest.approx((moved.resumed_s - moved.stopped_s) * 1000)
    assert result.transferred_bytes > 8 * 2**20
    assert moved.samples
    assert moved.progress.phase == "copying files"
    assert result.client, result.no_client
    assert result.client.lost > 0
    # Its kernel answers a little longer than its processes, and again a little sooner.
    assert result.client.longest_gap_ms > 20
    assert result.client.answers[0][2] < moved.stopped_s < result.client.gap_began_s + 1
    assert result.client.answers[-1][2] > moved.resumed_s > result.client.gap_began_s


def test_there_and_back(lab: Lab, kind: str, make: Callable[..., Any]) -> None:
    """It moves as often as one likes; what was written on each host is there."""
    web = make()
    for name in ("beta", "alpha", "beta"):
        web.run(["sh", "-c", f"echo {name} >>/root/way"], check=True)
        web.move(lab[name], watch=False).wait(LONG_S)
        assert where(lab, kind) == [(name, "web")]
    assert web.run(["cat", "/root/way"]).stdout.split() == ["beta", "alpha", "beta"]


def test_a_stopped_one_moves_at_rest(lab: Lab, kind: str, near: Machine, make: Callable[..., Any]) -> None:
    """It is stopped there, too, is listed, and starts with its files; a neighbour finds it at once."""
    web, far = make(), make("far")
    assert far.run(["ping", "-c", "1", "-W", "5", "web"]).ok
    web.run(["sh", "-c", "echo before >/root/note"], check=True)
    web.stop()
    moved = web.move(lab["beta"])
    assert moved.plan.way == "cold: at rest, its files are copied"
    assert moved.wait(LONG_S).downtime_ms == 0
    assert web.refresh() is State.STOPPED
    assert [machine for machine in lab.machines() if machine.name == "web"] == [web]
    assert where(lab, kind) == [("alpha", "far"), ("beta", "web")]
    web.start()
    for neighbour in (near, far):
        assert neighbour.run(["ping", "-c", "1", "-W", "5", "web"]).ok
    assert web.run(["cat", "/root/note"]).stdout == "before\n"


def test_snapshots_go_along(lab: Lab, make: Callable[..., Any]) -> None:
    """They are there in their order, and it goes back to each."""
    web = make()
    for name in ("second", "first"):
        web.run(["sh", "-c", f"echo {name} >/root/note"], check=True)
        web.snapshot(name)
    names = web.snapshots()
    web.move(lab["beta"], watch=False).wait(LONG_S)
    assert web.snapshots() == names
    for name in ("second", "first"):
        web.revert(name)
        assert web.run(["cat", "/root/note"]).stdout == f"{name}\n"
    web.move(lab["alpha"], watch=False).wait(LONG_S)
    assert web.snapshots() == names
    assert web.run(["cat", "/root/note"]).stdout == "first\n"


def test_its_links_and_later_networks_go_along(lab: Lab, make: Callable[..., Any]) -> None:
    """A network that it was connected to later, and a cable that is out, are so there, too."""
    lab.networks.create("dmz")
    web = make()
    try:
        card = web.attach("dmz")
        web.link("lan", bandwidth="5 Mbit/s")
        web.link("dmz", up=False)
        web.move(lab["beta"], watch=False).wait(LONG_S)
        assert card.address in web.run(["ip", "-o", "-4", "addr"]).stdout
        assert not web.links["dmz"].up
        told = lab["beta"].run(["ip", "-o", "link", "show", web.host_link("dmz")], check=True).stdout
        assert "state UP" not in told
        assert lab["beta"].run(["tc", "qdisc", "show", "dev", web.host_link("lan")], check=True).stdout.strip()
    finally:
        if any(one.network == "dmz" for one in web.spec.interfaces):
            web.detach("dmz")
        lab.networks.remove("dmz")


def test_the_plan_says_why_it_stands_still(lab: Lab, make: Callable[..., Any]) -> None:
    """Without CRIU the plan says that it will be a cold move and what would make it a live one."""
    web, beta = make(), lab["beta"]
    plan = web.migration_plan(beta)
    assert plan.possible
    assert plan.way.startswith("cold: ")
    assert plan.disk_bytes > 0
    said = next(one for one in plan.obstacles if "while it runs" in one.what)
    assert "live=False" in said.hint
    assert not web.migration_plan(beta, live=True).possible
    with pytest.raises(NotSupported, match="while it runs") as caught:
        web.migrate(beta)
    assert "move(to)" in caught.value.hint
    assert web.host.name == "alpha"
    assert web.run(["true"]).ok
    with pytest.raises(InvalidValue, match="on alpha already"):
        web.move(lab["alpha"])
    with pytest.raises(InvalidValue, match="memory"):
        web.move(beta, postcopy=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user's Docker has no cgroups")
def test_limits_go_along(lab: Lab, kind: str, make: Callable[..., Any]) -> None:
    """What it was limited to since it was made holds on the other host, in its cgroup."""
    if not lab.has_cgroups:
        pytest.skip("this lab has no cgroups")
    web = make(memory="64 MiB")
    web.resize(memory="48 MiB")
    web.limits(cpus=0.5)
    web.move(lab["beta"], watch=False).wait(LONG_S)
    if kind == "docker":
        has = web.api().inspect_container("web")["HostConfig"]
        assert (has["Memory"], has["CpuQuota"]) == (48 * 2**20, 50_000)
    else:
        top = "/sys/fs/cgroup"
        files = [f"{top}/memory/lxc.payload.web/memory.limit_in_bytes", f"{top}/lxc.payload.web/memory.max"]
        assert str(48 * 2**20) in web.host.run(["cat", *files]).stdout


# ── What only one engine has ──────────────────────────────────────────────────────────────────


@pytest.mark.xdist_group("machine-docker")
def test_volumes_go_along(lab: Lab) -> None:
    """What is in a volume goes along, and is not where it was; one that is there already is not touched."""
    alpha, beta = lab["alpha"].docker, lab["beta"].docker
    web = alpha.create("web", volumes={"data": "/srv"})
    try:
        web.run(["sh", "-c", "echo kept >/srv/note"], check=True)
        result = web.move(beta.host).wait(LONG_S)
        assert result.no_client
        assert web.run(["cat", "/srv/note"]).stdout == "kept\n"
        assert "data" not in alpha.volumes
        alpha.volumes.create("data")
        with pytest.raises(InvalidState, match="alpha has a volume data already"):
            web.move(alpha.host)
        assert web.run(["cat", "/srv/note"]).stdout == "kept\n"
    finally:
        web.destroy()
        for docker in (alpha, beta):
            if "data" in docker.volumes:
                docker.volumes.remove("data")


@pytest.mark.xdist_group("machine-docker")
def test_an_image_of_ones_own_goes_along(lab: Lab) -> None:
    """The image is on the other host, under its name; command, variables and labels are as they were."""
    alpha, beta = lab["alpha"].docker, lab["beta"].docker
    alpha.images.build("own", "FROM small\nRUN echo built >/built\nENV COLOUR=red")
    web = alpha.create("web", image="own", command=["sleep", "3600"], env={"WORD": "x"})
    try:
        web.move(beta.host).wait(LONG_S)
        assert web.run(["sh", "-c", "cat /built; echo $COLOUR $WORD"]).stdout == "built\nred x\n"
        assert "own" in beta.images
        there = web.api().inspect_container("web")
        assert there["Config"]["Cmd"] == ["sleep", "3600"]
        assert beta["web"].recipe == web.recipe
    finally:
        web.destroy()
        for docker in (alpha, beta):
            docker.images.remove("own")


@pytest.mark.xdist_group("machine-docker")
def test_a_network_of_dockers_own_must_be_there(lab: Lab) -> None:
    """The plan says that the other host lacks it and how to make it; then it moves."""
    alpha, beta = lab["alpha"].docker, lab["beta"].docker
    alpha.networks.create("inner")
    web = alpha.create("web", networks=["inner"])
    try:
        plan = web.migration_plan(beta.host)
        assert not plan.possible
        assert any("networks.create" in one.hint for one in plan.obstacles)
        with pytest.raises(InvalidState, match="inner"):
            web.move(beta.host)
        beta.networks.create("inner")
        web.move(beta.host).wait(LONG_S)
        assert "eth0" in web.run(["ip", "-o", "addr"]).stdout
    finally:
        web.destroy()
        for docker in (alpha, beta):
            if "inner" in docker.networks:
                docker.networks.remove("inner")


@pytest.mark.xdist_group("machine-lxc")
def test_an_ephemeral_one_stays(lab: Lab) -> None:
    """It would vanish when it stops: the plan says so and it goes on."""
    box = lab["alpha"].lxc.create("box", ephemeral=True)
    with pytest.raises(InvalidState, match="ephemeral") as caught:
        box.move(lab["beta"])
    assert "clone" in caught.value.hint
    assert box.run(["true"]).ok
    box.destroy()


@pytest.mark.xdist_group("machine-lxc")
@pytest.mark.skipif(os.geteuid() != 0, reason="needs user ids that an ordinary user has not")
def test_files_of_subordinate_ids_keep_their_owners(lab: Lab) -> None:
    """The root of an unprivileged container owns its files there, too."""
    box = lab["alpha"].lxc.create("box", unprivileged=True)
    try:
        box.run(["sh", "-c", "echo mine >/root/note; chown 5:6 /root/note"], check=True)
        box.move(lab["beta"]).wait(LONG_S)
        assert box.run(["stat", "-c", "%u:%g", "/root/note", "/root"]).stdout == "5:6\n0:0\n"
        assert (box.folder / "upper" / "root" / "note").stat().st_uid == box.spec.first_id + 5
    finally:
        box.destroy()


@pytest.mark.xdist_group("machine-kvm")
def test_a_qemu_machine_moves_live(lab: Lab) -> None:
    """`move` picks the live way where nothing stands in that, and says so."""
    web = lab["alpha"].kvm.create("web")
    try:
        moved = web.move(lab["beta"])
        assert moved.plan.way.startswith("live")
        moved.wait(LONG_S)
        until(lambda: web.refresh() is State.RUNNING, "it runs")
        assert web.host.name == "beta"
    finally:
        web.destroy()
