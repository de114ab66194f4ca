"""Connections to libvirt: one event loop a process, typed errors, states by events."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import libvirt

from ..errors import (
    EngineError,
    InvalidState,
    LabError,
    LabGone,
    NameInUse,
    NotEnoughDisk,
    NotEnoughMemory,
    NotFound,
)
from .spec import State

_loop_lock = threading.Lock()
_loop: threading.Thread | None = None

_KINDS: dict[int, type[LabError]] = {
    libvirt.VIR_ERR_NO_DOMAIN: NotFound,
    libvirt.VIR_ERR_NO_DOMAIN_SNAPSHOT: NotFound,
    libvirt.VIR_ERR_NO_NETWORK: NotFound,
    libvirt.VIR_ERR_DOM_EXIST: NameInUse,
    libvirt.VIR_ERR_NETWORK_EXIST: NameInUse,
    libvirt.VIR_ERR_OPERATION_INVALID: InvalidState,
}
_STATES = {
    libvirt.VIR_DOMAIN_RUNNING: State.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: State.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: State.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: State.RUNNING,
    libvirt.VIR_DOMAIN_SHUTOFF: State.STOPPED,
    libvirt.VIR_DOMAIN_CRASHED: State.FAILED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: State.PAUSED,
}
_FAILURES = (libvirt.VIR_DOMAIN_SHUTOFF_CRASHED, libvirt.VIR_DOMAIN_SHUTOFF_FAILED)
_FAILED_EVENTS = (libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED, libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED)
_AFTER_EVENT = {
    libvirt.VIR_DOMAIN_EVENT_UNDEFINED: None,
    libvirt.VIR_DOMAIN_EVENT_DEFINED: None,
    libvirt.VIR_DOMAIN_EVENT_STARTED: State.RUNNING,
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: State.PAUSED,
    libvirt.VIR_DOMAIN_EVENT_RESUMED: State.RUNNING,
    libvirt.VIR_DOMAIN_EVENT_STOPPED: State.STOPPED,
    libvirt.VIR_DOMAIN_EVENT_SHUTDOWN: None,
    libvirt.VIR_DOMAIN_EVENT_PMSUSPENDED: State.PAUSED,
    libvirt.VIR_DOMAIN_EVENT_CRASHED: State.FAILED,
}


# Seconds between questions whether libvirt is there, and how many may go unanswered: domain 0 may be emulated, and
# has other things to do while a memory is written or read.
_KEEPALIVE = {"qemu": (5, 3), "xen": (10, 9)}


def _run_events() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()


def _ensure_loop() -> None:
    global _loop  # noqa: PLW0603  one loop a process is libvirt's own rule
    with _loop_lock:
        if _loop is None:
            libvirt.registerErrorHandler(lambda _context, _error: None, None)
            libvirt.virEventRegisterDefaultImpl()
            _loop = threading.Thread(target=_run_events, name="labkit-libvirt", daemon=True)
            _loop.start()


def address(socket: str, driver: str = "qemu") -> str:
    """The address of a driver of libvirt, ``qemu`` or ``xen``, behind the Unix socket `socket`."""
    return f"{driver}+unix:///system?socket={socket}"


def connect(socket: str, driver: str = "qemu") -> libvirt.virConnect:
    """Open a driver of libvirt behind the Unix socket `socket`."""
    _ensure_loop()
    connection = libvirt.open(address(socket, driver))
    connection.setKeepAlive(*_KEEPALIVE[driver])
    return connection


@contextmanager
def spoken(host: str = "", machine: str = "") -> Iterator[None]:
    """Turn libvirt's errors into labkit's, with libvirt's own words."""
    try:
        yield
    except libvirt.libvirtError as error:
        raise translate(error, host, machine) from error


def translate(error: libvirt.libvirtError, host: str, machine: str) -> LabError:
    """The labkit error for one of libvirt's."""
    words = error.get_error_message() or str(error)
    code = error.get_error_code()
    if "No space left on device" in words:
        kind, hint = NotEnoughDisk, "make room on the disk with the lab's state, see `labkit doctor`"
        return kind(f"libvirt: {words}", hint=hint, host=host, machine=machine)
    if "Cannot allocate memory" in words:
        hint = "ask for less memory or stop other machines"
        return NotEnoughMemory(f"libvirt: {words}", hint=hint, host=host, machine=machine)
    if error.get_error_domain() == libvirt.VIR_FROM_RPC or code == libvirt.VIR_ERR_NO_CONNECT:
        hint = "if the host has ended, lab.add_host(…) makes it again"
        return LabGone(f"libvirt does not answer: {words}", hint=hint, host=host, machine=machine)
    return _KINDS.get(code, EngineError)(f"libvirt: {words}", host=host, machine=machine)


def state_of(domain: libvirt.virDomain) -> State:
    """What libvirt says now that the domain is doing."""
    state, reason = domain.state()
    if state == libvirt.VIR_DOMAIN_SHUTOFF and reason in _FAILURES:
        return State.FAILED
    return _STATES.get(state, State.UNKNOWN)


def follow(
    connection: libvirt.virConnect, told: Callable[[str, State], None], gone: Callable[[str], None],
    lost: Callable[[], None], heard: Callable[[str, int, int], None],
) -> None:  # fmt: skip
    """Have it called, from libvirt's thread: `told(name, state)`, `gone(name)` of domains, `lost()` at the end.

    And `heard(name, event, detail)` with each event of a domain's life as libvirt tells it.
    """

    def on_event(_connection: object, domain: libvirt.virDomain, event: int, detail: int, _opaque: object) -> None:
        heard(domain.name(), event, detail)
        state = _AFTER_EVENT.get(event)
        if event == libvirt.VIR_DOMAIN_EVENT_STOPPED and detail in _FAILED_EVENTS:
            state = State.FAILED
        if state:
            told(domain.name(), state)
        elif event == libvirt.VIR_DOMAIN_EVENT_UNDEFINED and detail == libvirt.VIR_DOMAIN_EVENT_UNDEFINED_REMOVED:
            gone(domain.name())

    connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, on_event, None)
    connection.registerCloseCallback(lambda _connection, _reason, _opaque: lost(), None)
