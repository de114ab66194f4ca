"""A server reached by ssh looks to callers as a namespace host does."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pty
import secrets
import select
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import libvirt
import pytest
from _lab import lab_of
from _server import LET_IN, SSHD, Server, enter, server
from _wait import until

from labkit import Lab, _paths
from labkit.cli import main
from labkit.errors import CommandFailed, DeadlineExceeded, EngineError, InvalidValue, LabError, NameInUse
from labkit.hosts._checks import find_program
from labkit.hosts.base import Host
from labkit.hosts.remote import RemoteHost
from labkit.machines._line import CommandLine
from labkit.networks import _segments

pytestmark = [
    pytest.mark.core,
    pytest.mark.xdist_group("ssh"),
    pytest.mark.skipif(not SSHD, reason="openssh-server is not installed"),
]


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server."""
    with server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def lab(far: Server) -> Iterator[Lab]:
    """A lab with a namespace host and the server."""
    with lab_of(["alpha", far.spec()]) as shared:
        yield shared


@pytest.fixture
def gamma(lab: Lab) -> Host:
    """The server as a host."""
    return lab["gamma"]


def supervisor(host: Host) -> int:
    with host._channel() as channel:  # type: ignore[attr-defined]
        pid: int = channel.peer_pid()
        return pid


def lives(pid: int) -> bool:
    """Whether a process has not ended, be it waited for or not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def info(host: Host) -> dict[str, object]:
    with host._channel() as channel:  # type: ignore[attr-defined]
        told: dict[str, object] = channel.request("info")
        return told


# ── Commands ──────────────────────────────────────────────────────────────────────────────────

WORDS = ["", " ", "a b", "'", '"', "$HOME", "`id`", "\\", "*", "x\ny", "\t", "ä€", "-n", "~", "!x", "#", ";", "&", "%s"]


def test_a_command_runs_on_the_server(gamma: Host) -> None:
    """It is the server that answers, with root's rights and the small environment that all hosts have."""
    done = gamma.run(["sh", "-c", "hostname; id -u; pwd; echo $LANG"])
    assert done.stdout == "far-away\n0\n/\nC.UTF-8\n"
    assert done.where == "gamma"


def test_words_arrive_as_they_are(gamma: Host) -> None:
    """Whatever a word holds, no shell sees it."""
    assert gamma.run(["printf", "%s\\0", *WORDS]).stdout.split("\0")[:-1] == WORDS


def test_environment_and_folder_arrive(gamma: Host) -> None:
    """Variables and the working folder are those that were asked for."""
    done = gamma.run(["sh", "-c", 'echo "$X"; pwd'], env={"X": "a 'b'\n$c"}, cwd="/usr/share")
    assert done.stdout == "a 'b'\n$c\n/usr/share\n"


@pytest.mark.parametrize("argv", [[], "uname", ["a\0b"], [7]])
def test_what_is_no_command_is_refused(gamma: Host, argv: list[str]) -> None:
    """The same is refused as on every host."""
    with pytest.raises(InvalidValue):
        gamma.run(argv)


@pytest.mark.parametrize(("argv", "cwd"), [(["nothing-like-it"], "/"), (["true"], "/nowhere"), (["/etc"], "/")])
def test_what_cannot_be_started_is_named(gamma: Host, argv: list[str], cwd: str) -> None:
    """The error names the program or the folder."""
    with pytest.raises(EngineError, match=cwd if cwd != "/" else argv[0]):
        gamma.run(argv, cwd=cwd)


def test_a_megabyte_each_way(gamma: Host) -> None:
    """Bytes of every value come through unchanged, in both directions."""
    data = os.urandom(1 << 20)
    told = gamma.run(["sha256sum"], input=data)
    assert told.stdout.split()[0] == hashlib.sha256(data).hexdigest()
    code, out, err = gamma._run(["tee", "/dev/stderr"], data, {}, "/", 60)
    assert (code, out, err) == (0, data, data)


def test_what_is_not_read_holds_nobody_up(gamma: Host) -> None:
    """A command that does not read what it is given ends all the same."""
    assert gamma.run(["true"], input=bytes(8 << 20)).ok


