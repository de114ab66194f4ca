"""Engines on a host whose files are not this machine's: it has disks of its own over all that it has to have."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import pytest
from _lab import lab_of
from _wait import until

from labkit import Lab
from labkit._paths import cache_home
from labkit.errors import EngineError, InvalidState, NameInUse, NotEnoughMemory, PackageMissing
from labkit.hosts._libvirtd import tls_folder
from labkit.hosts.acceleration import acceleration_on, boot_of, note_there
from labkit.hosts.base import Host
from labkit.hosts.doctor import require_memory, require_program
from labkit.hosts.namespace import NamespaceHost
from labkit.machines.base import machine_folder
from labkit.machines.spec import State
from labkit.storage import images

pytestmark = [pytest.mark.core, pytest.mark.xdist_group("files")]


class Separate(NamespaceHost):
    """A host with files of its own: a machine's folder is made here, where its name is taken, and there."""

    shares_files = False

    @contextlib.contextmanager
    def reserve_folder(self, folder: Path, undo: Sequence[Sequence[str]]) -> Iterator[Callable[[], object]]:
        folder.mkdir(0o700)
        (folder / "host").write_text(self.name)
        kept = False

        def keep() -> None:
            nonlocal kept
            commit()
            kept = True

        self.run(["mkdir", "-p", str(folder.parent)], check=True)
        try:
            with super().reserve_folder(folder, undo) as commit:
                yield keep
        finally:
            if not kept:
                shutil.rmtree(folder, ignore_errors=True)


def separate(lab: Lab, name: str) -> Host:
    """Turn a host, before it is used, into one with files of its own."""
    plain = lab[name]
    for folder in (lab.folder / "machines", lab.folder / "roots"):
        folder.mkdir(0o700, exist_ok=True)
        plain.run(["mount", "-t", "tmpfs", "-o", "mode=700", "tmpfs", str(folder)], check=True)
    for place in (str(cache_home()), "/var/lib/lxc", str(plain.folder)):
        plain.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", place], check=True)
    plain.run(["mkdir", "-m", "700", str(tls_folder(plain.folder))], check=True)  # without it libvirt does not start
    lab._hosts[name] = host = Separate(lab, name, plain.address, plain.folder, plain.sockets)
    # It has this machine's processor: what is known of KVM here need not be found out again there.
    known = {"boot": boot_of(host), **asdict(lab["alpha"].kvm.acceleration())}
    host.files.write(note_there(images.get()), json.dumps(known))
    return host


@pytest.fixture(scope="module")
def far() -> Iterator[Host]:
    """The host beta, which has files of its own, in a lab with alpha, which has not."""
    with lab_of(["alpha", "beta"]) as lab:
        lab.networks.create("lan")
        yield separate(lab, "beta")


@pytest.fixture
def box(request: pytest.FixtureRequest) -> str:
    """A name that nobody has used."""
    return f"b-{secrets.token_hex(3)}"


def test_nothing_of_a_container_of_lxc_is_here_but_its_notes(far: Host, box: str) -> None:
    """Its root, layer, configuration and state are there; what is noted of it is here."""
    machine = far.lxc.create(box, networks=["lan"])
    assert machine.run(["hostname"], check=True).stdout.strip() == box
    assert far.run(["test", "-d", f"/var/lib/lxc/{box}/upper"]).ok
    assert not list((far.folder / "var-lib-lxc").iterdir()) and not list((far.lab.folder / "roots").iterdir())
    assert (machine.notes / "host").read_text() == "beta"
    assert machine.config().startswith("lxc.uts.name") and far.lab["beta"].lxc.machines() == [machine]
    machine.destroy()
    assert not machine.notes.exists()
    assert not far.run(["test", "-e", str(machine.notes)]).ok and not far.run(["test", "-e", f"/var/lib/lxc/{box}"]).ok


def test_a_container_of_lxc_keeps_and_gives_its_files(far: Host, box: str) -> None:
    """Snapshots, reverts, clones, restarts and consoles read and write there."""
    machine = far.lxc.create(box)
    machine.run(["sh", "-c", "echo old >/root/file"], check=True)
    machine.snapshot("before")
    machine.run(["sh", "-c", "echo new >/root/file"], check=True)
    twin = machine.clone(f"{box}-2")
    machine.revert("before")
    assert machine.snapshots() == ["before"]
    assert [each.run(["cat", "/root/file"]).stdout for each in (machine, twin)] == ["old\n", "new\n"]
    with machine.console() as console:
        console.write("echo $((6 * 7))\n")
        console.expect("42")
    machine.restart()
    assert "42" in machine.console().history()
    twin.destroy()
    machine.destroy()


def test_a_command_s_end_is_known(far: Host, box: str) -> None:
    """What process 1 has noted there tells how a container's command ended; the error has its last words."""
    with pytest.raises(EngineError, match="exit code 3; it said: oh no"):
        far.lxc.create(box, command=["sh", "-c", "echo oh no; exit 3"])
    assert not machine_folder(far, box).exists()
    assert not far.run(["test", "-e", f"/var/lib/lxc/{box}"]).ok


