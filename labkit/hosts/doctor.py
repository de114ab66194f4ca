"""What this machine lacks for labs, and the one command that fixes each.

``examine()`` looks at everything and tries what can be tried. The ``require_…`` functions are
for the rest of labkit: they look at one thing within milliseconds, before it is used, and raise
with the same words.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._values import format_size
from ..errors import (
    DeviceMissing,
    LabError,
    NamespacesForbidden,
    NotEnoughDisk,
    NotEnoughMemory,
    PackageMissing,
)
from . import _checks_namespaces as inside
from . import _checks_programs as programs
from . import _checks_resources as resources
from ._checks import PACKAGES, Finding, State, find_program, install, program_on

if TYPE_CHECKING:
    from rich.table import Table

    from .base import Host

__all__ = [
    "Finding",
    "Report",
    "State",
    "examine",
    "explain_namespaces",
    "require_disk",
    "require_memory",
    "require_namespaces",
    "require_program",
    "require_tun",
]

# Sign and colour of a state in a terminal.
_LOOKS = {State.OK: ("●", "green"), State.NOTE: ("!", "yellow"), State.FAIL: ("✖", "red")}


@dataclass(frozen=True, slots=True)
class Report:
    """All that the doctor found, and where, such as ``on user@server``."""

    findings: tuple[Finding, ...]
    where: str = "here"

    @property
    def can_start(self) -> bool:
        """Whether a lab can start here and its machines work."""
        return not any(finding.state is State.FAIL for finding in self.findings)

    @property
    def verdict(self) -> str:
        """The report in one sentence."""
        fails = sum(finding.state is State.FAIL for finding in self.findings)
        notes = sum(finding.state is State.NOTE for finding in self.findings)
        noted = f" {_count(notes, 'thing')} to know." if notes else ""
        if self.can_start:
            return f"Labs work {self.where}.{noted}"
        return f"Labs do not work {self.where} yet: {_count(fails, 'thing')} to fix.{noted}"

    def to_json(self) -> str:
        """The report as JSON text."""
        content = {
            "can_start": self.can_start,
            "verdict": self.verdict,
            "findings": [asdict(finding) for finding in self.findings],
        }
        return json.dumps(content, indent=2, ensure_ascii=False)

    def __str__(self) -> str:
        width = max((len(finding.name) for finding in self.findings), default=0)
        lines = []
        for finding in self.findings:
            sign = _LOOKS[finding.state][0]
            lines.append(f"{sign} {finding.state:<4}  {finding.name:<{width}}  {finding.found}")
            margin = " " * (width + 10)
            if finding.state is not State.OK:
                lines.append(f"{margin}{finding.meaning}")
            if finding.fix:
                lines.append(f"{margin}→ {finding.fix}")
        return "\n".join([*lines, "", self.verdict])

    def __rich__(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table(
            box=None,
            pad_edge=False,
            caption=self.verdict,
            caption_style="bold",
            caption_justify="left",
        )
        for title in ("state", "what", "found and what it means"):
            table.add_column(title, no_wrap=title != "found and what it means", overflow="fold")
        for finding in self.findings:
            sign, colour = _LOOKS[finding.state]
            text = Text(finding.found)
            if finding.state is not State.OK:
                text.append(f"\n{finding.meaning}", "dim")
            if finding.fix:
                text.append(f"\n→ {finding.fix}", "bold")
            table.add_row(Text(f"{sign} {finding.state}", colour), Text(finding.name), text)
        return table

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        from .._html import render

        looks = {State.OK: "running", State.NOTE: "paused", State.FAIL: "failed"}
        signs = {state: sign for state, (sign, _) in _LOOKS.items()}
        html = render("doctor", report=self, looks=looks, marks=signs)
        return {"text/plain": str(self), "text/html": html}


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


# ── Examining ─────────────────────────────────────────────────────────────────────────────────

Check = Callable[[], Finding | Iterable[Finding]]
# What a lab does in its namespaces.
_INSIDE: tuple[tuple[str, Check], ...] = (
    ("mounts", inside.mounts),
    ("overlayfs", inside.overlay),
    ("network devices", inside.links),
    ("/dev/net/tun", inside.tun),
    ("packet filter", inside.packet_filter),
)


def examine(*, build_image: bool = False) -> Report:
    """Look at everything that labs need; nothing that is tried is left behind.

    Parameters
    ----------
    build_image
        Build the image ``small`` if it is missing, to try KVM with it; takes up to a minute.
    """
    from concurrent.futures import ThreadPoolExecutor

    # Name, check, and whether labs work without.
    checks: tuple[tuple[str, Check, bool], ...] = (
        ("operating system", resources.system, False),
        ("namespaces", _namespaces, False),
        ("/dev/kvm", partial(programs.kvm, build_image=build_image), True),
        ("QEMU", programs.qemu, False),
        ("libvirt daemon", programs.libvirt_daemon, False),
        ("libvirt drivers", programs.libvirt_drivers, False),
        ("libvirt for Python", programs.libvirt_python, False),
        ("tools", programs.tools, False),
        ("image tools", programs.builders, True),
        ("memory", resources.memory, False),
        ("state folder", resources.state_folder, False),
        ("cache folder", resources.cache_folder, False),
        ("runtime folder", resources.runtime_folder, False),
        ("cgroups", resources.cgroups, True),
        ("Docker", programs.docker, True),
        ("engines", programs.extras, True),
        ("Vagrant", programs.vagrant, True),
        ("CRIU", programs.criu, True),
    )
    with ThreadPoolExecutor(max_workers=6) as pool:
        groups = pool.map(lambda check: guarded(*check), checks)
        return Report(tuple(finding for group in groups for finding in group))


def guarded(name: str, check: Check, optional: bool) -> list[Finding]:
    """What a check finds; that it failed itself is a finding too."""
    state = State.NOTE if optional else State.FAIL
    try:
        found = check()
    except LabError as error:
        return [Finding(name, state, error.message, "Labs cannot use it as it is.", error.hint)]
    except Exception as error:  # whatever it was, a doctor tells what it saw
        seen = f"this check failed itself: {type(error).__name__}: {error}"
        return [Finding(name, state, seen, "labkit does not know whether this works here.")]
    return [found] if isinstance(found, Finding) else list(found)


def _namespaces() -> Iterable[Finding]:
    """The namespaces and, where they can be made, what a lab does in them."""
    first = inside.namespaces()
    if first.state is State.FAIL:
        return [first, inside.tun_file()]
    rest = (guarded(name, check, optional=False) for name, check in _INSIDE)
    return [first, *(finding for findings in rest for finding in findings)]


# ── For the rest of labkit ────────────────────────────────────────────────────────────────────


def explain_namespaces(stderr: str) -> NamespacesForbidden:
    """The error for namespaces that could not be made, given what ``unshare`` wrote."""
    found, meaning, fix = inside.why_forbidden(stderr)
    return NamespacesForbidden(f"namespaces cannot be made: {found}. {meaning}", hint=fix)


def require_namespaces() -> None:
    """Make the namespaces of a lab once.

    Raises
    ------
    NamespacesForbidden
        If the kernel refuses them; says why.
    """
    finding = inside.namespaces()
    if finding.state is State.FAIL:
        raise NamespacesForbidden(_sentence(finding), hint=finding.fix)


def require_tun() -> None:
    """Check that this user can open /dev/net/tun.

    Raises
    ------
    DeviceMissing
        If it is missing or closed.
    """
    finding = inside.tun_file()
    if finding.state is State.FAIL:
        raise DeviceMissing(_sentence(finding), hint=finding.fix)


def require_program(name: str, host: Host | None = None) -> str:
    """The path of a program, also of one in a folder for system programs; on a host if one is given.

    Raises
    ------
    PackageMissing
        If it is not installed; names the package.
    """
    if path := program_on(host, name) if host else find_program(name):
        return path
    hint = install(name) if name in PACKAGES else f"install the package that brings {name}"
    there = host.name if host and not host.files.are_here else ""
    raise PackageMissing(f"the program {name} is not installed", hint=hint, host=there)


def _memory_available(host: Host) -> int:
    """Bytes of memory that a host can still give."""
    if host.files.are_here:
        return resources.memory_available()
    lines = host.files.read_text(Path("/proc/meminfo")).splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))


def require_memory(size_bytes: int, host: Host | None = None) -> None:
    """Check that there are `size_bytes` of memory left, on a host if one is given.

    Raises
    ------
    NotEnoughMemory
        If there is less.
    """
    available = _memory_available(host) if host else resources.memory_available()
    if available < size_bytes:
        raise NotEnoughMemory(
            f"{format_size(size_bytes)} of memory are needed and {format_size(available)} are left",
            hint="ask for less, or stop other machines and programs",
        )


def require_disk(path: Path | str, size_bytes: int, host: Host | None = None) -> None:
    """Check that `size_bytes` can still be written at `path`, or where it will be made, of a host if one is given.

    Raises
    ------
    NotEnoughDisk
        If there is less room.
    """
    available = host.files.free(Path(path)) if host else resources.disk_available(Path(path))
    if available < size_bytes:
        raise NotEnoughDisk(
            f"{format_size(size_bytes)} are needed in {path} and {format_size(available)} are free",
            hint="remove what is not needed, or set LABKIT_STATE and LABKIT_CACHE to a larger disk",
        )


def _sentence(finding: Finding) -> str:
    return f"{finding.name}: {finding.found}. {finding.meaning}"
