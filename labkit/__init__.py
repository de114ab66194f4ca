"""labkit: a Jupyter-based interactive virtualization lab.

Names are loaded when they are first used, so ``import labkit`` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import errors
    from ._listing import LabInfo, labs
    from .hosts.ssh import Ssh
    from .hosts.vagrant_hosts import Vagrant
    from .hosts.xen import Xen
    from .lab import Lab
    from .machines.spec import NetworkInterface

__all__ = ["Lab", "LabInfo", "NetworkInterface", "Ssh", "Vagrant", "Xen", "errors", "labs"]

_HOMES = {
    "Lab": "lab", "LabInfo": "_listing", "NetworkInterface": "machines.spec", "labs": "_listing", "errors": "",
    "Ssh": "hosts.ssh", "Vagrant": "hosts.vagrant_hosts", "Xen": "hosts.xen",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'labkit' has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f".{_HOMES[name] or name}", __name__)
    found = getattr(module, name) if _HOMES[name] else module
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return __all__