def test_an_ephemeral_container_takes_its_notes_along(far: Host, box: str) -> None:
    """One that ends by itself removes itself there, and its name is free here."""
    machine = far.lxc.create(box, ephemeral=True)
    machine.run(["poweroff"])
    until(lambda: machine.is_gone and not machine.notes.exists(), "it is gone")
    far.lxc.create(box).destroy()


def test_a_name_is_taken_in_the_whole_lab(far: Host, box: str) -> None:
    """A machine's name cannot be used on a host with other files."""
    here = far.lab["alpha"].lxc.create(box)
    with pytest.raises(NameInUse):
        far.lxc.create(box)
    here.destroy()
    there = far.lxc.create(box)
    with pytest.raises(NameInUse):
        far.lab["alpha"].lxc.create(box)
    there.destroy()


def test_a_virtual_machine_has_all_its_files_there(far: Host, box: str) -> None:
    """Image, template, disk, keys and console are there; it restarts, is cloned, and leaves nothing."""
    machine = far.kvm.create(box, networks=["lan"])
    assert machine.run(["hostname"], check=True).stdout.strip() == box
    assert set(os.listdir(machine.notes)) == {"host"}
    assert far.run(["test", "-e", str(machine.disk())]).ok and not machine.disk().exists()
    machine.run(["sh", "-c", "echo kept >/root/file && sync"], check=True)
    twin = machine.clone(f"{box}-2")
    assert twin.run(["cat", "/root/file"]).stdout == "kept\n"
    twin.destroy()
    machine.kill()
    machine.start()
    assert machine.run(["cat", "/root/file"]).stdout == "kept\n"
    with machine.console() as console:
        console.write("\n")
        console.expect("[#$] $")
    with_history = machine.line("console")
    assert with_history.follow(lambda _: None)
    machine.destroy()
    assert not machine.notes.exists() and not far.run(["test", "-e", str(machine.notes)]).ok


@pytest.mark.slow
def test_a_second_virtual_machine_uses_what_was_prepared(far: Host, box: str) -> None:
    """The template is made once there; the image did not come again."""
    far.kvm.create(box).destroy()
    before = far.run(["ls", "-lR", str(cache_home() / "templates"), str(cache_home() / "brought")], check=True).stdout
    far.kvm.create(box).destroy()
    after = far.run(["ls", "-lR", str(cache_home() / "templates"), str(cache_home() / "brought")], check=True).stdout
    assert after == before and "memory.save" in before and "disk.raw" in before


def test_a_container_of_docker_runs_from_what_is_there(far: Host, box: str) -> None:
    """dockerd's configuration and data are there; volumes are folders of that host."""
    far.run(["mkdir", "-p", "/run/shown"], check=True)
    far.run(["tee", "/run/shown/file"], input="of beta", check=True)
    machine = far.docker.create(box, networks=["lan"], volumes={"/run/shown": "/srv"})
    assert machine.run(["cat", "/srv/file"]).stdout == "of beta"
    assert not (far.folder / "dockerd.json").exists() and far.run(["test", "-d", f"{far.folder}/docker"]).ok
    machine.restart()
    machine.destroy()
    assert not machine.notes.exists() and not far.run(["test", "-e", str(machine.notes)]).ok


def test_its_counters_are_read(far: Host, box: str) -> None:
    """What reads the counters is brought there, too."""
    machine = far.lxc.create(box)
    assert machine.stats().cpu_seconds >= 0 and far.sample().memory_total_bytes
    machine.destroy()


@pytest.mark.parametrize("engine", ["lxc", "docker"])
def test_a_container_moves_there_and_back(far: Host, box: str, engine: str) -> None:
    """It goes with its files to the host that has others, and comes back; nothing is left where it was."""
    alpha = far.lab["alpha"]
    machine = getattr(alpha, engine).create(box, networks=["lan"])
    machine.run(["sh", "-c", "echo kept >/root/file"], check=True)
    machine.migrate(far, live=False).wait(120)
    assert machine.host is far and machine.run(["cat", "/root/file"]).stdout == "kept\n"
    assert far.run(["cat", str(machine.notes / "host")]).stdout == (machine.notes / "host").read_text() == "beta"
    machine.migrate(alpha, live=False).wait(120)
    assert machine.host is alpha and machine.run(["cat", "/root/file"]).stdout == "kept\n"
    assert not far.run(["test", "-e", str(machine.notes)]).ok
    assert machine.state is State.RUNNING
    machine.destroy()
    assert not machine.notes.exists()


def test_a_container_that_only_begins_to_move_is_not_taken_for_removed(far: Host, box: str) -> None:
    """When other folders come or go at the destination meanwhile, where its own is not yet, it can be destroyed."""
    alpha = far.lab["alpha"]
    machine = far.lxc.create(box)
    machine.leaving(alpha)
    alpha.lxc._look()
    assert not machine.is_gone
    alpha.lxc.part_with(machine)
    machine.destroy()
    assert not machine.notes.exists()


