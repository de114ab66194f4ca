"""Who reaches whom: what machines say, read and shown. No machine is asked here."""

from __future__ import annotations

import pickle
import shutil
import subprocess
from types import SimpleNamespace
from typing import Any

import pytest

from labkit._html_connectivity import bundle, groups, matrix
from labkit.errors import InvalidState, InvalidValue, NotFound
from labkit.machines.base import Machine
from labkit.machines.spec import State
from labkit.networks._reach import _SCRIPT, Question, Reach
from labkit.networks.connectivity import Connectivity, _check_limit, _check_ports

PING = "PING 198.19.1.3 (198.19.1.3): 56 data bytes\n64 bytes from 198.19.1.3: seq=0 ttl=64 time=0.512 ms\n\n---"
LOST = "PING 1.2.3.4 (1.2.3.4): 56 data bytes --- 1 packets transmitted, 0 packets received, 100% packet loss"


def machine(name: str, *addresses: str, state: State = State.RUNNING, says: Any = "") -> Any:
    """What is asked of a machine: its name, state, addresses, and `run`, which says `says` or raises it."""

    def run(argv: list[str], timeout_s: float) -> Any:
        fake.asked = argv
        if isinstance(says, Exception):
            raise says
        return SimpleNamespace(stdout=says, stderr="sh: it went wrong", exit_code=1)

    fake = SimpleNamespace(name=name, addresses=addresses, state=state, run=run)
    return fake


def ask(source: Any, *targets: Any, ports: tuple[int, ...] = (), names: bool = False) -> list[Reach]:
    return Question(source, targets, ports, names, 5, 10).ask()


def found(names: list[str], fails: set[tuple[str, str]] = frozenset(), ports: tuple[int, ...] = ()) -> Connectivity:  # type: ignore[assignment]
    rows = [
        Reach(a, b, "198.19.1.2", "icmp" if port is None else "tcp", port, (a, b) not in fails)
        for a in names for b in names if a != b for port in (None, *ports)
    ]  # fmt: skip
    return Connectivity("demo", tuple(names), ports, tuple(rows), 1.0)


@pytest.mark.parametrize("ports", [[0], [65536], ["x"], [22, 22], "22", 22, [True], [1.5], [None]])
def test_bad_ports_are_refused(ports: Any) -> None:
    """What is no list of different TCP ports raises a typed error."""
    with pytest.raises(InvalidValue):
        _check_ports(ports)


@pytest.mark.parametrize("limit", [0, -1, "5", None, float("nan"), 601, True])
def test_bad_limits_are_refused(limit: Any) -> None:
    """What is no number of seconds raises a typed error."""
    with pytest.raises(InvalidValue):
        _check_limit(limit)


def test_what_a_machine_says_becomes_rows() -> None:
    """Each address and port has a row: reached and how fast, or why not, or why it was not tried."""
    said = "\n".join([
        PING, "icmp 198.19.1.3 0 0", "tcp 198.19.1.3 80 0 ",
        "tcp 198.19.1.3 81 1 nc: can't connect to remote host (198.19.1.3): Connection refused",
        f"icmp 198.19.2.3 0 1 {LOST}", "tcp 198.19.2.3 80 1 nc: timed out", "tcp 198.19.2.3 81 1 ",
        "icmp 198.19.1.4 0 1 ping: sendto: Network is unreachable", "rubbish", "",
        "dns db 0 1 ping: bad address 'db'",
    ])  # fmt: skip
    source = machine("web", "198.19.1.2", says=said)
    both, other = machine("db", "198.19.1.3", "198.19.2.3"), machine("off", "198.19.1.4", state=State.STOPPED)
    rows = ask(source, both, other, machine("bare"), ports=(80, 81), names=True)
    told = {(row.address, row.protocol, row.port): (row.reached, row.rtt_ms, row.why) for row in rows}
    assert told["198.19.1.3", "icmp", None] == (True, 0.512, "")
    assert told["198.19.1.3", "tcp", 80] == (True, None, "")
    assert told["198.19.1.3", "tcp", 81] == (False, None, "connection refused")
    assert told["198.19.2.3", "icmp", None] == (False, None, "no answer within 5 s")
    assert told["198.19.2.3", "tcp", 80] == told["198.19.2.3", "tcp", 81] == (False, None, "no answer within 5 s")
    assert told["198.19.1.4", "icmp", None] == (False, None, "there is no route to it; it is stopped")
    assert told["198.19.1.4", "tcp", 80] == (None, None, "not tried: web did not get to it in 8 s")
    assert told["", "icmp", None] == (None, None, "not tried: bare has no address")
    assert told["db", "dns", None] == (False, None, "nobody knows the name")
    result = Connectivity("demo", ("web", "db", "off", "bare"), (80, 81), tuple(rows), 1.0)
    assert result.reaches("web", "db")
    assert result.reaches("web", "db", 80)
    assert not result.reaches("web", "db", 81)
    assert result.verdict("web", "bare") is None
    assert result.knows("web", "db") is False
    assert len(result) == len(list(result)) == len(rows)


