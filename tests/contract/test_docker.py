"""What holds for containers besides the protocol: images, registry, networks, ports, volumes, limits, services."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import _wait
import pytest

from labkit import Lab
from labkit.errors import (
    ArchiveRefused,
    Busy,
    EngineError,
    ImageBuildFailed,
    InvalidName,
    InvalidState,
    InvalidValue,
    NameInUse,
    NotFound,
    NotSupported,
)
from labkit.machines.docker import DockerEngine
from labkit.machines.spec import State

pytestmark = [pytest.mark.core, pytest.mark.xdist_group("machine-docker")]
wait_until = partial(_wait.until, timeout_s=60)


@pytest.fixture(scope="module")
def docker(lab: Lab) -> Iterator[DockerEngine]:
    engine = lab["alpha"].docker
    yield engine
    for machine in engine.machines():
        machine.destroy()


# ── Images ────────────────────────────────────────────────────────────────────────────────────


def test_the_labs_image_is_brought_in_once(docker: DockerEngine) -> None:
    """Two containers of the small image share one image of Docker's, named by its content."""
    for name in ("one", "two"):
        docker.create(name)
    images = {docker.api().inspect_container(name)["Image"] for name in ("one", "two")}
    assert images == {docker.images["small"].id}
    for name in ("one", "two"):
        docker[name].destroy()
    assert [image.name for image in docker.images].count("small") == 1


def test_an_image_is_built_from_text_and_from_a_folder(docker: DockerEngine, tmp_path: Path) -> None:
    """A Dockerfile builds: commands ran, files are there, its command is what a container runs."""
    text = docker.images.build(
        "spoken", 'FROM small\nRUN echo built > /made\nCMD ["sh", "-c", "cat /made; sleep 1000"]'
    )
    assert text.layers == docker.images["small"].layers + 1
    (tmp_path / "Dockerfile").write_text(
        "FROM small\nARG GREETING=none\nCOPY page /srv/www/\nRUN echo $GREETING > /said\n"
    )
    (tmp_path / "page").write_text("a page")
    docker.images.build("paged:2", folder=tmp_path, arguments={"GREETING": "hello"})
    said = docker.create("said", image="spoken", tty=False)
    paged = docker.create("paged", image="paged:2", command=["sleep", "1000"])
    wait_until(lambda: list(said.logs()) == ["built"])
    assert paged.run(["cat", "/srv/www/page", "/said"]).stdout == "a pagehello\n"
    assert any("GREETING" in made for made, _ in docker.images.history("paged:2"))
    with pytest.raises(Busy):
        docker.images.remove("spoken")
    for machine in (said, paged):
        machine.destroy()
    docker.images.remove("spoken")
    assert "spoken" not in docker.images
    with pytest.raises(NotFound, match="spoken"):
        docker.create("lost", image="spoken")


@pytest.mark.parametrize(
    ("dockerfile", "match"),
    [
        ("FROM small\nRUN echo the-last-words; exit 3", "the-last-words"),
        ("FROM small\nCOPY nothing /", "nothing"),
        ("FROM small\nDANCE", "DANCE"),
    ],
)
def test_a_dockerfile_that_fails_says_why(docker: DockerEngine, dockerfile: str, match: str) -> None:
    """The error has the build's own output, and no image is left by that name."""
    with pytest.raises((ImageBuildFailed, EngineError), match=match):
        docker.images.build("broken", dockerfile)
    assert "broken" not in docker.images


def test_what_an_image_begins_from_is_not_fetched(docker: DockerEngine) -> None:
    """A base that is not in the lab is named before Docker would look for it elsewhere."""
    with pytest.raises(NotFound, match="elsewhere"):
        docker.images.build("broken", "FROM elsewhere:3\n")
    with pytest.raises(InvalidName, match="not fetched"):
        docker.create("lost", image="registry.invalid/elsewhere")
    with pytest.raises(InvalidName):
        docker.images.build("small", "FROM small\n")
    with pytest.raises(InvalidValue, match="Dockerfile"):
        docker.images.build("broken")


