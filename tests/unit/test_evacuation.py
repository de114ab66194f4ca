"""Where an evacuation takes a machine to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from labkit.errors import NotSupported
from labkit.hosts.base import Host
from labkit.machines.base import Machine
from labkit.operations.evacuation import _place

PLACES = cast("list[Host]", [SimpleNamespace(name=name) for name in ("nearest", "middle", "farthest")])


class Moving:
    """A machine that can go live or cold to hosts of these names, and is asked no more than it must be."""

    def __init__(self, live: set[str], cold: set[str]) -> None:
        self._can = {True: live, False: cold}
        self.asked: list[str] = []

    def migration_plan(self, to: Any, *, live: bool, tls: bool) -> SimpleNamespace:
        assert tls is False
        self.asked.append(to.name)
        if to.name == "nearest" and live and not self._can[True]:
            raise NotSupported("it cannot run while it moves")
        return SimpleNamespace(possible=to.name in self._can[live])


@pytest.mark.parametrize(
    ("live", "cold", "where", "asked"),
    [
        ({"nearest", "middle"}, set(), "nearest", 1), ({"middle"}, {"nearest"}, "middle", 2),
        (set(), {"farthest"}, "farthest", 6), (set(), set(), "nearest", 6),
    ],
)  # fmt: skip
def test_a_machine_goes_where_it_can(live: set[str], cold: set[str], where: str, asked: int) -> None:
    """To the first host that it can go to, rather live than cold; where none is, its error is that of the first."""
    machine = Moving(live, cold)
    assert _place(cast("Machine", machine), PLACES, {"tls": False}).name == where
    assert len(machine.asked) == asked


def test_where_there_is_one_place_nobody_asks() -> None:
    """A lab of two hosts has nothing to choose."""
    machine = Moving(set(), set())
    assert _place(cast("Machine", machine), PLACES[2:], {"tls": False}).name == "farthest"
    assert machine.asked == []
