"""What the image *small* consists of, and how its files are made from Debian's packages."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import ImageBuildFailed, NotEnoughDisk, PackageMissing
from . import _kernel_call
from ._debian import EPOCH
from ._formats import Entry, applet_names, cpio, module_name, module_order, needed_libraries

DESCRIPTION = "Debian's cloud kernel, busybox, the guest agent, sshd and stress"
SUITE = "bookworm"
PACKAGES = (
    "busybox-static", "e2fsprogs", "iproute2", "linux-image-cloud-amd64", "openssh-server",
    "qemu-guest-agent", "stress",
)  # fmt: skip
CMDLINE = "root=/dev/vda rw console=ttyS0 quiet cryptomgr.notests"
DISK_BYTES = 256 * 2**20

_PROGRAMS = (
    "bin/busybox", "bin/ip", "bin/ss", "sbin/bridge", "sbin/resize2fs", "usr/bin/ssh",
    "usr/bin/ssh-keygen", "usr/bin/stress", "usr/lib/openssh/sftp-server",
    "usr/sbin/qemu-ga", "usr/sbin/sshd",
)  # fmt: skip
# libgcc_s is loaded by name at run time: by pthread_cancel.
_LIBRARIES = ("libgcc_s.so.1",)
_LOADER = "lib64/ld-linux-x86-64.so.2"
_LIBRARY_FOLDERS = ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu")
_NOT_APPLETS = frozenset({"busybox", "dpkg", "dpkg-deb", "rpm", "init", "linuxrc"})
_EARLY_MODULES = ("virtio_pci", "virtio_blk", "xen_blkfront")
_MODULES = (
    "virtio_console", "virtio_net", "virtio_balloon", "virtio_rng", "virtio_mem", "button", "evdev",
    "af_packet", "8021q", "xen_netfront", "vmw_vsock_virtio_transport",
)  # fmt: skip
_FOLDERS = (
    "dev", "mnt", "proc", "root", "run", "srv/www", "sys", "tmp", "usr/bin",
    "usr/lib/x86_64-linux-gnu", "usr/lib64", "usr/sbin", "var/lib", "var/log", "var/tmp",
)  # fmt: skip
_MERGED = ("bin", "lib", "lib64", "sbin")
_FEATURES = (
    "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,"
    "large_file,huge_file,dir_nlink,extra_isize,metadata_csum"
)
_UUID = "6c61626b-6974-4000-8000-736d616c6c00"

GUEST = Path(__file__).parent / "guest"


def guest_files() -> list[Path]:
    """The files of the guest that are labkit's own, in a fixed order."""
    return sorted(path for path in GUEST.rglob("*") if path.is_file())


def make_files(packages: Path, work: Path, out: Path) -> dict[str, str]:
    """Make the files of the image in `out` from a folder with unpacked packages.

    Parameters
    ----------
    packages
        The unpacked packages.
    work
        A folder for what is needed only while building.
    out
        An empty folder.

    Returns
    -------
    dict
        The role of each file: ``kernel``, ``initrd``, ``disk``, ``rootfs``, and its name.
    """
    root = work / "root"
    for folder in _FOLDERS:
        (root / folder).mkdir(parents=True)
    for name in _MERGED:
        (root / name).symlink_to(f"usr/{name}")
    _add_programs(packages, root)
    _add_applets(root)
    _add_own_files(root)
    modules = _modules(packages)
    release = _add_modules(modules, root)
    _finish(root)
    shutil.copyfile(packages / f"boot/vmlinuz-{release}", out / "vmlinuz")
    (out / "initrd.img").write_bytes(_initrd(packages, modules, release))
    _write_tar(root, out / "rootfs.tar")
    _write_disk(root, out / "disk.raw")
    return {"kernel": "vmlinuz", "initrd": "initrd.img", "disk": "disk.raw", "rootfs": "rootfs.tar"}


def _locate(packages: Path, names: Iterable[str]) -> Path:
    """The first of `names` that is there, with ``/usr`` before or not."""
    tried = list(names)
    for name in tried:
        for path in (packages / name, packages / "usr" / name):
            if path.exists():
                return path
    raise ImageBuildFailed(f"no package brought the file {tried[0]}")


def _place(source: Path, target: Path) -> None:
    """Copy a file, following links inside the tree it comes from, as a file of root."""
    shutil.copyfile(source.resolve(), target)
    target.chmod(0o755)


def _add_programs(packages: Path, root: Path) -> None:
    """Copy the programs and every library that one of them needs."""
    missing = list(_LIBRARIES)
    for name in _PROGRAMS:
        source = _locate(packages, [name])
        target = root / (name if name.startswith("usr/") else f"usr/{name}")
        target.parent.mkdir(parents=True, exist_ok=True)
        _place(source, target)
        missing += needed_libraries(source.read_bytes())
    folder = root / "usr/lib/x86_64-linux-gnu"
    while missing:
        library = missing.pop()
        if not library.startswith("ld-linux") and not (folder / library).exists():
            source = _locate(packages, (f"{place}/{library}" for place in _LIBRARY_FOLDERS))
            _place(source, folder / library)
            missing += needed_libraries(source.read_bytes())
    _place(_locate(packages, [f"lib/x86_64-linux-gnu/{Path(_LOADER).name}"]), root / "usr" / _LOADER)


def _add_applets(root: Path) -> None:
    """Link each name that busybox knows to it, except where the real program is there."""
    for name in applet_names((root / "usr/bin/busybox").read_bytes()):
        places = [root / "usr/bin" / name, root / "usr/sbin" / name]
        if name not in _NOT_APPLETS and not any(place.exists() for place in places):
            places[0].symlink_to("busybox")
    for name in ("init", "reboot", "poweroff", "halt", "modprobe", "ip"):
        (root / "usr/sbin" / name).symlink_to("../bin/ip" if name == "ip" else "../bin/busybox")


