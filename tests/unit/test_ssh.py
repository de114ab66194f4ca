"""What a server is described by, the words given to ssh, and what ssh's words mean."""

from __future__ import annotations

import os
import pickle
import selectors
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from labkit import Ssh
from labkit.errors import InvalidName, InvalidValue, NameInUse, NotFound
from labkit.hosts import _far_host, _ssh_words
from labkit.hosts._login import Login, _trust
from labkit.hosts._wire import WINDOW, Inflow, Outflow, Wire
from labkit.hosts.providers import HostSpec, by_name, one_by_name


@pytest.mark.parametrize(
    "target", ["server", "me@server", "me@server.example", "me@198.18.0.9", "fe80::1", "root@[fe80::1]", "a.b_c@h-1"]
)
def test_targets(target: str) -> None:
    """What ssh takes for a server is taken."""
    assert Login(target).target == target


@pytest.mark.parametrize(
    "target",
    ["", "-oProxyCommand=x", "me@-x", "me@", "@server", "a b", "server\n", "a;b", "$(x)", "me@ser ver", "\0", None, 7],
)
def test_targets_that_are_none(target: object) -> None:
    """What ssh could take for an option or a shell for more than a word is refused at the door."""
    with pytest.raises(InvalidValue, match="is not a server"):
        Login(target)  # type: ignore[arg-type]


@pytest.mark.parametrize("port", [0, -1, 65536, "22", True, 1.5])
def test_ports_that_are_none(port: object) -> None:
    """A port is a number from 1 to 65535."""
    with pytest.raises(InvalidValue, match="port"):
        Login("server", port)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", ["ProxyJump=gate", ["ProxyJump"], ["-v"], ["A=b\nC=d"], [7], ["=x"]])
def test_options_that_are_none(options: object) -> None:
    """An option is a word and its value, in one line."""
    with pytest.raises(InvalidValue, match="options"):
        Login("server", options=options)  # type: ignore[arg-type]


def test_a_key_file_that_is_missing(tmp_path: Path) -> None:
    """It is named before anything is tried."""
    with pytest.raises(NotFound, match="no key file"):
        Login("server", identity=str(tmp_path / "none")).argv(tmp_path / "ssh", tmp_path / "known")


@pytest.mark.parametrize(
    ("target", "name"),
    [("me@server.example", "server"), ("Server_1", "server-1"), ("198.18.0.9", "198-18-0-9"), ("x@fe80::1", "fe80-1")],
)
def test_names_are_made_from_servers(target: str, name: str) -> None:
    """A host that is given no name is called after its server."""
    assert Ssh(target).name == name


def test_a_spec_is_checked_and_travels() -> None:
    """It is frozen, equal by value, pickled whole, and refuses a name that is none."""
    spec = Ssh("me@server", name="gamma", port=2222, options=["ProxyJump=gate"])
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert spec.names() == ("gamma",)
    assert isinstance(spec, HostSpec)
    with pytest.raises(InvalidName):
        Ssh("server", name="No Name")
    with pytest.raises(AttributeError):
        spec.port = 1  # type: ignore[misc]


def test_hosts_that_are_wanted() -> None:
    """Names and specs go together; one that is no spec, or says one name twice, is refused."""
    spec = Ssh("me@server", name="gamma")
    assert by_name(["alpha", spec]) == {"alpha": None, "gamma": spec}
    assert by_name(spec) == {"gamma": spec}
    assert one_by_name("delta", spec) == {"delta": spec}
    with pytest.raises(NameInUse, match="two hosts"):
        by_name([spec, spec])
    with pytest.raises(InvalidValue, match="made from"):
        one_by_name("delta", "server")  # type: ignore[arg-type]
    with pytest.raises(InvalidName):
        by_name(["alpha", 7])  # type: ignore[list-item]


