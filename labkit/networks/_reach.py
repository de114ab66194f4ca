"""What one machine is asked: to reach others, by ping, on TCP ports and by name; and what it answers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..errors import LabError
from ..machines.base import Machine
from ..machines.spec import State

_ASLEEP = (State.PAUSED, State.STOPPED, State.FAILED)
# $1: seconds for each; $2: for all; $3: ports with blanks between; then addresses and names.
# First all pings at once, then all ports, with one process each, for an emulated processor takes long to
# make many. What does not get there in a third of its time is tried once more, as packets do get lost, and
# then what is said of it is kept. At the end of its time it tells what it knows by then. One line for each:
# kind, target, port, exit code, words; and the lines of pings that came back. Both kinds of `nc` are known:
# one has -z, busybox's runs a program once it is connected.
_SCRIPT = r"""
first=$((($1 + 2) / 3)) second=$(($1 - ($1 + 2) / 3 + ($1 == 1))) all=$2 ports=$3 jobs='' pids='' seconds=''
shift 3
set -f
has() { command -v "$1" >/dev/null 2>&1; }
ping=yes connect='' bound=''
has ping || { ping='' && echo 'lacks ping'; }
has timeout && bound=timeout
if [ -z "$ports" ]; then
    :
elif has nc; then
    case $(nc -h 2>&1) in *-z*) connect=zero ;; *) connect=exec ;; esac
elif has bash && has timeout; then
    connect=bash
else
    echo 'lacks nc'
fi
try() {
    case $1 in
    icmp) exec ping -c 1 -W "$4" "$2" ;;
    dns) exec ${bound:+timeout "$4"} ping -c 1 -W "$4" "$2" ;;
    esac
    case $connect in
    zero) exec nc -v -z -w "$4" "$2" "$3" ;;
    exec) exec nc -w "$4" "$2" "$3" -e true ;;
    bash) exec timeout "$4" bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$2" "$3" ;;
    esac
}
begin() {
    try "$@" "$first" </dev/null 2>/dev/null &
    jobs="$jobs $1,$2,$3,$!" pids="$pids $!"
}
again() {
    said=$(try "$@" "$second" 2>&1 </dev/null)
    code=$?
    what="$1 $2 $3 $code"
    set -- $said
    printf '%s\n' "$what $*"
}
collect() {
    for job in $jobs; do
        IFS=,
        set -- $job
        unset IFS
        if wait "$4"; then
            printf '%s\n' "$1 $2 $3 0"
        else
            again "$1" "$2" "$3" &
            seconds="$seconds $!" pids="$pids $!"
        fi
    done
    jobs=''
}
finish() {
    kill "$watch" $pids
    exit
} 2>/dev/null
trap finish TERM
{
    sleep "$all" &
    trap 'kill $!; exit' TERM
    wait $! && kill $$
} </dev/null >/dev/null 2>&1 &
watch=$!
for target; do
    case $target in
    *[!0-9.]*) [ -z "$ping" ] || begin dns "$target" 0 ;;
    *) [ -z "$ping" ] || begin icmp "$target" 0 ;;
    esac
done
collect
[ -n "$connect" ] || set --
for target; do
    case $target in
    *[!0-9.]*) ;;
    *) for port in $ports; do begin tcp "$target" "$port"; done ;;
    esac
