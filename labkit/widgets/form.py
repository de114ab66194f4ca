"""A form that asks for a machine's specification, shows the Python that does the same, and creates it."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import traitlets

from .._html import render
from .._progress import quietly
from ..errors import LabError
from ._module import LabWidget
from .card import Card

if TYPE_CHECKING:
    from ..machines.base import Machine
    from ..machines.engine import Engine


class Form(LabWidget):
    """A form for a new machine; ``host.kvm.form()`` makes it.

    Attributes
    ----------
    machine
        The machine that was created last, or None.
    """

    kind = "form"
    title = traitlets.Unicode().tag(sync=True)
    engine_kind = traitlets.Unicode().tag(sync=True)
    fields: traitlets.List[Any] = traitlets.List().tag(sync=True)
    values = traitlets.Dict().tag(sync=True)
    errors = traitlets.Dict().tag(sync=True)
    code = traitlets.Unicode().tag(sync=True)
    busy = traitlets.Unicode().tag(sync=True)
    failed: traitlets.List[Any] = traitlets.List().tag(sync=True)
    card = traitlets.Unicode().tag(sync=True)

    def __init__(self, engine: Engine[Any]) -> None:
        self._engine = engine
        self._fields = engine.form_fields()
        self._card: Card | None = None
        self.machine: Machine | None = None
        values = {field.name: field.default for field in self._fields}
        super().__init__(
            title=f"a new machine on {engine.host.name}", engine_kind=engine.kind, values=values,
            fields=[field.as_dict() for field in self._fields],
        )  # fmt: skip
        self._check()

    def static(self) -> str:
        rows = [(field.label, self.values[field.name]) for field in self._fields]
        return render("form", title=self.title, engine=self.engine_kind, rows=rows, code=self.code)

    def _check(self) -> None:
        """Check every field, and write the code that would do the same."""
        errors = {}
        for field in self._fields:
            try:
                field.check(self.values.get(field.name))
            except LabError as error:
                errors[field.name] = f"{error.message}; {error.hint}" if error.hint else error.message
        with self.hold_sync():
            self.errors = errors
            self.code = "" if errors else self._code()

    def _words(self) -> dict[str, Any]:
        """The arguments that are not the defaults."""
        return {
            field.name: self.values[field.name]
            for field in self._fields
            if field.name == "name" or self.values.get(field.name) != field.default
        }

    def _code(self) -> str:
        words = self._words()
        name = words.pop("name")
        arguments = ", ".join([json.dumps(name), *(f"{key}={_literal(value)}" for key, value in words.items())])
        variable = f"m_{name}" if name[0].isdigit() else name
        return f'{variable.replace("-", "_")} = lab["{self._engine.host.name}"].{self._engine.kind}.create({arguments})'

    def asked_change(self, name: str, value: Any) -> None:
        """A field was filled in."""
        known = {field.name: field for field in self._fields}
        if name in known and not self.busy:
            self.values = {**self.values, name: known[name].clean(value)}
            self._check()

    def asked_create(self) -> None:
        """The button was pressed."""
        self._check()
        if self.busy or self.errors:
            return
        with self.hold_sync():
            self.busy, self.failed = f"creating {self.values['name']}", []
        threading.Thread(target=self._create, name="labkit-create", daemon=True).start()

    def _create(self) -> None:
        words = self._words()
        name = words.pop("name")
        try:
            with quietly():
                self.machine = self._engine.create(name, **words)  # type: ignore[attr-defined]
        except LabError as error:
            self.failed = [error.message, error.hint]
        else:
            if self._card:
                self._card.close()
            self._card = Card(self.machine)
            self.card = str(self._card.model_id)
        self.busy = ""
        self._check()

    def close(self) -> None:
        """End the form; what it created stays."""
        if self._card:
            self._card.close()
        super().close()


def _literal(value: object) -> str:
    """A value as a person would write it in Python: with double quotation marks."""
    return json.dumps(value) if isinstance(value, str | list) else repr(value)
