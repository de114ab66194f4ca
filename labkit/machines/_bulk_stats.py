"""The counters of all domains of a host, once a second."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import libvirt

from ..errors import DeadlineExceeded

Told = list[tuple[libvirt.virDomain, dict[str, Any]]]
_Key = tuple[str, int]  # name and id: one that starts again has another

_NOWAIT = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
_ACTIVE = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE
# What libvirt tells without asking QEMU: 0.1 ms a domain, 4 ms for all.
_AT_HAND = libvirt.VIR_DOMAIN_STATS_STATE | libvirt.VIR_DOMAIN_STATS_INTERFACE


class BulkStats:
    """The counters of all running domains, by calls for all of them that no machine can hold up for long.

    With NOWAIT libvirt leaves out what it cannot ask of a machine that something is being done to. One that hangs
    by itself it asks all the same, and waits: then the question is left to itself, in its thread, and asked again.
    Now the machine counts as one that something is done to, until it answers.

    A machine that stands still since it was asked is not asked again, except once in a while: its counters do too.

    Parameters
    ----------
    kinds
        Those of libvirt's ``VIR_DOMAIN_STATS_…``.
    """

    _PATIENCE_S = 1.0  # after which it is asked again
    _DEADLINE_S = 10.0
    _MOST = 4  # questions at a time: each holds a worker of libvirtd's
    _STILL_S = (30.0, 90.0)  # how long; not the same for all, or all would be asked in the same second

    def __init__(self, kinds: int) -> None:
        self._kinds = kinds
        self._changed = threading.Condition()
        self._asked: list[_Question] = []  # and not answered
        self._events = 0
        self._still: dict[_Key, tuple[float, dict[str, Any]]] = {}  # until when it holds, and what was told

    def ask(self, connection: libvirt.virConnect) -> Told:
        """The running domains and what libvirt tells of each; raises libvirt's errors, and `DeadlineExceeded`."""
        mine: list[_Question] = []
        with self._changed:
            for patience_s in (self._PATIENCE_S, self._DEADLINE_S):
                if len(self._asked) < self._MOST:
                    mine.append(self._begin(connection))
                if self._changed.wait_for(lambda: any(each.is_answered for each in mine), patience_s):
                    answer: Any = next(each.answer for each in mine if each.is_answered)
                    if isinstance(answer, BaseException):
                        raise answer
                    told: Told = answer
                    return told
        raise DeadlineExceeded("libvirt does not tell counters, because several machines hang")

    def stirred(self, name: str | None = None) -> None:
        """Something has happened to a domain, or may have to all: what was told before does not hold."""
        with self._changed:
            self._events += 1
            self._still = {key: kept for key, kept in self._still.items() if name and key[0] != name}

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

    def _read(self, connection: libvirt.virConnect) -> Told:
        now = time.monotonic()
        with self._changed:
            events = self._events
            known = {key: words for key, (until, words) in self._still.items() if now < until}
        at_hand = {_key(domain): (domain, words) for domain, words in connection.getAllDomainStats(_AT_HAND, _ACTIVE)}
        asked = [domain for key, (domain, words) in at_hand.items() if key not in known or not _stands_still(words)]
        told = connection.domainListGetStats(asked, self._kinds, _NOWAIT) if asked else []
        more = {_key(domain): words for domain, words in told}
        with self._changed:
            if events == self._events:
                self._still = {key: kept for key, kept in self._still.items() if key in at_hand and key not in more}
                for key, words in more.items():
                    if _stands_still(at_hand[key][1]) and "balloon.rss" in words:  # else QEMU was not asked
                        self._still[key] = (now + random.uniform(*self._STILL_S), words)  # noqa: S311  only spreads
        return [(domain, (more.get(key) or known.get(key, {})) | words) for key, (domain, words) in at_hand.items()]


class _Question:
    """A call that is under way."""

    answer: Any = None
    is_answered = False


def _key(domain: libvirt.virDomain) -> _Key:
    return domain.name(), domain.ID()


def _stands_still(words: dict[str, Any]) -> bool:
    return bool(words.get("state.state") == libvirt.VIR_DOMAIN_PAUSED)