done
collect
[ -z "$seconds" ] || wait $seconds
finish
"""
_RTT = re.compile(r"bytes from ([\d.]+): .*time[=<]([\d.]+) ?ms")
_SAID = (
    ("refused", "connection refused"), ("timed out", ""), ("network is unreachable", "there is no route to it"),
    ("network unreachable", "there is no route to it"), ("host unreachable", "nobody is at that address"),
    ("host is unreachable", "nobody is at that address"), ("no route to host", "nobody is at that address"),
    ("unreachable", "something on the way refuses it"), ("bad address", "nobody knows the name"),
    ("not known", "nobody knows the name"), ("name resolution", "nobody knows the name"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reach:
    """Whether one address of a machine was reached from another machine.

    Attributes
    ----------
    source, target
        The names of the machines.
    address
        The target's address that was tried, or its name if `protocol` is ``dns``.
    protocol
        ``icmp`` for a ping, ``tcp`` for a connection, ``dns`` for a ping by name.
    port
        The TCP port, else None.
    reached
        None if it was not tried.
    rtt_ms
        How long a ping took there and back, in milliseconds, if it came back.
    why
        Why it was not reached, or not tried; in part a guest's words.
    """

    source: str
    target: str
    address: str
    protocol: str
    port: int | None
    reached: bool | None
    rtt_ms: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What one machine is asked.

    Attributes
    ----------
    source, targets
        Who is asked, and about whom.
    ports, names
        TCP ports to try, and whether to try the targets' names.
    limit_s, given_s
        Seconds for each answer, and for all that the machine does.
    """

    source: Machine
    targets: Sequence[Machine]
    ports: tuple[int, ...]
    names: bool
    limit_s: int
    given_s: float

    @property
    def script_s(self) -> int:
        """The seconds that the script has, so that it can still tell what it knows."""
        return max(1, math.ceil(0.8 * self.given_s))

    def ask(self) -> list[Reach]:
        """Have the machine try to reach all targets."""
        state = self.source.state
        if state in _ASLEEP:
            return self.all(None, f"not tried: {self.source.name} is {state}")
        words = [address for target in self.targets for address in target.addresses]
        words += [target.name for target in self.targets if self.names]
        if not words:
            return list(self._read(""))
        argv = [
            "sh",
            "-c",
            _SCRIPT,
            "labkit",
            str(self.limit_s),
            str(self.script_s),
            " ".join(map(str, self.ports)),
            *words,
        ]
        try:
            done = self.source.run(argv, timeout_s=self.given_s)
        except LabError as error:
            return self.all(None, f"not tried: {error.message}"[:200])
        if not done.stdout:
            return self.all(None, f"not tried: {done.stderr.strip()[-150:] or f'exit code {done.exit_code}'}")
        return list(self._read(done.stdout))

    def all(self, reached: bool | None, why: str) -> list[Reach]:
        """The same answer for everything."""
        return [Reach(*key, reached, why=why) for key in self._keys()]

    def _keys(self) -> Iterator[tuple[str, str, str, str, int | None]]:
        for target in self.targets:
            pair = self.source.name, target.name
            for address in target.addresses or ("",):
                yield (*pair, address, "icmp", None)
                yield from ((*pair, address, "tcp", port) for port in self.ports)
            if self.names:
                yield (*pair, target.name, "dns", None)

    def _read(self, told: str) -> Iterator[Reach]:
        """The rows from what the script has said."""
        lacks: dict[str, str] = {}
        lines: dict[tuple[str, ...], tuple[str, str]] = {}
        times = {found[1]: float(found[2]) for found in _RTT.finditer(told)}
        for line in told.splitlines():
            words = line.split(" ", 4)
            if words[0] == "lacks":
                lacks |= dict.fromkeys({"ping": ("icmp", "dns"), "nc": ("tcp",)}.get(words[1], ()), words[1])
            elif len(words) >= 4:
                lines[*words[:3]] = words[3], words[4] if len(words) > 4 else ""
        asleep = {target.name: f"; it is {target.state}" for target in self.targets if target.state in _ASLEEP}
        for key in self._keys():
            _, target, address, protocol, port = key
            if not address:
                yield Reach(*key, None, why=f"not tried: {target} has no address")
            elif protocol in lacks:
                yield Reach(*key, None, why=f"not tried: there is no {lacks[protocol]} in {self.source.name}")
            elif protocol == "icmp" and address in times:
                yield Reach(*key, True, times[address])
            elif (answer := lines.get((protocol, address, str(port or 0)))) is None:
                yield Reach(*key, None, why=f"not tried: {self.source.name} did not get to it in {self.script_s} s")
            else:
                yield self._row(key, *answer, asleep.get(target, ""))

    def _row(self, key: tuple[str, str, str, str, int | None], code: str, said: str, asleep: str) -> Reach:
        if code == "0":
            return Reach(*key, True)
        low = said.lower()
        if "permi" in low and "transmitted" not in low:
            return Reach(*key, None, why=f"not tried: {said[:100]}")
        why = next((words for sign, words in _SAID if sign in low), "" if _is_silence(key[3], said) else said[-100:])
        return Reach(*key, False, why=(why or f"no answer within {self.limit_s} s") + asleep)


def _is_silence(protocol: str, said: str) -> bool:
    """Whether what a program said means no more than that nothing has come back."""
    return not said or protocol != "tcp"
