"""The files of containers: roots that they share, a layer of its own on each, and who each is."""

from __future__ import annotations

import contextlib
import hashlib
import shlex
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from .._paths import disk_room
from ..errors import EngineError, InvalidValue, NotFound
from ..storage import archives
from ..storage.images import Image
from ._lxc_config import IDS, LXC_PATH, LxcSpec, configuration, seccomp
from .base import machine_folder

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..hosts.files import HostFiles

FOLDER = "var-lib-lxc"
_GUEST = Path(__file__).with_name("guest")
_UNPACK = ["tar", "--extract", "--preserve-permissions", "--same-owner", "--numeric-owner", "--delay-directory-restore"]
_UNPACK_S = 600

# What the host does, each in one command. Paths of users are never in it: overlayfs would take a
# comma or colon in them for its own.
MOUNT = """
cd "/var/lib/lxc/$1"
read -r _ outside _ </proc/self/uid_map
[ "$outside" = 0 ] && more= || more=,userxattr
mount -t overlay labkit -o "lowerdir=lower,upperdir=upper,workdir=work$more" rootfs
"""
_FAULT = "fault"  # the file with why it could not be started; its process 1 cannot write it
_STATE = (*(f"own/state/{what}" for what in ("ready", "up", "exit")), _FAULT)
FORGET_STATE = "rm -f " + " ".join(f'"/var/lib/lxc/$1/{file}"' for file in _STATE)  # as `forget_state` does
# A cgroup cannot go before its processes have, and those of a killed monitor are still ending.
_NO_CGROUPS = """
name=$1 tries=0
for top in /sys/fs/cgroup /sys/fs/cgroup/*; do
    for left in "$top/lxc.payload.$name" "$top/lxc.monitor.$name"; do
        while [ -d "$left" ] && ! find "$left" -depth -type d -delete 2>/dev/null && [ $tries -lt 250 ]; do
            sleep 0.02
            tries=$((tries + 1))
        done
    done
    rmdir "$top/lxc.pivot/lxc.pivot" "$top/lxc.pivot" 2>/dev/null || true
done
"""
_LAY_OUT = f"""
cd "/var/lib/lxc/$1"
ssh-keygen -q -t ed25519 -N "" -C "$1" -f own/ssh_host_ed25519_key </dev/null &
[ -z "$3" ] || cp -a --reflink=auto -- "$3/." upper
for needed in dev etc proc root run sys tmp; do
    [ -e "lower/$needed" ] || [ -L "lower/$needed" ] || [ -n "$3" ] || mkdir "upper/$needed"
done
wait $!
[ "$2" = 0 ] || [ -n "$3" ] || chown -R -h "$2:$2" upper
[ "$2" = 0 ] || chown "$2:$2" own/state own/ssh_host_ed25519_key
{MOUNT}"""
_CHANGE = f"""
cd "/var/lib/lxc/$1"
umount rootfs || umount -l rootfs
rm -rf upper work
mkdir work
cp -a --reflink=auto -- "$2" upper
{MOUNT}"""
# Looks for processes until there are none: a container may be about to start when its maker dies.
END = f"""
name=$1 tries=0
lxc-stop "--name=$name" --kill 2>/dev/null
while [ $tries -lt 200 ] &&
    grep -zqsx -e "[-]-name=$name" -e "[[]lxc monitor] /var/lib/lxc $name" /proc/[0-9]*/cmdline; do
    sleep 0.02
    lxc-stop "--name=$name" --kill 2>/dev/null
    tries=$((tries + 1))
done
umount -l "/var/lib/lxc/$name/rootfs" 2>/dev/null
{_NO_CGROUPS}
rm -rf -- "/var/lib/lxc/$name"
"""


def script(text: str, *words: str) -> list[str]:
    """The command that runs a fixed shell script with these words as its arguments."""
    return ["sh", "-euc", text, "labkit", *words]


def ending(name: str) -> list[str]:
    """The command that ends a container, wherever it is on its way, and removes its files."""
    return ["sh", "-c", END, "labkit", name]


def sweep_cgroups(host: Host, name: str) -> None:
    """Remove the cgroups that a killed monitor of the container has left."""
    host.run(script(_NO_CGROUPS, name))


def place(host: Host, name: str) -> Path:
    """The folder that is ``/var/lib/lxc/NAME`` on the host."""
    return host.folder / FOLDER / name


# ── Roots ─────────────────────────────────────────────────────────────────────────────────────


def allow_ids(host: Host, first_id: int) -> None:
    """Let root of the host give out the ids of unprivileged containers, as `newuidmap` asks for."""
    host.run(script(_ALLOW, str(first_id), str(IDS)), check=True)


