"""The counters of all domains of a host, once a second."""

from __future__ import annotations

import random
import threading
import time
from functools import cache
from typing import Any

import libvirt

from ..errors import DeadlineExceeded
from ._template import is_template
from .spec import Sample

STATS = (
    libvirt.VIR_DOMAIN_STATS_STATE | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_BLOCK | libvirt.VIR_DOMAIN_STATS_INTERFACE | libvirt.VIR_DOMAIN_STATS_VCPU
)  # fmt: skip
_NOWAIT = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
_ACTIVE = libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE
_DISK = ("block", ("rd.bytes", "wr.bytes", "rd.reqs", "wr.reqs", "rd.times", "wr.times"))
_CARD = ("net", ("rx.bytes", "tx.bytes", "rx.pkts", "tx.pkts", "rx.drop", "tx.drop"))
_MEMORY = [f"balloon.{name}" for name in ("available", "usable", "rss", "disk_caches", "swap_in", "swap_out")]


class BulkStats:
    """The counters of all running domains, by calls for all of them that no machine can hold up for long.

    With NOWAIT libvirt leaves out what it cannot ask of a machine that something is being done to. One that hangs
    by itself it asks all the same, and waits: then the question is left to itself, in its thread, and asked again.
    Now the machine counts as one that something is done to, until it answers.

    A machine that stands still since it was asked is not asked again before an event tells that it moves, except
    once in a while: its counters stand still, too.
    """

    _PATIENCE_S = 1.0  # after which it is asked again
    _DEADLINE_S = 10.0
    _MOST = 4  # questions at a time: each holds a worker of libvirtd's
    _STILL_S = (60.0, 180.0)  # how long; not the same for all, or all would be asked in the same second

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._asked: list[_Question] = []  # and not answered
        self._events = 0
        self._active: dict[str, libvirt.virDomain] = {}
        self._still: dict[str, tuple[float, Sample]] = {}  # until when it holds, and what was read

    def ask(self, connection: libvirt.virConnect) -> dict[str, Sample]:
        """A reading of each running domain; raises libvirt's errors, and `DeadlineExceeded`."""
        mine: list[_Question] = []
        with self._changed:
            for patience_s in (self._PATIENCE_S, self._DEADLINE_S):
                if len(self._asked) < self._MOST:
                    mine.append(self._begin(connection))
                if self._changed.wait_for(lambda: any(each.is_answered for each in mine), patience_s):
                    answer: Any = next(each.answer for each in mine if each.is_answered)
                    if isinstance(answer, BaseException):
                        raise answer
                    told: dict[str, Sample] = answer
                    return told
        raise DeadlineExceeded("libvirt does not tell counters, because several machines hang")

    def stirred(self, name: str | None = None) -> None:
        """Something has happened to a domain, or may have to all: what was told before does not hold."""
        with self._changed:
            self._events += 1
            self._active = {}
            self._still = {other: kept for other, kept in self._still.items() if name and other != name}

    def _begin(self, connection: libvirt.virConnect) -> _Question:
        question = _Question()
        self._asked.append(question)

        def ask() -> None:
            answer: Any
            try:
                answer = self._read(connection)
            except Exception as error:  # raised where it was asked
                answer = error
            with self._changed:
                self._asked.remove(question)
                question.answer, question.is_answered = answer, True
                self._changed.notify_all()

        threading.Thread(target=ask, name="labkit-stats", daemon=True).start()
        return question

    def _read(self, connection: libvirt.virConnect) -> dict[str, Sample]:
        now = time.monotonic()
        with self._changed:
            events, active, still = self._events, self._active, self._still
        if len(active) != connection.numOfDomains():  # which also tells that libvirt answers
            active = {domain.name(): domain for domain in connection.listAllDomains(_ACTIVE)}
        read = {
            name: sample._replace(time_s=now)
            for name, (until, sample) in still.items()
            if now < until and name in active
        }
        moving = [domain for name, domain in active.items() if name not in read and not is_template(name)]
        kept = {name: still[name] for name in read}
        for domain, words in connection.domainListGetStats(moving, STATS, _NOWAIT) if moving else ():
            read[domain.name()] = sample = sample_of(words, now)
            was_asked = "balloon.rss" in words
            if was_asked and words.get("state.state") == libvirt.VIR_DOMAIN_PAUSED:
                kept[domain.name()] = now + random.uniform(*self._STILL_S), sample  # noqa: S311  only spreads
        with self._changed:
            if events == self._events:
                self._active, self._still = active, kept
        return read


class _Question:
    """A call that is under way."""

    answer: Any = None
    is_answered = False


def sample_of(words: dict[str, Any], now_s: float) -> Sample:
    """A reading from what libvirt tells of a domain, see virConnectGetAllDomainStats."""
    told = words.get
    disks, cards = (_sums(words, *kind) for kind in (_DISK, _CARD))
    there, free, rss, caches, swapped_in, swapped_out = (
        None if (kib := told(name)) is None else kib * 1024 for name in _MEMORY
    )
    waits = [told(f"vcpu.{number}.delay") for number in range(told("vcpu.maximum", 0))]
    known = [wait for wait in waits if wait is not None]
    return Sample(
        time_s=now_s, cpu_seconds=told("cpu.time", 0) / 1e9, memory_bytes=rss or 0,
        disk_read_bytes=disks[0], disk_written_bytes=disks[1], received_bytes=cards[0], sent_bytes=cards[1],
        cpu_wait_seconds=sum(known) / 1e9 if known else None, processors=told("vcpu.current"),
        memory_used_bytes=there - free if there is not None and free is not None else None,
        memory_cached_bytes=caches, memory_total_bytes=there or told("balloon.current", 0) * 1024 or None,
        swapped_in_bytes=swapped_in, swapped_out_bytes=swapped_out,
        disk_requests=disks[2] + disks[3], disk_seconds=(disks[4] + disks[5]) / 1e9,
        disk_used_bytes=told("block.0.allocation"), disk_total_bytes=told("block.0.capacity"),
        received_packets=cards[2], sent_packets=cards[3], dropped_packets=cards[4] + cards[5],
    )  # fmt: skip


def _sums(words: dict[str, Any], kind: str, names: tuple[str, ...]) -> list[int]:
    """Counters added up over all disks, or all network cards."""
    found = [0] * len(names)
    for number in range(words.get(f"{kind}.count", 0)):
        for place, word in enumerate(_words(kind, number, names)):
            found[place] += words.get(word, 0)
    return found


@cache
def _words(kind: str, number: int, names: tuple[str, ...]) -> tuple[str, ...]:
    """libvirt's names of the counters of one disk or network card."""
    return tuple(f"{kind}.{number}.{name}" for name in names)
