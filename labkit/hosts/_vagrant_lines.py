"""What Vagrant says to machines (``--machine-readable``), and the errors that are made of it."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

from .._values import format_duration
from ..errors import (
    Busy,
    DaemonFailed,
    DeadlineExceeded,
    EngineError,
    ImageDamaged,
    InvalidValue,
    LabError,
    NameInUse,
    NotEnoughDisk,
    NotEnoughMemory,
    NotFound,
    PackageMissing,
    VersionsDoNotFit,
)

_LINE = re.compile(r"\d+,[^,]*,[a-z-]+(,.*)?", re.ASCII)
_PREFIX = re.compile(r"^(==> |    )[\w-]+: ?", re.MULTILINE)
_KEPT, _SHOWN = 40, 8
INSTALL = "./lab packages vagrant, or apt-get install --no-install-recommends vagrant vagrant-libvirt"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of ``vagrant --machine-readable``.

    Attributes
    ----------
    target
        The machine it is about, or "".
    kind
        What it tells, such as ``state``, ``ui``, ``error-exit``.
    data
        Its fields.
    """

    target: str
    kind: str
    data: tuple[str, ...]

    @property
    def words(self) -> str:
        """What a person would have read, without the machine's name before each line."""
        return _PREFIX.sub("", self.data[-1]).strip() if self.data else ""


def parse(text: str) -> Line | None:
    """The line of machine-readable output in `text`, or None if it is something else."""
    if not _LINE.fullmatch(text):
        return None
    _, target, kind, *data = text.split(",")
    return Line(target, kind, tuple(_plain(field) for field in data))


def _plain(field: str) -> str:
    return field.replace("%!(VAGRANT_COMMA)", ",").replace("\\n", "\n").replace("\\r", "\r")


class Account:
    """What a run of Vagrant has said: its last lines, and the error it ended with."""

    def __init__(self) -> None:
        self._last: deque[str] = deque(maxlen=_KEPT)
        self.error = ""
        self.message = ""
        self.lines: list[Line] = []

    def hear(self, text: str) -> list[str]:
        """Take note of a line; returns the lines of it that a person may be shown."""
        line = parse(text)
        if line is None:
            # Ruby's backtrace says nothing to who uses Vagrant.
            if text.strip() and not text.startswith("\tfrom "):
                self._last.append(text.strip())
            return []
        if line.kind == "error-exit":
            self.error, self.message = line.data[0], line.data[-1].strip()
        if line.kind != "ui":
            self.lines.append(line)
            return []
        shown = [part.strip() for part in line.words.splitlines() if part.strip()]
        self._last.extend(shown)
        return shown

    @property
    def all(self) -> str:
        """What is kept of what it said."""
        return "\n".join(self._last)

    @property
    def last(self) -> str:
        """Its last lines."""
        return "\n".join(list(self._last)[-_SHOWN:])