@pytest.mark.parametrize("engine", ["lxc", "docker"])
def test_it_is_connected_and_disconnected(far: Host, box: str, engine: str) -> None:
    """What is reserved there while it is connected does not stay."""
    machine = getattr(far, engine).create(box)
    for _ in range(2):
        card = machine.attach("lan")
        assert card.address in machine.run(["ip", "-o", "addr"]).stdout
        machine.detach("lan")
    assert far.run(["ls", str(machine.notes)]).stdout.split() == ["host"]
    machine.destroy()


@pytest.mark.slow
def test_a_virtual_machine_moves_there_and_back(far: Host, box: str) -> None:
    """It runs on with its memory, disk and keys on the host that has other files, and comes back whole."""
    alpha = far.lab["alpha"]
    machine = alpha.kvm.create(box, networks=["lan"])
    machine.run(["sh", "-c", "echo kept >/root/file && sync; echo live >/run/file"], check=True)
    key = (machine.folder / "ssh_host_ed25519_key").read_text()
    assert "memory and disk" in machine.migration_plan(far).way
    # With a limit the whole disk takes its time, what is empty as well: 32 s were measured for 256 MiB at 8 MiB/s.
    limited = machine.migration_plan(far, bandwidth="8 MiB")
    assert limited.expected_s > machine.spec.disk_bytes / 2**23 > limited.disk_bytes / 2**23
    for host in (far, alpha):
        machine.migrate(host).wait(200)
        assert machine.host is host and machine.run(["cat", "/root/file", "/run/file"]).stdout == "kept\nlive\n"
        assert host.run(["cat", str(machine.folder / "ssh_host_ed25519_key")]).stdout == key
        assert host.run(["test", "-e", str(machine.disk())]).ok
    assert not far.run(["test", "-e", str(machine.notes)]).ok
    machine.restart()
    assert machine.run(["cat", "/root/file"]).stdout == "kept\n"
    machine.destroy()


def test_a_virtual_machine_at_rest_says_that_it_has_to_run(far: Host, box: str) -> None:
    """At rest its disk would stay behind: that is said before anything moves."""
    machine = far.lab["alpha"].kvm.create(box)
    machine.kill()
    with pytest.raises(InvalidState, match="does not see its disk") as caught:
        machine.migrate(far)
    assert "start()" in caught.value.hint
    assert "move(to)" in caught.value.hint
    machine.destroy()


@pytest.mark.slow
def test_a_virtual_machine_moves_cold_there_and_back(far: Host, box: str) -> None:
    """Stopped, or with a snapshot, it takes its disk to the host that has other files, and comes back whole."""
    alpha = far.lab["alpha"]
    machine = alpha.kvm.create(box, networks=["lan"])
    machine.run(["sh", "-c", "echo kept >/root/file && sync; echo live >/run/file"], check=True)
    machine.snapshot("before")
    disk, key = machine.disk(), (machine.folder / "ssh_host_ed25519_key").read_text()
    result = machine.move(far).wait(200)
    assert result.way == "cold: stopped, copied, started" and result.transferred_bytes > 2**20
    assert machine.host is far and machine.run(["cat", "/root/file"]).stdout == "kept\n"
    assert far.run(["test", "-e", str(disk)]).ok and not disk.exists()
    assert far.run(["cat", str(machine.folder / "ssh_host_ed25519_key")]).stdout == key
    assert [one.name for one in far.lab.machines()] == [box]
    machine.revert("before")
    assert machine.run(["cat", "/run/file"]).stdout == "live\n"
    machine.stop()
    moved = machine.move(alpha)
    assert moved.plan.way == "cold: at rest, its files are copied"
    moved.wait(200)
    assert machine.host is alpha and machine.refresh() is State.STOPPED
    assert not far.run(["test", "-e", str(machine.notes)]).ok
    machine.start()
    assert machine.run(["cat", "/root/file"]).stdout == "kept\n"
    assert machine.snapshots() == ["before"]
    machine.destroy()
    assert not machine.notes.exists()


def test_what_it_needs_is_looked_for_there(far: Host) -> None:
    """Programs and memory are asked of the host, and the error names it."""
    assert require_program("ip", far).endswith("/ip")
    far.run(["sh", "-euc", "mkdir -p /run/bin && cp /bin/true /run/bin/only-there"], check=True)
    with pytest.raises(PackageMissing) as caught:
        require_program("only-there", far)
    assert caught.value.host == far.name
    require_memory(1 << 20, far)
    with pytest.raises(NotEnoughMemory):
        require_memory(1 << 60, far)


@pytest.mark.slow
def test_kvm_is_tried_there(far: Host) -> None:
    """A guest is booted on the host, which has this machine's processor; the host keeps the answer."""
    there = far.kvm.brought(images.get())
    far.files.remove(note_there(there))
    found = acceleration_on(far, there)
    assert found.kind == far.lab["alpha"].kvm.acceleration().kind
    assert found.reason
    assert acceleration_on(far, there) == found