def test_the_registry_brings_an_image_to_another_host(lab: Lab, docker: DockerEngine) -> None:
    """What one host built, another runs, once it was pushed and pulled; only the backbone sees the registry."""
    docker.images.build("shared", "FROM small\nRUN echo from alpha > /origin\n")
    there = lab["beta"].docker
    with pytest.raises(NotFound, match="shared"):
        there.images.pull("shared")
    docker.images.push("shared")
    assert lab.registry.images() == ["shared"]
    assert there.images.pull("shared").id == docker.images["shared"].id
    machine = there.create("far", image="shared", command=["sleep", "1000"])
    assert machine.run(["cat", "/origin"]).stdout == "from alpha\n"
    machine.destroy()
    listening = lab["alpha"].run(["ss", "-Hltn", "sport", "=", ":5000"], check=True).stdout.split()
    assert f"{lab['alpha'].address}:5000" in listening
    assert all(":5000" not in word or word.startswith("198.18.0.") for word in listening)
    assert not any("/" in image.name for image in there.images)


@pytest.mark.parametrize("command", ['["httpd", "-f"]', '["sh", "-c", "exec httpd -f"]', "httpd -f", '["sh", "-l"]'])
def test_what_the_image_runs_can_be_stopped(docker: DockerEngine, command: str) -> None:
    """A container ends when it is asked to, be the command of its image a service or a shell on a terminal."""
    docker.images.build("stoppable", f"FROM small\nCMD {command}\n")
    machine = docker.create("stoppable", image="stoppable")
    machine.stop(timeout_s=10)
    assert machine.state is State.STOPPED
    machine.destroy()
    docker.images.remove("stoppable")


# ── Archives from elsewhere ───────────────────────────────────────────────────────────────────


def archive(path: Path, *entries: tuple[str, bytes, str], mode: str = "w") -> Path:
    """A tar with entries: name, type, and a link's target or a file's content."""
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, kind, content in entries:
            entry = tarfile.TarInfo(name)
            entry.type = kind
            data = content.encode() if kind == tarfile.REGTYPE else b""
            entry.size = len(data)
            entry.linkname = "" if kind == tarfile.REGTYPE else content
            tar.addfile(entry, io.BytesIO(data))
    return path


EVIL = {
    "a name with dots": [("../etc/passwd", tarfile.REGTYPE, "x")],
    "an absolute name": [("/etc/passwd", tarfile.REGTYPE, "x")],
    "dots in the middle": [("a/../../b", tarfile.REGTYPE, "x")],
    "a link with dots": [("a", tarfile.SYMTYPE, "../../etc")],
    "an absolute link out": [("a", tarfile.SYMTYPE, "/etc/shadow")],
    "a hard link out": [("a", tarfile.LNKTYPE, "../etc/shadow")],
    "an absolute hard link": [("a", tarfile.LNKTYPE, "/etc/shadow")],
    "a file through a link": [("a", tarfile.SYMTYPE, "usr"), ("a/b", tarfile.REGTYPE, "x")],
    "a device": [("dev/sda", tarfile.BLKTYPE, "")],
    "a character device": [("dev/mem", tarfile.CHRTYPE, "")],
}  # fmt: skip


@pytest.mark.parametrize("entries", EVIL.values(), ids=EVIL.keys())
def test_an_archive_that_leads_out_is_refused(
    docker: DockerEngine, tmp_path: Path, entries: list[tuple[str, bytes, str]]
) -> None:
    """A tar with names or links that lead out of it, or with devices, never reaches Docker."""
    with pytest.raises(ArchiveRefused) as caught:
        docker.images.load("evil", archive(tmp_path / "evil.tar", *entries))
    assert caught.value.hint
    assert "evil" not in docker.images