def test_names_are_arguments_of_the_script() -> None:
    """Nothing is formatted into what the shell runs: limit, ports and targets are words of their own."""
    source = machine("web", "198.19.1.2", says="lacks ping")
    ask(source, machine("db", "198.19.1.3"), ports=(80,), names=True)
    assert source.asked == ["sh", "-c", _SCRIPT, "labkit", "5", "8", "80", "198.19.1.3", "db"]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (machine("web", state=State.PAUSED), "web is paused"),
        (machine("web", state=State.STOPPED), "web is stopped"),
        (machine("web", says=InvalidState("web has ended", host="alpha")), "web has ended"),
        (machine("web", says=""), "it went wrong"),
        (machine("web", says="lacks ping"), "there is no ping in web"),
        (machine("web", says="icmp 198.19.1.3 0 1 ping: permission denied (are you root?)"), "permission denied"),
    ],
)  # fmt: skip
def test_who_cannot_be_asked_gets_rows_that_say_so(source: Any, why: str) -> None:
    """A machine that is paused, fails, or lacks the tools, has rows that are neither reached nor not."""
    (row,) = ask(source, machine("db", "198.19.1.3"))
    assert row.reached is None
    assert row.why.startswith("not tried: ")
    assert why in row.why


def test_the_sentence_counts_pairs() -> None:
    """It says how many of all ordered pairs fail, of ports how many answer."""
    names = ["a", "b", "c", "d", "e"]
    assert found(names).summary == "all 20 pairs reach each other"
    some = found(names, {("a", "b"), ("b", "a"), ("c", "a")}, ports=(80,))
    assert some.summary == "3 of 20 pairs do not reach each other; port 80 answers in 17 of 20 pairs"
    assert found(["a"]).summary == "There are no two machines that could reach each other"
    unknown = Connectivity("demo", ("a", "b"), (), (Reach("a", "b", "", "icmp", None, None),), 1.0)
    assert unknown.summary == "none of 2 pairs could be tried"
    for result in (some, unknown):
        assert result.summary in repr(result)


def test_what_was_not_asked_about_raises() -> None:
    """A machine or a port that is not in the result is an error, not a silent no."""
    result = found(["a", "b"])
    with pytest.raises(NotFound, match="'c'"):
        result.reaches("a", "c")
    with pytest.raises(NotFound, match="port 80"):
        result.reaches("a", "b", 80)


def test_a_result_travels() -> None:
    """A result survives pickling, and cannot be changed."""
    result = found(["a", "b"], {("a", "b")})
    copy = pickle.loads(pickle.dumps(result))
    assert copy == result
    assert not copy.reaches("a", "b")
    with pytest.raises(AttributeError):
        result.rows = ()  # type: ignore[misc]


def test_the_matrix_has_signs_besides_colour() -> None:
    """Each field has a sign for the ping and one for each port, a legend explains them, headers name the machines."""
    shown = bundle(found(["web", "db"], {("web", "db")}, ports=(80,)))
    html = shown["text/html"]
    assert html.count('scope="row"') == 2
    assert "✖</span>" in html
    assert "✔</span>" in html
    assert "✔ reached" in html
    assert "ping, TCP 80" in html
    assert "<details" in html
    assert shown["text/plain"].splitlines() == [
        "1 of 2 pairs do not reach each other; port 80 answers in 1 of 2 pairs.",
        "       1   2",
        "1 web  ·   ✖✖",
        "2 db   ✔✔  ·",
        "rows reach columns, by ping, TCP 80: ✔ reached  ✖ not reached  ? not tried",
    ]


def test_what_guests_say_is_shown_as_text() -> None:
    """A guest's words that are HTML are escaped, in the table and in the tooltips."""
    row = Reach("a", "b", "198.19.1.2", "tcp", 80, False, why='<img src=x onerror="alert(1)">')
    html = bundle(Connectivity("demo", ("a", "b"), (80,), (row,), 1.0))["text/html"]
    assert "<img" not in html
    assert "&lt;img" in html
    assert 'onerror="' not in html


def test_many_machines_that_are_alike_are_one_row() -> None:
    """From twenty on, machines that reach and are reached alike stand together; who is different stands out."""
    names = [f"m{number}" for number in range(30)]
    assert groups(found(names)) == [names]
    assert len(groups(found(names[:19]))) == 19
    cut_off = {(a, b) for a in names for b in names if "m7" in (a, b)}
    result = found(names, cut_off)
    assert groups(result) == [[name for name in names if name != "m7"], ["m7"]]
    assert [row.label for row in matrix(result)] == ["m0, m1 + 27", "m7"]
    halves = {(a, b) for a in names for b in names if (int(a[1:]) < 15) != (int(b[1:]) < 15)}
    assert [len(group) for group in groups(found(names, halves))] == [15, 15]
    one_way = {("m3", "m4")}
    assert [len(group) for group in groups(found(names, one_way))] == [28, 1, 1]
    html = bundle(result)["text/html"]
    assert html.count('scope="row"') == 2
    assert "58 of 870 pairs do not reach each other" in html
    assert "and 470 more, in .rows" in html


@pytest.mark.parametrize("shell", [shell for shell in ("dash", "bash") if shutil.which(shell)])
def test_the_script_runs_in_any_shell(shell: str) -> None:
    """With none of the tools there it says so, and tries nothing."""
    program = shutil.which(shell) or shell
    done = subprocess.run(
        [program, "-c", _SCRIPT, "labkit", "1", "5", "80", "127.0.0.1"], env={"PATH": "/nowhere"}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert (done.stdout.split("\n"), done.stderr) == (["lacks ping", "lacks nc", ""], "")


def test_a_question_is_no_machine() -> None:
    """The fakes here have what a machine has."""
    for name in ("addresses", "state", "run"):
        assert hasattr(Machine, name)
