"""A lab for several tests, of which nothing may be left at its end."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from labkit import Lab
from labkit.testing import settle, take_stock


@contextmanager
def lab_of(hosts: Any) -> Iterator[Lab]:
    """A lab with these hosts; fails if anything of it is left once it has ended."""
    name = f"m-{secrets.token_hex(4)}"
    before = take_stock(name)
    with Lab(name, hosts=hosts) as made:
        yield made
    left = settle(name, before)
    assert not left, f"the lab left behind: {left}"
