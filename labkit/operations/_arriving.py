"""What moves share at whose destination something is made that must be taken back if they come to nothing."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Callable

from ..errors import Busy, LabError
from ..hosts.base import drop_reserved
from .migration import Migration

ARRIVING = "arriving"  # the folder among a machine's notes while the destination has something of it


class ArrivingMigration(Migration):
    """A move that holds a folder at the destination, too: whoever dies, the destination takes back what has come."""

    @abstractmethod
    def _taking_back(self) -> list[list[str]]:
        """What the destination does then, unless it has the machine by now."""

    def _hold(self) -> None:
        arriving = self.machine.notes / ARRIVING
        undo = [*self._taking_back(), ["rm", "-rf", "--", str(arriving)]]  # asks the engine: before anything is held
        super()._hold()
        try:
            drop_reserved(self.destination, arriving)  # of a destination that died together with who moved the machine
            commit = self._held.enter_context(self.destination.reserve_folder(arriving, undo))
        except BaseException as error:
            super()._release()
            self._held.close()
            if isinstance(error, FileExistsError):
                raise Busy(
                    f"{self.destination.name} is still clearing away what came of {self.machine.name} before",
                    machine=self.machine.name, host=self.destination.name, hint="try again in a moment",
                ) from error  # fmt: skip
            raise
        self._commit_there: Callable[[], object] = commit

    def _release_there(self) -> None:
        """What the destination has is to stay."""
        with contextlib.suppress(LabError):
            self._commit_there()
        drop_reserved(self.destination, self.machine.notes / ARRIVING)
