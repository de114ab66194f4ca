"""How the tests wait."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(true: Callable[[], object], what: str = "it is so", timeout_s: float = 10) -> None:
    """Wait until `true()` holds, which the sentence `what` describes."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, f"within {timeout_s:g} s it did not come true that {what}"
        time.sleep(0.01)