def _add_own_files(root: Path) -> None:
    for source in guest_files():
        path = source.relative_to(GUEST)
        if path.parts[0] == "root":
            target = root / path.relative_to("root")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            target.chmod(0o755 if source.read_bytes()[:2] == b"#!" else 0o644)
    program = root / "usr/sbin/labkit-kernel"
    program.write_bytes(_kernel_call.program())
    program.chmod(0o755)


def _modules(packages: Path) -> dict[str, Path]:
    """The file of each kernel module, by its name."""
    return {module_name(path): path for path in sorted((packages / "lib/modules").rglob("*.ko"))}


def _index(order: dict[str, list[str]], place: dict[str, str]) -> str:
    """The text of ``modules.dep``."""
    lines = [f"{place[name]}: {' '.join(place[other] for other in reversed(order[name]))}".rstrip() for name in order]
    return "\n".join(lines) + "\n"


def _add_modules(modules: dict[str, Path], root: Path) -> str:
    """Copy the modules that the running guest may want; return the kernel's release."""
    order = module_order([*_EARLY_MODULES, *(m for m in _MODULES if m in modules)], modules)
    place = {}
    for name in order:
        parts = modules[name].parts
        start = len(parts) - parts[::-1].index("modules")
        release, inside = parts[start], Path(*parts[start + 1 :])
        target = root / "usr/lib/modules" / release / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(modules[name], target)
        place[name] = str(inside)
    (root / "usr/lib/modules" / release / "modules.dep").write_text(_index(order, place))
    return release


def _initrd(packages: Path, modules: dict[str, Path], release: str) -> bytes:
    """A small root in memory: busybox, the disk's drivers and the script that mounts the disk."""
    order = module_order(_EARLY_MODULES, modules)
    folder, directory, program = f"lib/modules/{release}", stat.S_IFDIR | 0o755, stat.S_IFREG | 0o755
    entries = [
        Entry(name, directory) for name in ("bin", "dev", "lib", "lib/modules", folder, "new", "proc", "sbin", "sys")
    ]
    entries += [
        Entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1)),
        Entry("bin/busybox", program, _locate(packages, ["bin/busybox"]).read_bytes()),
        Entry("init", program, (GUEST / "initrd-init").read_bytes()),
        Entry("bin/sh", stat.S_IFLNK | 0o777, b"busybox"),
        Entry(f"{folder}/modules.dep", stat.S_IFREG | 0o644, _index(order, {n: f"{n}.ko" for n in order}).encode()),
    ]
    entries += [Entry(f"{folder}/{n}.ko", stat.S_IFREG | 0o644, modules[n].read_bytes()) for n in order]
    return cpio(entries)


def _finish(root: Path) -> None:
    """Set the modes that differ and one time for all."""
    (root / "root").chmod(0o700)
    (root / "etc/shadow").chmod(0o600)
    for folder in ("tmp", "var/tmp"):
        (root / folder).chmod(0o1777)
    for path in _walk(root):
        os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)


def _walk(root: Path) -> Iterator[Path]:
    yield root
    yield from sorted(root.rglob("*"))


def _write_tar(root: Path, target: Path) -> None:
    def as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        return entry

    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        for path in _walk(root):
            name = "./" + str(path.relative_to(root)) if path != root else "."
            archive.add(path, name, recursive=False, filter=as_root)


def _write_disk(root: Path, target: Path) -> None:
    """Make an ext4 file system from a folder without mounting anything, as any user."""
    with target.open("wb") as file:
        file.truncate(DISK_BYTES)
    options = f"root_owner=0:0,hash_seed={_UUID},lazy_itable_init=0,lazy_journal_init=0,nodiscard"
    _e2fs("mkfs.ext4", "-q", "-F", "-d", str(root), "-b", "4096", "-i", "32768", "-I", "256", "-m", "0",
          "-J", "size=4", "-L", "labkit", "-U", _UUID, "-O", _FEATURES, "-E", options, str(target))  # fmt: skip
    if os.geteuid() != 0:
        _give_to_root(root, target)


def _give_to_root(root: Path, disk: Path) -> None:
    """Make root the owner of every file in the file system; that needs no user namespace."""
    inside = [f"/{path.relative_to(root)}" for path in _walk(root) if path != root]
    script = root.parent / "owners"
    script.write_text("".join(f'sif "{path}" uid 0\nsif "{path}" gid 0\n' for path in inside))
    _e2fs("debugfs", "-w", "-f", str(script), str(disk))


def _e2fs(*argv: str) -> None:
    """Run a program of e2fsprogs with a clock that stands still."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
    if (program := shutil.which(argv[0], path=path)) is None:
        raise PackageMissing(f"{argv[0]} is not installed", hint="apt-get install e2fsprogs")
    times = {"E2FSPROGS_FAKE_TIME": str(EPOCH), "SOURCE_DATE_EPOCH": str(EPOCH), "LC_ALL": "C"}
    done = subprocess.run(
        [program, *argv[1:]], capture_output=True, text=True, timeout=300, check=False, env=os.environ | times,
    )  # fmt: skip
    if "No space left on device" in done.stderr:
        raise NotEnoughDisk(f"there is no room for the disk of the image in {argv[-1]}")
    said = [line for line in done.stderr.splitlines() if not line.startswith(("debugfs 1", "mke2fs 1"))]
    if done.returncode != 0 or said:
        raise ImageBuildFailed(f"{argv[0]} could not make the disk: {' '.join(said)[-500:]}")
