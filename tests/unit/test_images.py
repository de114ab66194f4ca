"""Images: the formats, and the cache. What needs an image takes a copy of the cached one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from labkit.errors import ImageDamaged, InvalidName, NotEnoughDisk, NotFound, PackageMissing
from labkit.storage import _formats, _kernel_call, _small, images


@pytest.fixture(scope="session")
def built() -> images.Image:
    """The image of the user's cache."""
    return images.get("small")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def copy(built: images.Image, cache: Path) -> images.Image:
    """A copy of the image, in a cache of its own."""
    target = cache / "images" / built.folder.name
    target.parent.mkdir(mode=0o700, parents=True)
    subprocess.run(["cp", "-a", "--sparse=always", str(built.folder), str(target)], check=True)
    found = images.find("small")
    assert found is not None
    return found


def _folders(cache: Path) -> list[str]:
    """What lies in the cache, but for the lock."""
    return sorted(path.name for path in (cache / "images").iterdir() if path.name != ".lock")


def _flip(path: Path, at: int) -> None:
    """Change one byte without a trace in size or modification time."""
    before = path.stat()
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))
    path.chmod(0o444)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_library_names() -> None:
    """The libraries an ELF file needs are those that ldd finds; another file needs none."""
    program = Path("/bin/ls").resolve()
    needed = _formats.needed_libraries(program.read_bytes())
    seen = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=True).stdout
    assert "libc.so.6" in needed
    assert all(name in seen for name in needed)
    assert _formats.needed_libraries(b"#!/bin/sh\n") == []


def test_module_order(tmp_path: Path) -> None:
    """A kernel module comes after all that it depends on, also through others."""
    modules = {}
    for name, depends in {"top": "middle,low-one", "middle": "low-one", "low_one": ""}.items():
        modules[name] = tmp_path / f"{name}.ko"
        modules[name].write_bytes(b"\0license=GPL\0depends=" + depends.encode() + b"\0")
    order = _formats.module_order(["top"], modules)
    assert order == {"low_one": [], "middle": ["low_one"], "top": ["low_one", "middle"]}


def test_module_name() -> None:
    """A module is known by its file's name with underscores."""
    assert _formats.module_name(Path("kernel/virtio-rng.ko")) == "virtio_rng"


@pytest.mark.skipif(shutil.which("cpio") is None, reason="needs cpio")
def test_cpio(tmp_path: Path) -> None:
    """An archive is unpacked by cpio with the names, contents and modes that went in."""
    data = _formats.cpio([
        _formats.Entry("folder", 0o040755), _formats.Entry("folder/file", 0o100640, b"hello"),
        _formats.Entry("link", 0o120777, b"folder/file"),
    ])  # fmt: skip
    subprocess.run(["cpio", "-i", "--quiet"], input=data, cwd=tmp_path, check=True)
    assert (tmp_path / "link").read_bytes() == b"hello"
    assert (tmp_path / "folder/file").stat().st_mode == 0o100640


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the program is for x86-64")
def test_kernel_call(tmp_path: Path) -> None:
    """The guest's small program refuses too little input and leaves alone what it is not told."""
    program = tmp_path / "program"
    program.write_bytes(_kernel_call.program())
    program.chmod(0o755)
    assert subprocess.run([program], input=b"x" * 15, check=False).returncode == 1
    assert subprocess.run([program], input=bytes(16), check=False).returncode == 0


def test_unknown_name() -> None:
    """An image that does not exist is refused with the names of those that do."""
    for function in (images.get, images.find, images.remove, images.build):
        with pytest.raises(NotFound, match="small"):
            function("other")
    with pytest.raises(InvalidName):
        images.get("../small")


def test_catalogue(copy: images.Image) -> None:
    """The catalogue tells of a built image what it takes, and of a removed one that it can be built."""
    line = images.catalogue()[0]
    assert (line.name, line.built, line.digest) == ("small", True, copy.digest)
    assert 10 * 2**20 < line.size_bytes < 200 * 2**20
    images.remove("small")
    line = images.catalogue()[0]
    assert (line.name, line.built, line.size_bytes, line.digest) == ("small", False, 0, "")
    assert line.description


def test_remove(copy: images.Image, cache: Path) -> None:
    """Removing an image removes older versions too, and nothing is left; twice is refused."""
    shutil.copytree(copy.folder, copy.folder.with_name("small-0123456789ab"), symlinks=True)
    images.remove("small")
    assert _folders(cache) == []
    assert images.find("small") is None
    with pytest.raises(NotFound, match="not in the cache"):
        images.remove("small")


def test_small_enough(built: images.Image) -> None:
    """The root file system is below 60 MB, the disk 256 MiB and mostly holes."""
    assert built.rootfs.stat().st_size < 60e6
    assert built.disk.stat().st_size == 256 * 2**20
    assert built.disk.stat().st_blocks * 512 < 60e6


def test_rootfs_has_no_identity(built: images.Image) -> None:
    """All files belong to root, none is a device, and no key, host name or machine id is among them."""
    with tarfile.open(built.rootfs) as archive:
        entries = archive.getmembers()
        shadow = archive.extractfile("./etc/shadow")
        assert shadow is not None
        lines = shadow.read().splitlines()
    assert {(entry.uid, entry.gid) for entry in entries} == {(0, 0)}
    assert all(entry.isfile() or entry.isdir() or entry.issym() for entry in entries)
    names = {entry.name for entry in entries}
    assert not {"./etc/machine-id", "./etc/hostname"} & names
    assert not any("ssh_host" in name or "authorized_keys" in name for name in names)
    assert all(line.split(b":")[1] == b"*" for line in lines)