def test_a_bomb_is_refused_before_it_is_unpacked(docker: DockerEngine, tmp_path: Path) -> None:
    """An archive that would become huge is refused for what its files say, whatever it is packed by."""
    path = tmp_path / "bomb.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for number in range(4):
            entry = tarfile.TarInfo(f"zeros{number}")
            entry.size = 64 * 2**20
            with open("/dev/zero", "rb") as zeros:
                tar.addfile(entry, zeros)
    assert path.stat().st_size < 4 * 2**20
    with pytest.raises(ArchiveRefused, match="unpacked"):
        docker.images.load("bomb", path, most_bytes=100 * 2**20)
    (tmp_path / "text").write_text("no tar at all" * 100)
    with pytest.raises(ArchiveRefused, match="tar"):
        docker.images.load("text", tmp_path / "text")
    with pytest.raises(NotFound):
        docker.images.load("none", tmp_path / "none")


def test_a_good_archive_becomes_an_image(docker: DockerEngine, tmp_path: Path) -> None:
    """A root file system, with the links such have, loads and runs."""
    path = tmp_path / "good.tar.xz"
    busybox = docker.create("source").run(["sh", "-c", "base64 /usr/bin/busybox"], check=True).stdout
    docker["source"].destroy()
    import base64

    data = base64.b64decode(busybox)
    with tarfile.open(path, "w:xz", preset=0) as tar:
        for name, kind, target in (
            (".", tarfile.DIRTYPE, ""), ("./usr", tarfile.DIRTYPE, ""), ("./usr/bin", tarfile.DIRTYPE, ""),
            ("./bin", tarfile.SYMTYPE, "usr/bin"), ("./usr/bin/sh", tarfile.SYMTYPE, "/bin/busybox"),
            ("./usr/bin/cat", tarfile.LNKTYPE, "usr/bin/busybox"), ("./mtab", tarfile.SYMTYPE, "/proc/mounts"),
        ):  # fmt: skip
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.mode = kind, target, 0o755
            if name == "./usr/bin/sh":
                program = tarfile.TarInfo("usr/bin/busybox")
                program.size, program.mode = len(data), 0o755
                tar.addfile(program, io.BytesIO(data))
            tar.addfile(entry)
    docker.images.load("good", path)
    machine = docker.create("good", image="good")
    assert "proc" in machine.run(["cat", "/mtab"], check=True).stdout
    machine.destroy()


# ── Networks, ports, volumes ──────────────────────────────────────────────────────────────────


def test_a_container_and_a_virtual_machine_meet(lab: Lab, docker: DockerEngine) -> None:
    """On a network of the lab they reach each other by name, on different hosts, both ways."""
    lab.networks.create("office", host="beta")
    box = docker.create("box", networks=["lan", "office"])
    vm = lab["beta"].kvm.create("vm", networks=["office"])
    assert box.run(["ping", "-c", "1", "-W", "5", "vm"]).ok
    assert vm.run(["ping", "-c", "1", "-W", "5", "box"]).ok
    links = box.run(["ip", "-o", "addr"], check=True).stdout + box.run(["ip", "-o", "link"], check=True).stdout
    for card in box.spec.interfaces:
        assert f"{card.address}/24" in links
        assert card.mac in links
    for machine in (box, vm):
        machine.destroy()


def test_containers_of_both_kinds_meet_on_a_host(lab: Lab, docker: DockerEngine) -> None:
    """A Docker and an LXC container of one host reach each other by name, though Docker filters what it forwards."""
    box = docker.create("box", networks=["lan"])
    system = lab["alpha"].lxc.create("system", networks=["lan"])
    assert box.run(["ping", "-c", "1", "-W", "5", "system"]).ok
    assert system.run(["ping", "-c", "1", "-W", "5", "box"]).ok
    for machine in (box, system):
        machine.destroy()


def test_without_a_network_it_is_alone(docker: DockerEngine) -> None:
    """A container with no network has loopback and nothing else."""
    machine = docker.create("alone")
    assert machine.run(["ls", "/sys/class/net"]).stdout.split() == ["lo"]
    machine.destroy()