@pytest.mark.parametrize("code", [0, 1, 7, 126, 255])
def test_exit_codes(gamma: Host, code: int) -> None:
    """The exit code is the command's."""
    assert gamma.run(["sh", "-c", f"exit {code}"]).exit_code == code


@pytest.mark.parametrize("name", ["KILL", "TERM", "SEGV", "PIPE"])
def test_signals(gamma: Host, name: str) -> None:
    """A command that a signal has ended has its negative number."""
    assert gamma.run(["sh", "-c", f"kill -{name} $$"]).exit_code == -getattr(signal, f"SIG{name}")


def test_check(gamma: Host) -> None:
    """A failure that is asked for is raised with the command's words."""
    with pytest.raises(CommandFailed, match="gone wrong"):
        gamma.run(["sh", "-c", "echo gone wrong >&2; exit 3"], check=True)


def test_the_deadline_ends_the_command_on_the_server(gamma: Host, far: Server) -> None:
    """What takes too long is dead on the server, with its children."""
    mark = f"30{secrets.randbelow(10**6):06}"
    with pytest.raises(DeadlineExceeded, match="did not end within"):
        gamma.run(["sh", "-c", f"sleep {mark} & sleep {mark}"], timeout_s=1)
    until(lambda: not far.processes(f"sleep {mark}"), "the command is dead")


def test_what_a_command_leaves_behind_holds_nobody_up(gamma: Host, far: Server) -> None:
    """A daemon that keeps the streams is waited for by nobody, and lives on."""
    mark = f"31{secrets.randbelow(10**6):06}"
    assert gamma.run(["sh", "-c", f"setsid sleep {mark} & echo done"]).stdout == "done\n"
    until(lambda: far.processes(f"sleep {mark}"), "it lives")
    gamma.run(["pkill", "-f", f"sleep {mark}"])


