"""What carries a container of liblxc to another host: its folder, by tar."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import LabError, LabGone
from ..operations._carrier import Carrier
from ..operations._flow import PUT, TAKE
from ..operations.spec import Obstacle
from . import _lxc_files
from ._lxc_config import LXC_PATH

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..operations._flow import Flow
    from ._lxc_machine import LxcMachine

_WHOLE_S = 600
_PUT = """
mkdir -m 755 "/var/lib/lxc/$1"
cd "/var/lib/lxc/$1"
shift
exec "$@"
"""
# NAME SNAPSHOTS…, oldest first: how old they are is told by their last change.
_SETTLE_IN = f"""
cd "/var/lib/lxc/$1"
mkdir -m 755 work rootfs
name=$1
shift
for snapshot; do
    chmod "$(stat -c %a "snapshots/$snapshot")" "snapshots/$snapshot"
    sleep 0.02
done
set -- "$name"
{_lxc_files.MOUNT}"""
_START = f"""
lxc-stop "--name=$1" --timeout=20 2>/dev/null
{_lxc_files.FORGET_STATE}
exec lxc-start "--name=$1"
"""


class LxcCarrier(Carrier):
    """Carries a container's layer, snapshots, identity and configuration; its image where the hosts do not share it."""

    machine: LxcMachine

    def __init__(self, machine: LxcMachine, to: Host) -> None:
        self.machine, self.source, self.to = machine, machine.host, to

    def obstacles(self) -> Iterator[Obstacle]:
        if self.machine.spec.ephemeral:
            yield Obstacle(
                f"{self.machine.name} is ephemeral: it vanishes when it stops", "clone() it and move the clone"
            )

    def measure(self) -> int:
        parts = [f"{LXC_PATH}/{self.machine.name}", *([] if self._has_root() else [str(self._root)])]
        told = self.source.run(["du", "-sbxc", *parts], timeout_s=_WHOLE_S)
        lines = told.stdout.splitlines()
        return int(lines[-1].split()[0]) if lines else 0

    @property
    def _root(self) -> Path:
        return self.to.lab.folder / "roots" / self.machine.spec.root

    def _has_root(self) -> bool:
        """Whether the destination has what all containers of its image share."""
        return self.to.files.are_those_of(self.source.files) or self.to.files.exists(self._root)

    def prepare(self, flow: Flow) -> None:
        self.clear(self.to)  # left there by a move during which two things died
        self.to.lxc.cgroup_version()
        if first_id := self.machine.spec.first_id:
            _lxc_files.allow_ids(self.to, first_id)
        if not self._has_root():
            self._bring_root(flow)

    def _bring_root(self, flow: Flow) -> None:
        files, root = self.to.files, self._root
        files.make_folder(root.parent, there=True)
        with files.lock(root.parent / ".lock", _WHOLE_S):
            if self._has_root():
                return
            fresh = root.with_name(".new")
            files.remove_tree(fresh)  # left by one that was killed
            files.make_folder(fresh, mode=0o755)
            flow.phase = "copying its image"
            take, put = [*TAKE, f"--directory={root}", "."], [*PUT, f"--directory={fresh}"]
            flow.copy(self.source, take, self.to, put)
            files.rename(fresh, root)

    def copy(self, flow: Flow) -> None:
        name, spec = self.machine.name, self.machine.spec
        names = self.machine.snapshots()
        left_out = ["--anchored", "--exclude=./rootfs", "--exclude=./work", f"--directory={LXC_PATH}/{name}", "."]
        flow.copy(self.source, [*TAKE, *left_out], self.to, _lxc_files.script(_PUT, name, *PUT))
        self.to.run(_lxc_files.script(_SETTLE_IN, name, *names), timeout_s=_WHOLE_S, check=True)
        _lxc_files.write(self.to, spec, self.to.lxc.cgroup_version())

    def begin(self, deadline: float) -> None:
        self.machine.begin(deadline)

    def ending(self, host: Host) -> list[str]:
        return _lxc_files.ending(self.machine.name)

    def clear(self, host: Host) -> None:
        with contextlib.suppress(LabError):  # the host may have ended
            host.run(self.ending(host))
        with contextlib.suppress(LabGone):
            host.files.remove_tree(_lxc_files.place(host, self.machine.name))

    def why_not_live(self) -> tuple[str, str]:
        # Seen with liblxc 5.0 and CRIU 4.2: "lxc.console.path configured on source host but not target".
        return "liblxc cannot bring a container back from CRIU that has a console", ""

    def starting(self, *, frozen: bool) -> list[str]:
        return ["sh", "-uc", _START, "labkit", self.machine.name]
