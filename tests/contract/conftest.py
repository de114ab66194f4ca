"""What the contract suite runs against: a machine of every engine that labkit has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from labkit import Lab
from labkit.hosts.base import ENGINES
from labkit.machines.base import Machine

# An engine joins by being in ENGINES, and Xen where the hosts boot it; with one group each, the workers share them out.
KINDS = ("xen",) if os.environ.get("LABKIT_TEST_HOSTS") == "xen" else ENGINES


@pytest.fixture(
    scope="module", params=[pytest.param(kind, marks=pytest.mark.xdist_group(f"machine-{kind}")) for kind in KINDS]
)
def kind(request: pytest.FixtureRequest) -> str:
    """The engine whose turn it is."""
    return str(request.param)


@pytest.fixture(scope="module")
def engine(lab: Lab, kind: str) -> Any:
    """The engine on host alpha."""
    return getattr(lab["alpha"], kind)


@pytest.fixture(scope="module")
def machine(lab: Lab, engine: Any) -> Iterator[Machine]:
    """A machine with an address on the network lan."""
    made: Machine = engine.create("web", networks=["lan"])
    yield made
    made.destroy()
    assert lab.machines() == []