def test_many_at_once(gamma: Host) -> None:
    """Commands that run at the same time do not mix."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(16) as pool:
        told = pool.map(lambda number: gamma.run(["sh", "-c", f"sleep 0.2; echo {number}"]).stdout, range(32))
        assert list(told) == [f"{number}\n" for number in range(32)]


# ── Streams ───────────────────────────────────────────────────────────────────────────────────


def test_streams_flow_while_the_command_runs(gamma: Host) -> None:
    """What is written comes at once, and the end of what is read is seen."""
    (ours_in, theirs_out), (theirs_in, ours_out) = os.pipe(), os.pipe()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    running = gamma.spawn(["cat"], [theirs_in, theirs_out, nowhere])
    for descriptor in (theirs_in, theirs_out, nowhere):
        os.close(descriptor)
    os.write(ours_out, b"one\n")
    assert select.select([ours_in], [], [], 20)[0]
    assert os.read(ours_in, 99) == b"one\n"
    os.close(ours_out)
    assert running.wait(20) == 0
    assert os.read(ours_in, 99) == b""
    os.close(ours_in)
    running.close()


def test_a_stream_ends_when_its_command_is_let_go(gamma: Host) -> None:
    """What a command has left behind keeps no reader waiting here once the command was let go."""
    mark = f"38{secrets.randbelow(10**6):06}"
    source, sink = os.pipe()
    nowhere = os.open(os.devnull, os.O_RDWR)
    running = gamma.spawn(["sh", "-c", f"setsid sleep {mark} & echo said"], [nowhere, sink, nowhere])
    for descriptor in (sink, nowhere):
        os.close(descriptor)
    assert running.wait(20) == 0
    assert os.read(source, 99) == b"said\n"
    running.close()
    assert select.select([source], [], [], 20)[0]
    assert os.read(source, 99) == b""
    os.close(source)
    gamma.run(["pkill", "-f", f"sleep {mark}"])


def test_who_writes_to_nobody_is_told(gamma: Host) -> None:
    """A command whose reader is gone gets SIGPIPE, as it would here."""
    source, sink = os.pipe()
    nowhere = os.open(os.devnull, os.O_RDWR)
    running = gamma.spawn(["yes"], [nowhere, sink, nowhere])
    for descriptor in (source, sink, nowhere):
        os.close(descriptor)
    assert running.wait(20) == -signal.SIGPIPE
    running.close()


def test_hanging_up_ends_the_command(gamma: Host, far: Server) -> None:
    """The command is dead soon after the one who has started it lets go of it."""
    mark = f"32{secrets.randbelow(10**6):06}"
    nowhere = os.open(os.devnull, os.O_RDWR)
    running = gamma.spawn(["sleep", mark], [nowhere] * 3)
    os.close(nowhere)
    until(lambda: far.processes(f"sleep {mark}") == [running.pid], "it runs, by the number that was told")
    running.close()
    until(lambda: not far.processes(f"sleep {mark}"), "the command is dead")


def test_a_terminal(gamma: Host) -> None:
    """A shell on a terminal has one on the server: it echoes, is of the right size, and takes Ctrl-C."""
    line = CommandLine(gamma, ["sh"])
    heard = bytearray()
    leave = line.follow(heard.extend)
    line.resize(31, 97)
    line.write(b"tty; trap 'echo caught' INT; echo re''ady\n")
    until(lambda: b"ready" in heard, "the shell answers", 20)
    assert b"/dev/pts/" in heard
    line.write(b"\x03")
    until(lambda: b"caught" in heard, "Ctrl-C arrives", 20)

    line.write(b"until [ \"$(stty size)\" = '31 97' ]; do sleep 0.1; done; echo si''zed\n")
    until(lambda: b"sized" in heard, "the terminal has its size", 20)
    leave()


def has_hung_up(terminal: int, said: bytearray) -> bool:
    """Read what has come; whether nothing more will."""
    if select.select([terminal], [], [], 0)[0]:
        try:
            said += os.read(terminal, 99)
        except OSError:
            return True
    return False


def test_a_terminal_hangs_up_when_its_command_ends(gamma: Host) -> None:
    """Who listens to a terminal sees that nothing more comes."""
    ours, theirs = pty.openpty()
    running = gamma.spawn(["echo", "bye"], [theirs] * 3)
    os.close(theirs)
    said = bytearray()
    until(lambda: has_hung_up(ours, said), "it hangs up", 20)
    assert said == b"bye\r\n"
    assert running.wait(20) == 0
    running.close()
    os.close(ours)


# ── Daemons and reservations ──────────────────────────────────────────────────────────────────


def test_a_daemon_runs_once_and_its_end_is_known(gamma: Host, far: Server) -> None:
    """It is started once, outlives the connection, and its exit code is known afterwards."""
    assert gamma.daemon_exit("waiter") == -1
    mark = f"33{secrets.randbelow(10**6):06}"
    argv = ["sh", "-c", f"trap 'exit 5' TERM; echo up; sleep {mark} & wait"]
    log = gamma.start_daemon("waiter", argv)
    gamma.start_daemon("waiter", argv)
    assert gamma.daemon_exit("waiter") is None
    until(lambda: far.run(["cat", str(log)]).stdout == "up\n", "it was started once")
    os.kill(int(str(info(gamma)["ssh"])), signal.SIGKILL)
    until(lambda: gamma.is_alive, "the connection is there again", 30)
    assert gamma.daemon_exit("waiter") is None
    gamma.run(["pkill", "-TERM", "-f", f"sleep {mark} & wait"])
    until(lambda: gamma.daemon_exit("waiter") == 5, "its exit code is known")
    gamma.run(["pkill", "-f", f"sleep {mark}"])


def test_a_reserved_folder(lab: Lab, gamma: Host, far: Server) -> None:
    """It is there on both sides, under the host's name, and no host of the lab can have it too."""
    folder = lab.folder / "machines" / "taken"
    folder.parent.mkdir(exist_ok=True)
    with gamma.reserve_folder(folder, []) as commit:
        assert (folder / "host").read_text() == far.run(["cat", f"{folder}/host"]).stdout == "gamma"
        for host in lab:
            with pytest.raises(FileExistsError), host.reserve_folder(folder, []):
                pytest.fail("it was reserved twice")
        commit()
    assert folder.exists()
    assert far.run(["ls", str(folder)]).stdout == "host\n"
    for argv in (["rm", "-r", str(folder)],):
        assert gamma.run(argv).ok
        subprocess.run(argv, check=True)