def test_dockers_own_networks_know_names(docker: DockerEngine) -> None:
    """Containers on a network of Docker's reach each other by name; others do not reach them."""
    docker.networks.create("front", internal=True)
    with pytest.raises(NameInUse):
        docker.networks.create("front")
    with pytest.raises(NameInUse):
        docker.networks.create("lan")
    one, two = (docker.create(name, networks=["front"]) for name in ("one", "two"))
    other = docker.create("other", networks=["lan"])
    assert one.run(["ping", "-c", "1", "-W", "5", "two"]).ok
    assert not other.run(["ping", "-c", "1", "-W", "1", "one"]).ok
    with pytest.raises(Busy, match="one"):
        docker.networks.remove("front")
    for machine in (one, two, other):
        machine.destroy()
    docker.networks.remove("front")
    assert "front" not in docker.networks


WEB = ["sh", "-c", "mkdir -p /tmp/www; echo from-$HOSTNAME > /tmp/www/index.html; exec httpd -f -p 80 -h /tmp/www"]


@pytest.mark.parametrize("networks", [[], ["lan"]])
def test_a_port_is_published_on_the_host(lab: Lab, docker: DockerEngine, networks: list[str]) -> None:
    """The host's port leads to the container, from the host and from another one; a second taker is told."""
    web = docker.create("web", command=WEB, env={"HOSTNAME": "web"}, networks=networks, ports={8080: 80})
    for host in lab:
        url = f"http://{lab['alpha'].address}:8080/"

        def answers(host: object = host, url: str = url) -> bool:
            done = host.run(["sh", "-c", "exec 3<>/dev/null; wget -q -T 5 -O - " + url])  # type: ignore[attr-defined]
            return bool(done.stdout == "from-web\n")

        wait_until(answers)
    with pytest.raises(Busy, match="8080"):
        docker.create("rival", command=WEB, ports={8080: 80})
    assert [machine.name for machine in docker.machines()] == ["web"]
    web.destroy()
    for ports in ({0: 80}, {8080: 70000}, {"x": 80}, {80: 80, 81: 80}):
        with pytest.raises(InvalidValue):
            docker.create("rival", ports=ports)  # type: ignore[arg-type]


def test_a_volume_outlives_its_container(docker: DockerEngine, tmp_path: Path) -> None:
    """What is written to a volume is there for the next container; a folder of the host can be shown to one."""
    first = docker.create("first", volumes={"data": "/data"})
    first.run(["sh", "-c", "echo kept > /data/file"], check=True)
    with pytest.raises(Busy):
        docker.volumes.remove("data")
    first.destroy()
    shown = docker.host.folder / "shown"
    shown.mkdir(mode=0o755)
    (shown / "page").write_text("a page")
    second = docker.create("second", volumes={"data": "/data:ro", str(shown): "/shown"})
    assert second.run(["cat", "/data/file", "/shown/page"]).stdout == "kept\na page"
    assert not second.run(["touch", "/data/other"]).ok
    second.destroy()
    docker.volumes.remove("data")
    assert "data" not in docker.volumes
    for volumes in ({"data": "relative"}, {"../data": "/data"}, {"/no/such": "/data"}, {"data": "/"}, {"v": "/data"}):
        with pytest.raises(InvalidValue):
            docker.create("third", volumes=volumes)


# ── Rights and limits ─────────────────────────────────────────────────────────────────────────


def test_rights_are_what_was_asked(docker: DockerEngine) -> None:
    """A container has few capabilities, fewer or more if told, and all that there are if it is privileged."""

    def effective(**what: object) -> int:
        machine = docker.create("rights", **what)  # type: ignore[arg-type]
        line = machine.run(["grep", "CapEff", "/proc/self/status"], check=True).stdout
        machine.destroy()
        return int(line.split()[1], 16)

    usual = effective()
    assert usual >> 12 & 1 == 0  # CAP_NET_ADMIN
    assert effective(cap_add=["net_admin"]) >> 12 & 1 == 1
    assert effective(cap_drop=["ALL"]) == 0
    assert effective(privileged=True) > usual
    machine = docker.create("rights", read_only=True, user="www-data")
    assert "33" in machine.run(["id", "-u"]).stdout
    assert not machine.run(["touch", "/srv/x"]).ok
    machine.destroy()


