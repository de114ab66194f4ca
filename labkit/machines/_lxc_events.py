"""What liblxc tells of containers: `lxc-monitor` runs on the host and is read in a thread."""

from __future__ import annotations

import contextlib
import os
import re
import select
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import LabError
from ._lxc_config import LXC_PATH
from .spec import State

if TYPE_CHECKING:
    from ..hosts.base import Host

# What liblxc calls the states; those that are left out say what it is about to do.
STATES = {
    "STARTING": State.STARTING, "RUNNING": State.RUNNING, "THAWED": State.RUNNING, "FROZEN": State.PAUSED,
    "STOPPED": State.STOPPED, "FREEZING": State.RUNNING, "STOPPING": State.RUNNING, "ABORTING": State.FAILED,
}  # fmt: skip
_PASSING = frozenset({"FREEZING", "STOPPING", "ABORTING"})
_LINE = re.compile(r"'([a-z0-9-]+)' changed state to \[([A-Z]+)\]")
# By then lxc-monitor is connected; what happened before is asked for. As often the folder of the
# containers is looked at, for liblxc does not say that one was made or removed.
_LOOK_S = 0.5


class Monitor:
    """Listens to a host's containers until it is closed.

    Parameters
    ----------
    changed_at
        When a folder of a container last came or went, as a number; asked often, from the thread.
    heard
        Called with a container's name and state, from the thread.
    missed
        Called when something may have gone unheard, from the thread.
    changed
        Called when folders have come or gone, from the thread.
    lost
        Called when the host has ended, from the thread.
    """

    def __init__(
        self, host: Host, changed_at: Callable[[], int], *, heard: Callable[[str, State], None],
        missed: Callable[[], None], changed: Callable[[], None], lost: Callable[[], None],
    ) -> None:  # fmt: skip
        self._heard, self._missed, self._changed, self._lost = heard, missed, changed, lost
        self._changed_at = changed_at
        self._seen = 0
        self._closed = False
        told, tell = os.pipe2(os.O_CLOEXEC)
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._running = host.spawn(["lxc-monitor", f"--lxcpath={LXC_PATH}", "--name=.*"], [null, tell, null])
        except BaseException:
            os.close(told)
            raise
        finally:
            os.close(tell)
            os.close(null)
        self._thread = threading.Thread(target=self._listen, args=(told,), name="labkit-lxc", daemon=True)
        self._thread.start()

    @property
    def is_listening(self) -> bool:
        """Whether it still hears."""
        return self._thread.is_alive() and not self._closed

    def _listen(self, told: int) -> None:
        begun = False
        rest = b""
        with open(told, "rb", buffering=0) as pipe:
            while True:
                ready = select.select([pipe], [], [], _LOOK_S)[0]
                self._look()
                if ready:
                    data = pipe.read(65536)
                    if not data:
                        break
                    *lines, rest = (rest + data).split(b"\n")
                    for line in lines:
                        self._tell(line.decode(errors="replace"))
                elif not begun:
                    begun = True
                    self._guarded(self._missed)
        if not self._closed:
            self._guarded(self._lost)

    def _look(self) -> None:
        with contextlib.suppress(LabError):  # the host is being removed
            changed = self._changed_at()
            if changed not in (0, self._seen):
                self._seen = changed
                self._guarded(self._changed)

    def _tell(self, line: str) -> None:
        found = _LINE.fullmatch(line.strip())
        if found and found[2] in STATES and found[2] not in _PASSING:
            name, state = found[1], STATES[found[2]]
            self._guarded(lambda: self._heard(name, state))

    @staticmethod
    def _guarded(tell: Callable[[], None]) -> None:
        with contextlib.suppress(LabError):  # the host may end while it is asked
            tell()

    def close(self) -> None:
        """Stop listening."""
        self._closed = True
        self._running.close()
