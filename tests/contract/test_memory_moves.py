"""What holds when a container of Docker takes its memory along to another host, by CRIU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from _criu import need_criu
from _wait import until

from labkit import Lab
from labkit.errors import EngineError, NotSupported
from labkit.machines.spec import State
from labkit.operations._cold import COLD, WITH_MEMORY

LONG_S = 120
COUNT = "i=0; while :; do i=$((i+1)); echo $i >/dev/shm/count; echo said $i; sleep 0.1; done"

pytestmark = pytest.mark.xdist_group("machine-docker")


@pytest.fixture
def make(lab: Lab) -> Iterator[Callable[..., Any]]:
    """Make containers on alpha that are destroyed when the test ends; none leaves memory outside the lab."""
    made: list[Any] = []
    before = outside()

    def create(name: str = "web", **words: Any) -> Any:
        made.append(lab["alpha"].docker.create(name, **{"networks": ["lan"], "command": ["sh", "-c", COUNT], **words}))
        return made[-1]

    yield create
    for machine in made:
        machine.destroy()
    assert outside() == before


def outside() -> set[Path]:
    """What containerd has left of checkpoints where it leaves them by default."""
    return set(Path("/tmp").glob("ctrd-checkpoint*"))


def count(machine: Any) -> int:
    """How far it has counted in its memory."""
    return int(machine.run(["cat", "/dev/shm/count"], check=True).stdout or 0)


def where(lab: Lab) -> list[tuple[str, str, str]]:
    """Which hosts have which containers, and what these do, as the engines themselves say."""
    return [
        (host.name, str(entry["Names"][0]).removeprefix("/"), entry["State"])
        for host in lab for entry in host.docker.api().containers(all=True)
    ]  # fmt: skip


def kept(lab: Lab) -> str:
    """Memory that Docker still keeps on any host."""
    script = 'ls -d "$1"/containers/*/checkpoints/*'
    return "".join(
        host.run(["sh", "-c", script, "sh", host.docker.api().info()["DockerRootDir"]]).stdout for host in lab
    )


def test_it_goes_on_where_it_was(lab: Lab, make: Callable[..., Any]) -> None:
    """It counts on on the other host and back again, under its name and address; nothing of it stays behind."""
    need_criu(lab["alpha"])
    web = make()
    web.run(["sh", "-c", "echo before >/root/note"], check=True)
    until(lambda: count(web) > 20, "it counts")
    for name, left in (("beta", "alpha"), ("alpha", "beta")):
        so_far = count(web)
        assert web.migration_plan(lab[name]).way == WITH_MEMORY
        assert web.migration_plan(lab[name]).memory_bytes > 0
        result = web.migrate(lab[name]).wait(LONG_S)
        assert (result.way, result.source, result.destination) == (WITH_MEMORY, left, name)
        assert 0 < result.downtime_ms < result.total_s * 1000
        assert where(lab) == [(name, "web", "running")]
        until(lambda so_far=so_far: count(web) > so_far, "it goes on counting")
        assert kept(lab) == ""
    assert web.run(["sh", "-c", "cat /root/note; hostname"]).stdout == "before\nweb\n"
    assert web.addresses[0] in web.run(["ip", "-o", "-4", "addr"]).stdout
    lines = web.console().history(1000)
    until(lambda: web.console().history(1000) != lines, "it is heard")
    web.stop()
    web.start()
    assert count(web) < 20


def test_a_connection_stays_open(lab: Lab, make: Callable[..., Any]) -> None:
    """A neighbour that downloads slowly from it gets the rest from the other host, through the same connection."""
    need_criu(lab["alpha"])
    lines = "i=0; while [ $i -lt 150 ]; do i=$((i+1)); echo $i; sleep 0.1; done"
    slow = f"({lines}) | nc -l -p 80; sleep 999"
    web = make(command=["sh", "-c", slow])
    near = lab["beta"].docker.create("near", networks=["lan"])
    try:
        near.run(["sh", "-c", "(sleep 60 | nc web 80 >/root/got) >/dev/null 2>&1 &"], check=True)
        until(lambda: "5\n" in near.run(["cat", "/root/got"]).stdout, "lines come")
        web.migrate(lab["beta"]).wait(LONG_S)
        until(lambda: near.run(["tail", "-n", "1", "/root/got"]).stdout == "150\n", "the last line comes", 60)
        assert near.run(["wc", "-l", "/root/got"]).stdout.split()[0] == "150"
    finally:
        near.destroy()


def test_what_criu_cannot_take(lab: Lab, make: Callable[..., Any]) -> None:
    """The error has CRIU's own reason and it goes on as before; `move` goes on without its memory and says so."""
    need_criu(lab["alpha"])
    # CRIU has no words for process ids within process ids.
    web = make(command=["unshare", "--pid", "--fork", "sh", "-c", COUNT], cap_add=["SYS_ADMIN"])
    until(lambda: count(web) > 20, "it counts")
    with pytest.raises(EngineError, match="CRIU") as caught:
        web.migrate(lab["beta"]).wait(LONG_S)
    assert "it is on alpha as before" in caught.value.message
    assert where(lab) == [("alpha", "web", "running")]
    assert count(web) > 20
    result = web.move(lab["beta"]).wait(LONG_S)
    assert result.way.startswith(COLD)
    assert "CRIU" in result.way
    assert where(lab) == [("beta", "web", "running")]
    assert web.refresh() is State.RUNNING
    assert count(web) < 20


def test_a_terminal_stays(lab: Lab, make: Callable[..., Any]) -> None:
    """Of one with a terminal the plan says what stands in the way, with or without CRIU."""
    web = make(command=None)
    (said,) = web.migration_plan(lab["beta"]).obstacles
    assert "CRIU does not take a terminal along" in said.what
    assert "command=" in said.hint
    with pytest.raises(NotSupported, match="terminal"):
        web.migrate(lab["beta"])


def test_liblxc_brings_no_console_back(lab: Lab) -> None:
    """A container of LXC says that it is liblxc that lacks something, and how it moves all the same."""
    box = lab["alpha"].lxc.create("box")
    try:
        (said,) = box.migration_plan(lab["beta"]).obstacles
        assert "liblxc" in said.what
        assert "move(to)" in said.hint
    finally:
        box.destroy()
