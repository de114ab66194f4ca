"""The public face."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys

import pytest

import labkit
from labkit import errors


def test_names_are_sorted_and_there() -> None:
    """All public names are listed in order, load, and nothing else shows."""
    assert labkit.__all__ == sorted(labkit.__all__)
    assert dir(labkit) == labkit.__all__
    for name in labkit.__all__:
        assert getattr(labkit, name) is not None
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = labkit.nothing_like_it


def test_import_loads_nothing_heavy() -> None:
    """Importing labkit loads no engine, no plot and no widget library."""
    code = "import labkit, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"libvirt", "plotly", "docker", "ipywidgets", "anywidget", "IPython", "jinja2", "rich"} & set(loaded)


ERRORS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", ERRORS)
def test_errors_have_one_root_and_travel(kind: type[errors.LabError]) -> None:
    """Every error is a LabError, is drawn in the tree, and survives a process border whole."""
    assert issubclass(kind, errors.LabError)
    assert kind.__name__ in (errors.__doc__ or "")
    error = kind("it broke", hint="mend it", host="alpha", machine="web")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error) == "it broke (machine web, host alpha)\n→ mend it"