def test_the_users_own_options_come_first(tmp_path: Path) -> None:
    """ssh takes the first of each option: what was asked for wins, the target comes last and alone."""
    argv = Login("me@server", 2222, options=("ServerAliveInterval=60",)).argv(tmp_path / "s", tmp_path / "known")
    told = subprocess.run([argv[0], "-G", *argv[1:]], capture_output=True, text=True, check=True).stdout.splitlines()
    assert {"serveraliveinterval 60", "port 2222", "batchmode yes", "user me", "stricthostkeychecking accept-new"} <= {
        *told
    }
    assert any(line.startswith(f"userknownhostsfile {tmp_path}/known ") for line in told)
    assert argv[-2:] == ["--", "me@server"]


def test_what_the_user_says_of_trust_holds(tmp_path: Path) -> None:
    """Nobody's decision about unknown servers is replaced."""
    strict = Login("server", options=("StrictHostKeyChecking=yes", f"UserKnownHostsFile={tmp_path}/mine"))
    assert not [word for word in strict.argv(tmp_path / "s", tmp_path / "known") if "accept-new" in word]
    assert _trust({"stricthostkeychecking": "yes", "userknownhostsfile": "/etc/known"}, tmp_path) == []


def test_the_command_for_the_server_is_one_word(tmp_path: Path) -> None:
    """Any shell hands it on whole, and what runs reads just the program."""
    program = b"import os; print('here', repr(os.read(0, 99)))"
    command = _ssh_words.remote_command(len(program))
    done = subprocess.run(["sh", "-c", command], input=program, capture_output=True, check=True)
    assert done.stdout == b"here b''\n"
    assert shlex.split(command)[:3] == ["exec", "sh", "-c"]


@pytest.mark.parametrize(
    ("said", "kind", "sentence"),
    [
        ("ssh: Could not resolve hostname nowhere: Name or service not known", "Unreachable", "is not known"),
        ("ssh: connect to host s port 22: Connection refused", "Unreachable", "does not accept"),
        ("ssh: connect to host s port 22: Connection timed out", "Unreachable", "does not answer"),
        ("ssh: connect to host s port 22: No route to host", "Unreachable", "does not answer"),
        ("me@s: Permission denied (publickey,password).", "LoginRefused", "let this user in"),
        ("@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\n@@@\nHost key verification failed.",
         "ServerChanged", "another key"),
        ("No ED25519 host key is known for s\nHost key verification failed.", "ServerChanged", "accept no other"),
        ("labkit: no python3", "PackageMissing", "no python3"),
        ("labkit: an old python3", "PackageMissing", "older than 3.8"),
        ("labkit: no sudo", "LoginRefused", "sudo -n"),
        ("sh: cannot create /x: No space left on device", "NotEnoughDisk", "full"),
        ("command-line: line 0: Bad configuration option: nonsense", "InvalidValue", "options"),
        ("something that nobody knows", "Unreachable", "something that nobody knows"),
        ("", "Unreachable", "has ended"),
    ],
)  # fmt: skip
def test_what_ssh_says(said: str, kind: str, sentence: str) -> None:
    """Each failure has a kind, a sentence with the server's name, and what to do."""
    told, words, hint = _ssh_words.explain(said, "me@s")
    assert told == kind
    assert sentence in words
    assert "me@s" in words
    assert hint
    assert "{" not in words + hint


# ── The wire ──────────────────────────────────────────────────────────────────────────────────