def test_limits_really_limit(docker: DockerEngine) -> None:
    """Memory, processes and processor time are bounded by the kernel, and the bounds move while it runs."""
    if not docker.host.lab.has_cgroups:
        for limit in ({"memory": "32 MiB"}, {"cpus": 0.5}, {"processes": 8}):
            with pytest.raises(NotSupported, match="cgroup"):
                docker.create("bounded", **limit)  # type: ignore[arg-type]
        return
    machine = docker.create("bounded", memory="48 MiB", cpus=0.25, processes=12)
    hungry = ["stress", "--quiet", "--vm", "1", "--vm-bytes", "96M", "--timeout", "3"]
    assert not machine.run(hungry).ok
    assert not machine.run(["sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13; do sleep 5 & done"]).ok
    machine.restart()

    def share() -> float:
        """Which part of a processor it gets."""
        before = machine.stats()
        machine.run(["stress", "--quiet", "--cpu", "1", "--timeout", "2"])
        after = machine.stats()
        return (after.cpu_seconds - before.cpu_seconds) / (after.time_s - before.time_s)

    assert share() < 0.4
    machine.resize(memory="160 MiB")
    assert machine.run(hungry).ok
    told = docker.api().inspect_container("bounded")["HostConfig"]
    assert told["Memory"] == 160 * 2**20
    machine.limits(cpus=0.1)
    assert share() < 0.2
    machine.limits(cpus=None)
    assert docker.api().inspect_container("bounded")["HostConfig"]["CpuQuota"] in (0, -1)
    machine.destroy()


def test_a_checkpoint_where_criu_agrees(docker: DockerEngine) -> None:
    """Memory is kept and comes back where `criu check` agrees; elsewhere the error has the reason and a way round."""
    machine = docker.create("saved", command=["sleep", "1000"])
    possible = os.geteuid() == 0 and shutil.which("criu") and docker.host.run(["criu", "check"]).ok
    if possible:
        machine.run(["touch", "/dev/shm/mark"], check=True)
        machine.checkpoint("before", leave_running=False)
        machine.restore("before")
        assert machine.run(["ls", "/dev/shm/mark"]).ok
    else:
        with pytest.raises(NotSupported, match=r"(?i)criu") as caught:
            machine.checkpoint("before")
        assert "snapshot" in caught.value.hint
    machine.destroy()


def test_snapshots_go_with_their_machine(docker: DockerEngine) -> None:
    """The images behind snapshots and clones are removed with the machines they belong to."""
    machine = docker.create("kept")
    machine.snapshot("one")
    machine.snapshot("two")
    assert machine.snapshots() == ["one", "two"]
    twin = machine.clone("kept-too")
    machine.revert("one")
    assert docker["kept"] is machine
    for one in (machine, twin):
        one.destroy()
    tags = [tag for image in docker.api().images() for tag in image["RepoTags"] or ()]
    assert not [tag for tag in tags if "kept" in tag]
    assert docker.api().containers(all=True) == []


def test_the_users_own_docker_is_left_alone(docker: DockerEngine) -> None:
    """Neither credentials nor proxies that the user has set up for another Docker come into the lab."""
    api = docker.api()
    assert not api._auth_configs.auths
    assert not api._general_configs
    assert not api.trust_env


# ── What it says ──────────────────────────────────────────────────────────────────────────────


def test_logs_come_as_they_are_said(docker: DockerEngine) -> None:
    """Following the log gives each line when it is said, and ends with the container."""
    command = ["sh", "-c", "for i in 1 2 3; do echo line $i; sleep 0.2; done; sleep 1; echo last"]
    machine = docker.create("talker", command=command)
    assert list(machine.logs(follow=True)) == ["line 1", "line 2", "line 3", "last"]
    assert list(machine.logs(tail=1)) == ["last"]
    assert machine.console().history(1) == "last"
    wait_until(lambda: machine.state is State.STOPPED)
    with pytest.raises(InvalidState, match="stopped"):
        machine.stats()
    with pytest.raises(InvalidState):
        machine.console().write("x")
    machine.destroy()