def test_links_lead_somewhere(built: images.Image) -> None:
    """Every link in the root file system leads to a file in it."""
    with tarfile.open(built.rootfs) as archive:
        names = {os.path.normpath(entry.name) for entry in archive.getmembers()}
        links = [entry for entry in archive.getmembers() if entry.issym()]
    assert links
    for link in links:
        target = os.path.normpath(os.path.join(os.path.dirname(link.name), link.linkname))
        assert target in names, f"{link.name} leads to {link.linkname}"


def test_libraries_complete(built: images.Image) -> None:
    """Every library that a program of the root file system needs is in it."""
    with tarfile.open(built.rootfs) as archive:
        files = {entry.name: entry for entry in archive.getmembers() if entry.isfile()}
        have = {os.path.basename(name) for name in files}
        for name, entry in files.items():
            data = archive.extractfile(entry)
            assert data is not None
            missing = set(_formats.needed_libraries(data.read())) - have
            assert not missing, f"{name} needs {missing}"


def test_missing_mmdebstrap(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without mmdebstrap the error names the package to install, and nothing is left."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PackageMissing, match="apt-get install mmdebstrap"):
        images.get("small")
    assert _folders(cache) == []


def test_no_room(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is too little room, nothing is begun."""
    monkeypatch.setattr(images, "_NEEDED_BYTES", 2**62)
    with pytest.raises(NotEnoughDisk, match="no room"):
        images.get("small")
    assert _folders(cache) == []


@pytest.mark.parametrize("role", ["kernel", "initrd", "disk", "rootfs"])
def test_flipped_byte(copy: images.Image, role: str) -> None:
    """One changed byte, with size and time as before, is found, and the error names the file."""
    path: Path = getattr(copy, role)
    copy.check()
    _flip(path, path.stat().st_size // 2)
    with pytest.raises(ImageDamaged, match=path.name) as caught:
        images.get("small")
    assert caught.value.hint == "labkit image build --force"


def test_missing_file(copy: images.Image) -> None:
    """A missing file is found, and the error names it."""
    copy.kernel.unlink()
    with pytest.raises(ImageDamaged, match="vmlinuz is missing"):
        images.get("small")
    assert images.catalogue()[0].built


def test_cut_file(copy: images.Image) -> None:
    """A file that was cut short is found."""
    copy.rootfs.chmod(0o600)
    os.truncate(copy.rootfs, 4096)
    with pytest.raises(ImageDamaged, match="rootfs.tar has another size"):
        copy.check()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"digest": 1, "files": {}}'])
def test_damaged_manifest(copy: images.Image, text: str) -> None:
    """A manifest that is not what was written is found, and the catalogue does not call that built."""
    (copy.folder / "manifest.json").write_text(text)
    with pytest.raises(ImageDamaged, match=r"manifest\.json"):
        images.get("small")
    assert not images.catalogue()[0].built


def test_changed_command_line(copy: images.Image) -> None:
    """The command line is guarded like the files."""
    path = copy.folder / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"cmdline": "init=/bin/sh"}))
    with pytest.raises(ImageDamaged, match=r"manifest\.json"):
        images.get("small")


def test_check_is_quick(copy: images.Image) -> None:
    """A file that has not changed since the last comparison is not read again."""
    os.utime(copy.disk, (1, 1))
    copy.check()
    before = copy.disk.stat().st_atime_ns
    for _ in range(3):
        images.get("small")
    assert copy.disk.stat().st_atime_ns == before
    assert (copy.folder / "checked.json").is_file()


def test_touched_file_is_good(copy: images.Image) -> None:
    """A file with another time and the same contents is good."""
    copy.kernel.touch()
    assert images.get("small") == copy


def test_dead_builder(copy: images.Image, cache: Path) -> None:
    """The folder of a dead builder is swept away; that of a living one stays."""
    dead, alive = cache / "images/.building-dead", cache / "images/.building-alive"
    (dead / "packages").mkdir(parents=True)
    alive.mkdir()
    code = (
        "import fcntl, os, sys; f = os.open(sys.argv[1], os.O_RDONLY); fcntl.flock(f, fcntl.LOCK_EX);"
        "print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(alive)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as builder:
        assert builder.stdout is not None and builder.stdin is not None
        builder.stdout.readline()
        images.remove("small")
        assert _folders(cache) == [alive.name]
        builder.stdin.close()
    assert builder.returncode is not None


def test_own_files_are_programs() -> None:
    """Every script of the guest is a shell script without mistakes, as far as the shell can tell."""
    for path in _small.guest_files():
        if path.read_bytes()[:2] == b"#!":
            done = subprocess.run(["sh", "-n", str(path)], capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{path}: {done.stderr}"


def test_applets(built: images.Image) -> None:
    """The names inside busybox are read from it, with those that the lessons use."""
    with tarfile.open(built.rootfs) as archive:
        busybox = archive.extractfile("./usr/bin/busybox")
        assert busybox is not None
        names = set(_formats.applet_names(busybox.read()))
    assert {"ping", "nc", "wget", "dd", "httpd", "udhcpc", "acpid", "sh", "init"} <= names
