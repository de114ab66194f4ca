"""The screen of a machine with graphics: a live thumbnail, larger on click."""

from __future__ import annotations

import base64
import threading
from typing import TYPE_CHECKING

import traitlets

from .._html import render
from ..errors import LabError
from ._module import LabWidget

if TYPE_CHECKING:
    from ..machines.base import Machine


class Screen(LabWidget):
    """What a machine's graphics card shows; ``machine.screen()`` makes it.

    The browser asks for pictures while the widget is in sight, so nothing is taken that nobody sees.
    """

    kind = "screen"
    title = traitlets.Unicode().tag(sync=True)
    picture = traitlets.Bytes().tag(sync=True)
    size = traitlets.List(traitlets.Int()).tag(sync=True)
    note = traitlets.Unicode().tag(sync=True)

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._busy = threading.Lock()
        super().__init__(title=f"{machine.name} · screen")
        self._take()

    def static(self) -> str:
        return render("screen", title=self.title, picture=base64.b64encode(self.picture).decode(), note=self.note)

    def asked_picture(self) -> None:
        """The browser wants a new picture."""
        threading.Thread(target=self._take, name="labkit-screen", daemon=True).start()

    def _take(self) -> None:
        if not self._busy.acquire(blocking=False):
            return
        try:
            shot = self.machine.screenshot()
        except LabError as error:
            self.note = error.message
        else:
            with self.hold_sync():
                self.picture, self.size, self.note = shot.png, [shot.width, shot.height], ""
        finally:
            self._busy.release()
