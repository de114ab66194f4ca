"""How the tests wait."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

# Where hosts are virtual machines with emulated processors, all takes its time.
_TIMES = 6 if os.environ.get("LABKIT_TEST_HOSTS") == "vagrant" else 1


def patience(timeout_s: float) -> float:
    """A time limit that suits the hosts of this run."""
    return timeout_s * _TIMES


def until(true: Callable[[], object], what: str = "it is so", timeout_s: float = 10) -> None:
    """Wait until `true()` holds, which the sentence `what` describes."""
    deadline = time.monotonic() + patience(timeout_s)
    while not true():
        assert time.monotonic() < deadline, f"within {timeout_s:g} s it did not come true that {what}"
        time.sleep(0.01)