def test_stats_come_as_a_stream(docker: DockerEngine) -> None:
    """Readings come at the pace that was asked for, the first at once, and end with the container."""
    machine = docker.create("watched", command=["sleep", "1000"])
    stream = machine.stats_stream(0.05)
    first, second, third = (next(stream) for _ in range(3))
    assert first.time_s < second.time_s < third.time_s
    assert third.memory_bytes > 0
    machine.kill()
    assert list(stream) == []
    machine.destroy()


def test_state_follows_docker(docker: DockerEngine) -> None:
    """What is done behind the library's back shows, also that a container is no more."""
    machine = docker.create("behind")
    docker.api().kill("behind")
    wait_until(lambda: machine.state is State.STOPPED)
    docker.api().start("behind")
    wait_until(lambda: machine.state is State.RUNNING)
    docker.api().remove_container("behind", force=True)
    wait_until(lambda: machine.is_gone)
    with pytest.raises(NotFound):
        _ = docker["behind"]
    machine.destroy()


# ── Services ──────────────────────────────────────────────────────────────────────────────────


def test_a_service_scales_behind_one_name(docker: DockerEngine) -> None:
    """As many containers as asked for share a name, and each of them answers to it."""
    service = docker.scale("front", 3, command=WEB, env={"HOSTNAME": "x"}, networks=["lan"])
    assert [machine.name for machine in service] == ["front-1", "front-2", "front-3"]
    client = docker.create("client", networks=["lan"])
    assert client.run(["wget", "-q", "-O", "-", "http://front/"], check=True).stdout == "from-x\n"
    told = client.run(["nslookup", "front", "127.0.0.11"]).stdout
    for machine in service:
        assert machine.addresses[0] in told
    bigger = service.scale(5)
    assert len(bigger) == 5
    assert [one.container for one in list(bigger)[:3]] == [one.container for one in service]
    assert len(service.scale(2)) == 2
    told = client.run(["nslookup", "front", "127.0.0.11"]).stdout
    assert [machine.addresses[0] in told for machine in service] == [True, True, False]
    service.destroy()
    client.destroy()
    assert docker.machines() == []
    with pytest.raises(NotFound, match="front"):
        docker.scale("front", 2)
    for count in (-1, 201, 1.5, True):
        with pytest.raises(InvalidValue):
            docker.scale("front", count, image="small")  # type: ignore[arg-type]


# ── Bad input ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "what",
    [
        {"command": "ls -l"}, {"command": []}, {"env": {"a b": "c"}}, {"env": {"A": "\0"}}, {"memory": "2 MiB"},
        {"memory": "many"}, {"cpus": 0}, {"cpus": -1}, {"cpus": float("nan")}, {"processes": 1}, {"image": "../x"},
        {"image": "a b"}, {"cap_add": ["x y"]}, {"networks": ["lan", "lan"]}, {"timeout_s": 0}, {"service": "a b"},
    ],
    ids=str,
)  # fmt: skip
def test_what_makes_no_sense_is_refused(docker: DockerEngine, what: dict[str, object]) -> None:
    """Before anything is made, an error names what makes no sense."""
    with pytest.raises(InvalidValue) as caught:
        docker.create("refused", **what)  # type: ignore[arg-type]
    assert caught.value.hint
    assert not (docker.host.lab.folder / "machines" / "refused").exists()


def test_its_label_is_its_recipe(docker: DockerEngine) -> None:
    """All that a container was made from can be read from Docker by whoever finds it."""
    machine = docker.create("labelled", env={"A": "b"}, tty=False, command=["sleep", "9"], volumes={"vol": "/vol"})
    labels = docker.api().inspect_container("labelled")["Config"]["Labels"]
    assert json.loads(labels["labkit.recipe"])["env"] == {"A": "b"}
    elsewhere = Lab.attach(docker.host.lab.name)
    assert elsewhere["alpha"].docker["labelled"].recipe == machine.recipe
    elsewhere["alpha"].close()
    machine.destroy()
    docker.volumes.remove("vol")