# Of Vagrant's own classes: what is raised instead, and what to do.
_BY_CLASS: dict[str, tuple[type[LabError], str]] = {
    "BoxChecksumMismatch": (ImageDamaged, "build it again: vagrant/build-box --force"),
    "DownloaderChecksumError": (ImageDamaged, "build it again: vagrant/build-box --force"),
    "BoxUnpackageFailure": (ImageDamaged, "build it again: vagrant/build-box --force"),
    "BadBoxImage": (ImageDamaged, "build it again: vagrant/build-box --force"),
    "BoxAddShortNotFound": (NotFound, "name a box that exists in hosts.yml, or build labkit's: vagrant/build-box"),
    "BoxNotFound": (NotFound, "build labkit's box: vagrant/build-box"),
    "BoxFileNotExist": (NotFound, "build labkit's box: vagrant/build-box"),
    "DownloaderError": (NotFound, "is there a connection? labkit's own box needs none: vagrant/build-box"),
    "BoxMetadataDownloadError": (NotFound, "is there a connection? labkit's own box needs none: vagrant/build-box"),
    "ConfigInvalid": (InvalidValue, "see vagrant/hosts.yml and vagrant/Vagrantfile"),
    "VagrantfileSyntaxError": (InvalidValue, "see vagrant/Vagrantfile"),
    "VagrantfileLoadError": (InvalidValue, "see vagrant/Vagrantfile"),
    "MachineNotFound": (NotFound, "the hosts are those of hosts.yml"),
    "ProviderNotFound": (PackageMissing, INSTALL),
    "ProviderNotFoundSuggestion": (PackageMissing, INSTALL),
    "ProviderNotUsable": (PackageMissing, INSTALL),
    "NoDefaultProvider": (PackageMissing, INSTALL),
    "PluginLoadError": (VersionsDoNotFit, f"install both from one source: {INSTALL}"),
    "PluginInitError": (VersionsDoNotFit, f"install both from one source: {INSTALL}"),
    "PluginGemNotFound": (VersionsDoNotFit, f"install both from one source: {INSTALL}"),
    "MachineLocked": (Busy, "wait until the other `vagrant` is done"),
    "MachineActionLockedError": (Busy, "wait until the other `vagrant` is done"),
    "EnvironmentLockedError": (Busy, "wait until the other `vagrant` is done"),
    "FogLibvirtConnectionError": (DaemonFailed, "`labkit doctor` checks what libvirt needs"),
    "DomainNameExists": (NameInUse, "a machine of another project has this name: `virsh list --all` shows it"),
    "DomainVolumeExists": (NameInUse, "its disk is left from an earlier one: `vagrant destroy` removes it"),
    "VMBootTimeout": (DeadlineExceeded, "is the machine very busy? `vagrant up` goes on where it stopped"),
    "SSHAuthenticationFailed": (EngineError, "its key was changed: `vagrant destroy` and `vagrant up` make it anew"),
}
# Of texts, whatever else failed: this is why.
_CAUSES: tuple[tuple[str, type[LabError], str], ...] = (
    (r"No space left on device|Disk quota exceeded|ENOSPC", NotEnoughDisk,
     "free some room, or set LABKIT_STATE and LABKIT_CACHE to a larger disk"),
    (r"[Cc]annot allocate memory|cannot set up guest memory", NotEnoughMemory,
     "give the hosts less memory in hosts.yml"),
    (r"inconsistent with migrated kernel nested state", EngineError,
     "it was suspended by hand with a virtual machine running: `virsh managedsave-remove`, and `vagrant up` boots it"),
)  # fmt: skip
# Of texts, where Vagrant names no class: it ended before it could.
_EARLY: tuple[tuple[str, type[LabError], str], ...] = (
    (r"syntax error in the following Vagrantfile|[\w-]+\.yml: ", InvalidValue, "correct the file"),
    (r"plugins failed to|version requirements|Gem::|[Bb]undler|Unable to resolve dependency", VersionsDoNotFit,
     f"install both from one source: {INSTALL}"),
    (r"vagrant['’]?: (No such file|not found)", PackageMissing, INSTALL),
)  # fmt: skip


def failure(account: Account, code: int, host: str) -> LabError:
    """The error for a run of Vagrant that ended with `code`, with its last words.

    Parameters
    ----------
    account
        What it has said.
    code
        Its exit code.
    host
        The host it was about, or "".
    """
    said = account.message or account.last or "it said nothing"
    kind, hint = _kind(account, f"{account.message}\n{account.all}")
    text = f"Vagrant ended with exit code {code}: {said[-1500:]}"
    if account.message and account.last and kind is EngineError:
        text = f"{text}\nIts last lines:\n{account.last}"
    return kind(text, hint=hint, host=host)


def _kind(account: Account, text: str) -> tuple[type[LabError], str]:
    name = account.error.rpartition("::")[2]
    by_words = _CAUSES if name else _CAUSES + _EARLY
    for words, kind, hint in by_words:
        if re.search(words, text):
            return kind, hint
    return _BY_CLASS.get(name, (EngineError, "see what Vagrant says; `vagrant destroy` and `vagrant up` make it anew"))


def overdue(account: Account, words: str, timeout_s: float, host: str) -> DeadlineExceeded:
    """The error for a run of Vagrant that has taken too long."""
    return DeadlineExceeded(
        f"`{words}` did not end within {format_duration(timeout_s)}; its last lines:\n{account.last}",
        hint="call it again: it goes on where it stopped; or give it longer with timeout_s=…", host=host,
    )  # fmt: skip