class Ends:
    """Both ends of a wire, in one loop."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.heard: list[dict[str, object]] = []
        self.lost = False
        (a, b), (c, d) = os.pipe(), os.pipe()
        self.near = Wire(self.selector, a, d, self.heard.append, self._lose)
        self.far = Wire(self.selector, c, b, self.heard.append, self._lose)

    def _lose(self) -> None:
        self.lost = True

    def turn(self, until: Callable[[], object]) -> None:
        """Go on until something is so, or nothing happens any more."""
        while not until() and (ready := self.selector.select(2)):
            for key, events in ready:
                key.data(events)


def test_messages_and_streams_cross_the_wire() -> None:
    """A message comes whole; a stream of more than a window comes whole, and its end too."""
    ends, data = Ends(), os.urandom(3 * WINDOW + 17)
    source, sink = os.memfd_create("source"), os.memfd_create("sink")
    os.write(source, data)
    os.lseek(source, 0, os.SEEK_SET)
    ends.near.tell("hello", word="ä\n")
    Inflow(ends.far, 5, sink)
    Outflow(ends.near, 5, source)
    ends.turn(lambda: not ends.far.inflows)
    assert ends.heard == [{"op": "hello", "word": "ä\n"}]
    assert os.pread(sink, len(data) + 1, 0) == data


def test_a_stream_that_nobody_reads_holds_up_no_other() -> None:
    """One end sends no more than was asked for, and another stream goes on."""
    ends = Ends()
    full, endless = os.pipe(), os.open("/dev/zero", os.O_RDONLY)
    Inflow(ends.far, 5, full[1])
    Outflow(ends.near, 5, endless)
    other, quick = os.pipe(), os.pipe()
    Inflow(ends.far, 6, quick[1])
    Outflow(ends.near, 6, other[0])
    os.write(other[1], b"through")
    os.set_blocking(quick[0], False)
    came = bytearray()

    def through() -> bool:
        try:
            came.extend(os.read(quick[0], 99))
        except BlockingIOError:
            return False
        return bytes(came) == b"through"

    ends.turn(through)
    assert came == b"through"
    assert len(ends.far.inflows[5]._data) <= WINDOW


def test_who_writes_sees_that_nobody_reads_any_more() -> None:
    """When the reader of a stream is gone, its other end lets go of what it reads."""
    ends, (out, into), (source, sink) = Ends(), os.pipe(), os.pipe()
    Inflow(ends.far, 5, into)
    Outflow(ends.near, 5, source)
    for descriptor in (out, into, source):
        os.close(descriptor)
    os.write(sink, b"for nobody")
    ends.turn(lambda: not ends.near.outflows)
    with pytest.raises(BrokenPipeError):
        os.write(sink, b"more")


def test_a_wire_that_breaks_lets_go_of_everything() -> None:
    """The other end hears of it once, and its streams are closed."""
    ends, (out, into) = Ends(), os.pipe()
    Inflow(ends.far, 5, into)
    os.close(into)
    ends.near.close()
    ends.turn(lambda: ends.lost)
    assert ends.lost
    assert os.read(out, 1) == b""


def test_what_goes_to_servers_needs_the_standard_library_alone() -> None:
    """The program for a server is one text that runs in an isolated Python without site-packages."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from labkit.hosts._link import far_program; "
        "sys.stdout.buffer.write(far_program({}))"
    )
    root = str(Path(__file__).parents[2])
    program = subprocess.run([sys.executable, "-I", "-S", "-c", code, root], capture_output=True, check=True).stdout
    check = program.replace(b"module.main(", b"print(")
    done = subprocess.run([sys.executable, "-I", "-S", "-"], input=check, capture_output=True, check=True)
    assert done.stdout == b"{}\n"


def test_who_waits_for_a_daemon_writes_nothing_into_folders_that_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the folders are removed, how a daemon ended can no longer be noted there; else they would stay."""
    lab = tmp_path / "state" / "labs" / "lab"
    folder = lab / "hosts" / "delta"
    note = folder / "daemons" / "sleeper"
    note.parent.mkdir(parents=True)
    note.write_text('{"pid": 0, "began": "0", "exit": 0}')
    removes = shutil.rmtree

    def removing(what: str, **how: bool) -> None:
        with pytest.raises(FileNotFoundError):
            _far_host.write_whole(str(note), "{}")
        removes(what, **how)

    monkeypatch.setattr(shutil, "rmtree", removing)
    _far_host.clear({"lab": str(lab), "folder": str(folder), "name": "delta"})
    assert not lab.exists()