RESERVE = """
import os, pathlib, signal, sys
from labkit import Lab
lab = Lab.attach(sys.argv[1])
undo = [["sh", "-c", "test -d $0 && touch /run/undone", sys.argv[2]], ["rm", "-rf", sys.argv[2]]]
with lab["gamma"].reserve_folder(pathlib.Path(sys.argv[2]), undo):
    print("reserved", flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_client_left_half_made_is_undone(
    lab: Lab, far: Server, python: Callable[..., subprocess.Popen[str]]
) -> None:
    """After `kill -9` the steps have run on the server, and the folder is gone on both sides."""
    folder = lab.folder / "machines" / "half"
    folder.parent.mkdir(exist_ok=True)
    client = subprocess.Popen(
        [sys.executable, "-c", RESERVE, lab.name, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert client.stdout
    assert client.stdout.readline() == "reserved\n"
    assert folder.exists()
    client.kill()
    client.communicate()
    until(lambda: not folder.exists(), "the name is free again", 20)
    assert far.run(["cat", "/run/undone"]).returncode == 0
    assert far.run(["ls", str(folder)]).returncode != 0
    far.run(["rm", "/run/undone"])


def test_what_is_half_made_when_the_connection_breaks_is_undone(lab: Lab, gamma: Host, far: Server) -> None:
    """The server takes it back by itself, the client is told at the end, and the name is free."""
    folder = lab.folder / "machines" / "lost"
    folder.parent.mkdir(exist_ok=True)
    undo = [["sh", "-c", "touch /run/lost-undone"], ["rm", "-rf", str(folder)]]

    def make() -> None:
        with gamma.reserve_folder(folder, undo) as commit:
            far.kill_connections()
            until(lambda: far.run(["ls", "/run/lost-undone"]).returncode == 0, "the server has undone it", 20)
            until(lambda: gamma.is_alive, "there is another connection", 30)
            commit()

    with pytest.raises(LabError, match="taken back"):
        make()
    until(lambda: not folder.exists(), "the name is free again", 20)


# ── The supervisor, and other processes ───────────────────────────────────────────────────────


def test_a_killed_supervisor_leaves_nothing_and_comes_again(gamma: Host, far: Server) -> None:
    """`kill -9`: ssh and the commands on the server die with it; the next use starts it again."""
    mark = f"34{secrets.randbelow(10**6):06}"
    nowhere = os.open(os.devnull, os.O_RDWR)
    running = gamma.spawn(["sleep", mark], [nowhere] * 3)
    os.close(nowhere)
    old, ssh = supervisor(gamma), int(str(info(gamma)["ssh"]))
    os.kill(old, signal.SIGKILL)
    until(lambda: not lives(ssh), "ssh is dead")
    until(lambda: not far.processes(f"sleep {mark}"), "the command is dead", 20)
    running.close()
    assert gamma.run(["hostname"]).stdout == "far-away\n"
    assert supervisor(gamma) != old


def test_another_process_finds_the_host(lab: Lab, python: Callable[..., subprocess.Popen[str]]) -> None:
    """A second kernel attaches to the lab and uses the same connection."""
    code = "import sys; from labkit import Lab; lab = Lab.attach(sys.argv[1]); h = lab['gamma']; \
        print(h.provider, h.address, h.run(['hostname']).stdout.strip(), *lab.hosts)"
    before = supervisor(lab["gamma"])
    out, err = python(code, lab.name).communicate(timeout=60)
    assert out == "ssh far-away.test far-away alpha gamma\n", err
    assert supervisor(lab["gamma"]) == before


def test_a_host_is_added_once(lab: Lab, far: Server) -> None:
    """A name that the lab has is refused, whatever it is to be made from."""
    with pytest.raises(NameInUse):
        lab.add_host(far.spec())
    with pytest.raises(NameInUse):
        lab.add_host("alpha", provider=far.spec())


def test_ssh_shares_the_connection(gamma: Host) -> None:
    """The supervisor's connection is one that ssh can be told to use."""
    control = ["ssh", "-S", str(gamma.sockets / "ssh"), "-o", "ProxyCommand=false", "root@far-away.test"]
    done = subprocess.run([*control, "hostname"], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "far-away\n", done.stderr


def test_counters_are_read(gamma: Host) -> None:
    """The meter, a program of labkit's, is brought to the server and answers."""
    told = gamma.meter.read(host=False)["host"]
    assert told["memory_bytes"] > 0
    gamma.meter.close()


def test_the_lab_leaves_nothing_on_the_server(lab_name: str, far: Server, tmp_path: Path) -> None:
    """When a lab is closed, its daemons and folders on the server are gone, and so is the supervisor."""
    mark = f"35{secrets.randbelow(10**6):06}"
    with Lab(lab_name, hosts=[far.spec("delta")]) as lab:
        host, folder = lab["delta"], lab.folder
        host.start_daemon("sleeper", ["sleep", mark])
        assert far.run(["ls", str(folder / "hosts" / "delta")]).returncode == 0
        pid = supervisor(host)
    assert not lives(pid)
    assert not far.processes(f"sleep {mark}")
    assert far.run(["ls", str(folder)]).returncode != 0


@pytest.mark.skipif(not Path("/var/lib/lxc").is_dir(), reason="lxc is not installed")
def test_only_the_labs_own_machines_go_with_it(lab_name: str, far: Server) -> None:
    """At the lab's end its containers are removed from the server; another's of the same name is not touched."""
    with Lab(lab_name, hosts=[far.spec("delta")]) as lab:
        machines = lab.folder / "machines"
        machines.mkdir()
        for name, leads_to in (("ours", machines / "ours"), ("theirs", Path("/elsewhere"))):
            with lab["delta"].reserve_folder(machines / name, []) as commit:
                commit()
            assert far.run(["mkdir", "-p", f"/var/lib/lxc/{name}"]).returncode == 0
            assert far.run(["ln", "-s", str(leads_to), f"/var/lib/lxc/{name}/machine"]).returncode == 0
    assert far.run(["ls", "/var/lib/lxc"]).stdout == "theirs\n"
    assert far.run(["ls", str(machines)]).returncode != 0
    far.run(["rm", "-r", "/var/lib/lxc/theirs"])


def test_labkit_ps_and_down(lab_name: str, far: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`labkit ps` lists the server, `labkit down` clears up on it, although its supervisor was killed before."""
    mark = f"37{secrets.randbelow(10**6):06}"
    lab = Lab.open(lab_name, hosts=far.spec("delta"))
    lab["delta"].start_daemon("sleeper", ["sleep", mark])
    assert main(["ps", "--json"]) == 0
    (listed,) = [one for one in json.loads(capsys.readouterr().out) if one["name"] == lab_name]
    assert listed["hosts"] == [{"name": "delta", "address": "far-away.test", "provider": "ssh", "machines": []}]
    os.kill(supervisor(lab["delta"]), signal.SIGKILL)
    assert main(["down", lab_name]) == 0
    assert "1 host(s): delta" in capsys.readouterr().out
    assert not far.processes(f"sleep {mark}")
    assert far.run(["ls", str(lab.folder)]).returncode != 0


def test_a_killed_lab_leaves_nothing_on_the_server(lab_name: str, far: Server) -> None:
    """When the lab's first process is killed, the supervisor clears up on the server and ends."""
    mark = f"36{secrets.randbelow(10**6):06}"
    with Lab(lab_name, hosts=[far.spec("delta")]) as lab:
        lab["delta"].start_daemon("sleeper", ["sleep", mark])
        pid = supervisor(lab["delta"])
        with lab.channel() as channel:
            first = channel.peer_pid()
        os.kill(first, signal.SIGKILL)
        until(lambda: not lives(pid), "the supervisor has ended", 60)
        assert not far.processes(f"sleep {mark}")
        assert far.run(["ls", str(lab.folder)]).returncode != 0


def test_the_last_lab_that_uses_a_server_has_the_last_word(lab_name: str, far: Server, tmp_path: Path) -> None:
    """What is to be done afterwards is done once the last lab has left, if killed; not where the server is no more."""
    said = tmp_path / "said"
    more = {"after": ["sh", "-c", 'echo left >>"$1"', "sh", str(said)], "in_use": str(tmp_path / "in-use")}

    def use(lab: Lab) -> RemoteHost:
        return RemoteHost.start(lab, "delta", far.spec("delta").login, more=more)

    with Lab(lab_name, hosts=["alpha"]) as first:
        use(first)
        with Lab(f"{lab_name}-b", hosts=["alpha"]) as second:
            use(second)
        assert not said.exists()
        with Lab(f"{lab_name}-c", hosts=["alpha"]) as third:
            use(third).leave(gone=True)
        with first.channel() as channel:
            os.kill(channel.peer_pid(), signal.SIGKILL)
        until(said.exists, "the last one has left", 60)
    assert said.read_text() == "left\n"


# ── A server inside of the lab ────────────────────────────────────────────────────────────────


ANOTHER_LAB = """
ip link add lab1 type bridge
ip addr add 198.19.1.1/24 dev lab1
ip link set lab1 up
"""
# What there is of networks.
THERE = """
virsh -q net-list --all --name
docker network ls --format '{{.Name}}' | sort
ip -brief link | cut -d ' ' -f 1 | sort
iptables -S | grep LABKIT
exit 0
"""


@pytest.fixture
def inner(lab: Lab) -> Iterator[int]:
    """A process of host alpha with a disk of its own for the lab's state; its number there."""
    alpha = lab["alpha"]
    script = f'set -e; {LET_IN} mount -t tmpfs tmpfs "$1"; echo ready; exec cat'
    (ours_in, theirs_out), (theirs_in, ours_out) = os.pipe(), os.pipe()
    argv = ["unshare", "--mount", "sh", "-c", script, "sh", str(_paths.state_home())]
    running = alpha.spawn(argv, [theirs_in, theirs_out, theirs_out])
    for descriptor in (theirs_in, theirs_out):
        os.close(descriptor)
    assert os.read(ours_in, 99) == b"ready\n"
    yield running.pid
    running.close()
    for descriptor in (ours_in, ours_out):
        os.close(descriptor)


def forget(lab: Lab, host: Host) -> None:
    """Let the lab go on without a host."""
    host.leave()  # type: ignore[attr-defined]
    lab._hosts.pop(host.name)


@pytest.fixture
def virtual(lab: Lab, inner: int, tmp_path: Path) -> Iterator[Host]:
    """A server that has the daemons of host alpha."""
    with lab["alpha"]._channel() as channel:  # type: ignore[attr-defined]
        outside = channel.peer_pid()
    there = Server(tmp_path, None, [*enter(outside), "nsenter", "--target", str(inner), "--mount", "--"])
    there.name = f"v{secrets.token_hex(4)}.test"
    host = lab.add_host(there.spec("virtual"))
    yield host
    forget(lab, host)


def test_libvirt_of_the_server_answers_here(lab: Lab, virtual: Host) -> None:
    """The server's libvirt is reached through a socket in the host's directory, by every process."""
    alpha, host = lab["alpha"], virtual
    alpha.start_libvirt()
    # Where a server has it.
    alpha.run(["ln", "-s", str(alpha.sockets / "libvirt" / "libvirt-sock"), "/run/libvirt/libvirt-sock"], check=True)
    socket = host.start_libvirt()
    assert socket == host.sockets / "libvirt.sock"
    connection = libvirt.open(f"qemu+unix:///system?socket={socket}")
    assert connection.getHostname() == "alpha"
    assert connection.listAllDomains() == []
    connection.close()
    assert [engine.kind for engine in host.engines()] == ["kvm"]


@pytest.mark.skipif(not find_program("dockerd"), reason="docker.io is not installed")
def test_docker_of_the_server_answers_here(lab: Lab, virtual: Host) -> None:
    """The server's dockerd is reached in the same way, and a large request comes through whole."""
    alpha = lab["alpha"]
    alpha.run(["ln", "-sf", str(alpha.start_docker()), "/run/docker.sock"], check=True)
    socket = virtual.start_docker()
    assert socket == virtual.sockets / "docker.sock"
    ours, theirs = virtual.docker.api(), alpha.docker.api()
    assert ours.info()["ID"] == theirs.info()["ID"]
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        entry = tarfile.TarInfo("noise")
        entry.size = 8 << 20
        archive.addfile(entry, io.BytesIO(os.urandom(entry.size)))
    ours.import_image_from_data(content.getvalue(), repository="noise")
    assert theirs.inspect_image("noise")["Size"] >= 8 << 20
    theirs.remove_image("noise")


@pytest.mark.skipif(not find_program("dockerd"), reason="docker.io is not installed")
def test_networks_on_a_server_go_with_the_lab(lab: Lab, virtual: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that a lab has made there are taken back when it leaves; those of others are neither used nor removed."""
    alpha = lab["alpha"]
    for source, target in ((alpha.start_libvirt(), "libvirt/libvirt-sock"), (alpha.start_docker(), "docker.sock")):
        alpha.run(["ln", "-sfn", str(source), f"/run/{target}"], check=True)

    def there() -> list[str]:
        return alpha.run(["sh", "-c", THERE], check=True).stdout.split("\n")

    alpha.run(["virsh", "-q", "net-create", "/dev/stdin"], input="<network><name>theirs</name></network>", check=True)
    alpha.run(["docker", "network", "create", "theirs"], check=True)
    alpha.run(["sh", "-ec", ANOTHER_LAB], check=True)
    before = there()
    own = lab.networks.create("own", host="virtual")
    assert (own.bridge, own.cidr) == ("lab2", "198.19.2.0/24")
    monkeypatch.setattr(_segments, "taken", lambda host: ([], []))
    with pytest.raises(NameInUse, match="another lab"):
        lab.networks.create("late", host="virtual")
    virtual.docker.networks.create("inner")
    with pytest.raises(NameInUse, match="of its own"):
        lab.networks.create("theirs", host="virtual")
    with pytest.raises(NameInUse):
        virtual.docker.networks.create("theirs")
    assert {"own", "inner"} <= set(there())
    virtual.leave()  # type: ignore[attr-defined]
    assert there() == before
    lab.networks.remove("own")


def test_a_host_that_another_carries(lab: Lab, inner: int, tmp_path: Path) -> None:
    """A server that only a host of the lab reaches: the supervisor runs there, and comes again there."""
    alpha = lab["alpha"]
    virtual = Server(tmp_path, None, ["nsenter", "--target", str(inner), "--mount", "--"])
    virtual.name = "carried.test"
    host = RemoteHost.start(lab, "carried", virtual.spec("carried").login, carrier=alpha, address="198.18.0.77")
    lab._hosts["carried"] = host
    assert host.run(["hostname"]).stdout == "alpha\n"
    assert alpha.daemon_exit("remote-carried") is None
    old = supervisor(host)
    os.kill(old, signal.SIGKILL)
    until(lambda: not lives(old), "it is dead")
    assert host.run(["echo", "again"]).stdout == "again\n"
    assert supervisor(host) != old
    attached = Lab.attach(lab.name)["carried"]
    assert attached.address == "198.18.0.77"
    assert attached.run(["hostname"]).stdout == "alpha\n"
    forget(lab, host)


def test_a_carried_host_ends_with_its_carrier(lab_name: str, tmp_path: Path) -> None:
    """When the carrier's first process is killed, nothing of the supervisor is left."""
    with Lab(lab_name, hosts=["alpha"]) as lab:
        alpha = lab["alpha"]
        alpha.run(["sh", "-ec", LET_IN], check=True)
        virtual = Server(tmp_path, None, ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs "$0"; exec "$@"',
                                          str(_paths.state_home())])  # fmt: skip
        host = RemoteHost.start(lab, "carried", virtual.spec("carried").login, carrier=alpha)
        pid = supervisor(host)
        assert lives(pid)
        with alpha._channel() as channel:  # type: ignore[attr-defined]
            os.kill(channel.peer_pid(), signal.SIGKILL)
        until(lambda: not lives(pid), "the supervisor has ended")
        assert not host.is_alive