def ensure_root(host: Host, image: Image | Path, first_id: int) -> str:
    """Have the image unpacked once for this lab; returns the name of its folder among the roots.

    Raises
    ------
    ArchiveRefused, NotFound, NotEnoughDisk
    """
    archive = image.rootfs if isinstance(image, Image) else image
    content = image.digest if isinstance(image, Image) else _digest(archive)
    name = content[:24] + (f"-{first_id}" if first_id else "")
    folder = host.lab.folder / "roots" / name
    if first_id:
        allow_ids(host, first_id)
    if not host.files.exists(folder):
        host.files.make_folder(folder.parent, there=True)
        with disk_room(host.lab.folder), host.files.lock(folder.parent / ".lock", _UNPACK_S):
            if not host.files.exists(folder):
                _unpack(host, archive, folder, first_id)
    return name


def _digest(archive: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    try:
        with archive.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise NotFound(
            f"the archive {archive} cannot be read: {error.strerror}", hint="give the path of a tar file"
        ) from error


def _unpack(host: Host, archive: Path, folder: Path, first_id: int) -> None:
    """Unpack beside the folder, so that it is whole when it is there."""
    archives.check_file(archive)
    there, files = host.files.bring(archive), host.files
    fresh = folder.with_name(".new")
    host.run(["rm", "-rf", "--", str(fresh)], check=True, timeout_s=_UNPACK_S)  # left by one that was killed
    try:
        if first_id:
            _unpack_shifted(host, there, fresh, first_id)
        else:
            files.make_folder(fresh, mode=0o755)
            host.run([*_UNPACK, "--file", str(there), "-C", str(fresh)], check=True, timeout_s=_UNPACK_S)
        if not any(files.exists(fresh / shell, follow=False) for shell in ("bin/sh", "usr/bin/sh")):
            raise InvalidValue(
                f"{archive.name} has no /bin/sh, which a container starts with",
                hint="take one with a shell, such as busybox",
            )
        files.rename(fresh, folder)
    finally:
        if files.exists(fresh):
            host.run(["rm", "-rf", "--", str(fresh)], timeout_s=_UNPACK_S)


# The host's /etc is its own layer: what is added to it is not added to the machine's.
_ALLOW = """
for file in /etc/subuid /etc/subgid; do
    grep -qsx "root:$1:$2" $file || echo "root:$1:$2" >>$file
done
"""
_SHIFTED = """
mkdir -m 755 "$1" && chown "$3:$3" "$1" && cd "$1"
first=$3 count=$4 archive=$2
shift 4
exec lxc-usernsexec -m "u:0:$first:$count" -m "g:0:$first:$count" -- "$@" <"$archive"
"""


def _unpack_shifted(host: Host, archive: Path, fresh: Path, first_id: int) -> None:
    """Unpack as the container's own root, whose ids are others on the host."""
    words = [str(fresh), str(archive), str(first_id), str(IDS), *_UNPACK, "--file", "-"]
    host.run(script(_SHIFTED, *words), check=True, timeout_s=_UNPACK_S)


# ── A container's own files ───────────────────────────────────────────────────────────────────


def prepare(host: Host) -> int:
    """Make a host ready for containers; returns the version of the cgroups that limits are set with, or 0."""
    folder = host.folder / FOLDER
    if not host.files.are_here:
        _make_place(host, folder)
    with host.files.together() as files:
        files.make_folder(folder / ".labkit", mode=0o755, there=True)
        for name in ("lxc-init", "lxc-gone"):
            files.write(folder / ".labkit" / name, (_GUEST / name).read_bytes(), mode=0o755, whole=True)
    # Shared: what is unmounted here is unmounted for the monitors of other containers, too.
    host.run(["mount", "--make-shared", LXC_PATH], check=True)
    if not host.has_cgroups:
        return 0
    return 2 if host.run(["test", "-e", "/sys/fs/cgroup/cgroup.controllers"]).ok else 1


def _make_place(host: Host, folder: Path) -> None:
    """Have liblxc's own folder on a host elsewhere be found where a namespace host has it, and be a mount."""
    host.files.make_folder(folder.parent, there=True)
    with contextlib.suppress(FileExistsError):
        host.files.link(folder, Path(LXC_PATH))
    mounted = 'mkdir -p "$1"; mountpoint -q "$1" || mount --bind "$1" "$1"'
    host.run(script(mounted, LXC_PATH), check=True)


def write(host: Host, spec: LxcSpec, cgroup_version: int) -> None:
    """Write the configuration anew, as when limits have changed."""
    _write(host.files, host, spec, cgroup_version)


def _write(files: HostFiles, host: Host, spec: LxcSpec, cgroup_version: int) -> None:
    text = configuration(spec, host.lab.networks, host.processors, cgroup_version)
    files.write(place(host, spec.name) / "config", text, whole=True)


def rename(host: Host, spec: LxcSpec) -> None:
    """Write anew what tells the container its addresses and its name servers, into the files that it sees."""
    texts = _identity(host, spec)
    with host.files.together() as files:
        for name in ("hosts", "resolv.conf"):
            files.write(place(host, spec.name) / "own" / name, texts[name])


def describe(host: Host, spec: LxcSpec) -> None:
    """Write what the container is; from now on it is listed."""
    host.files.write(place(host, spec.name) / "spec.json", spec.to_json(), whole=True)


def lay_out(host: Host, spec: LxcSpec, cgroup_version: int, layer: str) -> None:
    """Make the files of a new container and mount its root; `layer` holds what it begins with, or is ""."""
    folder = place(host, spec.name)
    own = folder / "own"
    texts = _identity(host, spec)
    if spec.command:
        texts["command"] = f"exec {shlex.join(spec.command)}\n"
    with host.files.together() as files:
        for name in ("", "upper", "work", "rootfs", "snapshots", "own", "own/state"):
            files.make_folder(folder / name, mode=0o755)  # others inside must read it
        files.link(folder / "lower", host.lab.folder / "roots" / spec.root)
        files.link(folder / "machine", machine_folder(host, spec.name))
        files.copy(host.folder / FOLDER / ".labkit" / "lxc-init", own / "init")
        files.set_mode(own / "init", 0o755)
        for name, text in texts.items():
            files.write(own / name, text, mode=0o644)
        files.write(folder / "seccomp", seccomp(spec.refused))
        _write(files, host, spec, cgroup_version)
    done = host.run(script(_LAY_OUT, spec.name, str(spec.first_id), layer), timeout_s=_UNPACK_S)
    _succeeded(done.ok, done.stderr, host, spec.name)


def _identity(host: Host, spec: LxcSpec) -> dict[str, str]:
    """The files that say who it is, by name; the ssh keys are made on the host."""
    lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost"]
    addresses = [card.address for card in spec.interfaces] or ["127.0.1.1"]
    lines += [f"{address}\t{spec.name} {spec.name}.lab" for address in addresses]
    networks = [host.lab.networks[card.network] for card in spec.interfaces]
    servers = ["search lab", *(f"nameserver {network.name_server}" for network in networks if network.name_server)]
    texts = {  # by the names in IDENTITY
        "hostname": spec.name, "hosts": "\n".join(lines), "resolv.conf": "\n".join(servers),
        "machine-id": uuid.uuid4().hex,
    }  # fmt: skip
    return {name: f"{text}\n" for name, text in texts.items()}


def change_layer(host: Host, name: str, layer: str) -> None:
    """Put a copy of `layer`, a path on the host, in the place of the stopped container's own."""
    done = host.run(script(_CHANGE, name, layer), timeout_s=_UNPACK_S)
    _succeeded(done.ok, done.stderr, host, name)


def copy_layer(host: Host, name: str, target: str) -> None:
    """Copy the container's layer to the path `target` on the host, whole or not at all."""
    text = 'cp -a --reflink=auto -- "$1" "$2.new" && mv "$2.new" "$2" || { rm -rf -- "$2.new"; exit 1; }'
    done = host.run(script(text, f"{LXC_PATH}/{name}/upper", target), timeout_s=_UNPACK_S)
    _succeeded(done.ok, done.stderr, host, name)


def _succeeded(ok: bool, said: str, host: Host, name: str) -> None:
    if not ok:
        raise EngineError(
            f"the files of {name} could not be laid out: {said.strip()[-500:]}", host=host.name, machine=name,
            hint="`labkit doctor` tries overlayfs",
        )  # fmt: skip


def state_file(host: Host, name: str, what: str) -> str | None:
    """What process 1 of the container has noted, or None; it may be anything that a container can write."""
    try:
        said = host.files.peek(place(host, name) / "own" / "state" / what, 16)
    except OSError:
        return None
    return said.decode(errors="replace").strip()


def forget_state(host: Host, name: str) -> None:
    """Remove what process 1 has noted when it last ran, and why there was none."""
    with host.files.together() as files:
        for file in _STATE:
            files.remove(place(host, name) / file)


def note_fault(host: Host, name: str, fault: str) -> None:
    """Note why it could not be started, for whoever asks how it is."""
    with contextlib.suppress(FileNotFoundError):  # an ephemeral one has removed itself
        host.files.write(place(host, name) / _FAULT, fault)


def has_failed(host: Host, name: str) -> bool:
    """Whether a container that is not running could not be started, or ended with an exit code that is not 0."""
    if host.files.exists(place(host, name) / _FAULT):
        return True
    return state_file(host, name, "exit") not in (None, "", "0")
