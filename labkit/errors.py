"""Everything that labkit raises.

The tree::

    LabError
    ├── InvalidValue (ValueError)        what was asked makes no sense
    │   ├── InvalidName
    │   └── InvalidFile                  a mistake in a file that somebody wrote: its line and field
    ├── NameInUse
    ├── NotFound (LookupError)           no such lab, host, machine, network, image, snapshot
    ├── NotSupported                     the engine or this machine cannot do it
    ├── InvalidState                     not in this state: a stopped machine cannot pause
    ├── Busy                             somebody else is at it
    ├── NotEnough
    │   ├── NotEnoughMemory
    │   └── NotEnoughDisk
    ├── Unavailable                      what the machine lacks; `labkit doctor` says the same
    │   ├── NamespacesForbidden
    │   ├── DeviceMissing
    │   ├── PackageMissing
    │   └── VersionsDoNotFit             two programs that are installed do not work together
    ├── Unreachable                      a server does not answer by ssh, or no longer
    │   ├── LoginRefused                 it does, and lets this user in with no key, or not become root
    │   └── ServerChanged                it has another key than the one that is known
    ├── DaemonFailed                     an engine's daemon did not start, or died
    ├── DeadlineExceeded (TimeoutError)
    ├── Cancelled                        somebody has asked to stop it
    ├── LabGone                          the lab or the host has ended
    ├── CommandFailed                    a command ran and failed, and `check=True` was asked
    ├── EngineError                      the engine's own words
    └── ImageError
        ├── ImageDamaged
        ├── ImageBuildFailed
        └── ArchiveRefused           a tar that leads out of itself, has devices, or is too much
"""

from __future__ import annotations


class LabError(Exception):
    """The root of all errors of labkit.

    Parameters
    ----------
    message
        What was asked and what happened, as a sentence.
    hint
        One line of what to do, if there is something to do.
    host, machine
        The names of the host and the machine it happened on, if any.
    """

    def __init__(self, message: str, *, hint: str = "", host: str = "", machine: str = "") -> None:
        self.message = message
        self.hint = hint
        self.host = host
        self.machine = machine
        super().__init__(message)

    def __str__(self) -> str:
        where = ", ".join(f"{kind} {name}" for kind, name in (("machine", self.machine), ("host", self.host)) if name)
        text = f"{self.message} ({where})" if where else self.message
        return f"{text}\n→ {self.hint}" if self.hint else text

    def _render_traceback_(self) -> list[str]:
        """What IPython shows: the sentence; in a notebook the traceback is one click away."""
        from ._traceback import sentence

        return sentence(self)

    def __reduce__(self) -> tuple[object, ...]:
        return (_restore, (type(self), self.__dict__ | {"args": self.args}))


def _restore(kind: type[LabError], state: dict[str, object]) -> LabError:
    """Rebuild an error that crossed a process border."""
    error = kind.__new__(kind)
    error.__dict__.update(state)
    error.args = error.__dict__.pop("args")
    return error


class InvalidValue(LabError, ValueError):
    """A value that makes no sense where it was given."""


class InvalidName(InvalidValue):
    """A name that is not of the form ``^[a-z0-9][a-z0-9-]{0,30}$``."""


class InvalidFile(InvalidValue):
    """A mistake in a file that somebody wrote.

    Attributes
    ----------
    path
        The file.
    line
        The line of the mistake, from 1; 0 if it is in no line.
    field
        The field, such as ``hosts.alpha.memory``; "" if it is in none.
    """

    def __init__(
        self, message: str, *, path: str = "", line: int = 0, field: str = "", hint: str = "", host: str = "",
        machine: str = "",
    ) -> None:  # fmt: skip
        where = ", ".join(filter(None, (path, f"line {line}" if line else "", field)))
        super().__init__(f"{where}: {message}" if where else message, hint=hint, host=host, machine=machine)
        self.path = path
        self.line = line
        self.field = field


class NameInUse(LabError):
    """The name is taken."""


class NotFound(LabError, LookupError):
    """There is no such lab, host, machine, network, image or snapshot."""


class NotSupported(LabError):
    """The engine, or this machine, cannot do what was asked."""


class InvalidState(LabError):
    """The thing is not in a state in which this can be done."""


class Busy(LabError):
    """Somebody else is doing something with it."""


class NotEnough(LabError):
    """The host has too little of something."""


class NotEnoughMemory(NotEnough):
    """The host has too little memory."""


class NotEnoughDisk(NotEnough):
    """The host has too little room on disk."""


class Unavailable(LabError):
    """Something that labkit needs is missing on this computer."""


class NamespacesForbidden(Unavailable):
    """The kernel does not let this user make namespaces."""


class DeviceMissing(Unavailable):
    """A device file is missing or closed to this user."""


class PackageMissing(Unavailable):
    """A program that labkit needs is not installed."""


class Unreachable(LabError):
    """A server cannot be reached by ssh, or has been lost."""


class LoginRefused(Unreachable):
    """A server does not let this user in, or not become root there."""


class ServerChanged(Unreachable):
    """A server has another key than the one that is known: it may be another."""


class VersionsDoNotFit(Unavailable):
    """Two programs that are installed do not work together."""


class DaemonFailed(LabError):
    """An engine's daemon did not start, or died."""


class DeadlineExceeded(LabError, TimeoutError):
    """What was waited for did not come in time."""


class Cancelled(LabError):
    """Somebody has asked to stop it; what was half made is gone again."""


class LabGone(LabError):
    """The lab or the host has ended."""


class EngineError(LabError):
    """The engine refused or failed; the message has its own words."""


class CommandFailed(LabError):
    """A command ended with another exit code than 0 and ``check=True`` was given."""


class ImageError(LabError):
    """Something is wrong with an image."""


class ImageDamaged(ImageError):
    """An image's files are not what they were when it was built."""


class ImageBuildFailed(ImageError):
    """An image could not be built."""


class ArchiveRefused(ImageError):
    """An archive from elsewhere holds what no image may: it leads out, has devices, or is too much."""
