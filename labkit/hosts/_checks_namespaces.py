"""The doctor's checks of namespaces and of what a lab makes inside them; each tries it for real."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from ._checks import (
    Finding,
    Ran,
    State,
    as_root,
    fail,
    find_program,
    install,
    note,
    ok,
    own_status,
    read,
    run,
    user_name,
)

NAMESPACES = ("--net", "--mount", "--pid", "--ipc", "--uts", "--cgroup")
AS_USER = ("--user", "--map-root-user", "--map-auto")
_TUN = "/dev/net/tun"
_IDS = 65536
_NO_LAB = "No lab can start."


def inside(script: str, *arguments: str) -> Ran:
    """Run a shell script of ours as root of new namespaces like a lab's; they end with it."""
    as_user = () if os.geteuid() == 0 else AS_USER
    shell = ("sh", "-c", script, "labkit-doctor", *arguments)
    return run(["unshare", *as_user, *NAMESPACES, "--fork", "--kill-child", "--", *shell])


def namespaces() -> Finding:
    """Make the namespaces of a lab."""
    name = "namespaces"
    if not find_program("unshare"):
        return fail(name, "unshare is not installed", _NO_LAB, install("unshare"))
    ran = inside("cat /proc/self/uid_map")
    if not ran.ok:
        return fail(name, *why_forbidden(ran.stderr or ran.said))
    if os.geteuid() == 0:
        return ok(name, "made as root", "A lab can stand in them, with no user namespace.")
    count = sum(int(line.split()[2]) for line in ran.stdout.splitlines())
    found = f"made as {user_name()}, with {count} user numbers"
    if count >= _IDS:
        return ok(name, found, "A lab can stand in them, without root.")
    less = f"A lab can start. Images need {_IDS} user numbers; files of the others cannot be made."
    return note(name, found, less, _add_ids())


# ── Why namespaces are forbidden: (found, meaning, fix) ───────────────────────────────────────

Why = tuple[str, str, str]


def why_forbidden(stderr: str) -> Why:
    """What was found, what it means and what fixes it, given what ``unshare`` wrote."""
    for look in _LOOKS:
        if why := look(stderr):
            return why
    lines = stderr.strip().splitlines()
    said = lines[-1][:200] if lines else "unshare failed and gave no reason"
    return (said, f"The kernel refuses the namespaces of a lab. {_NO_LAB}", "")


def _old_tools(stderr: str) -> Why | None:
    if "unrecognized option" not in stderr:
        return None
    meaning = "Without root, labs need util-linux 2.38 or newer, as in Debian 12 and Ubuntu 24.04."
    return ("this unshare has no --map-auto", meaning, "")


def _no_ids(stderr: str) -> Why | None:
    if not any(word in stderr for word in ("newuidmap", "newgidmap", "no line matching")):
        return None
    for program in ("newuidmap", "newgidmap"):
        if not find_program(program):
            meaning = f"A user cannot set up the user numbers of a lab. {_NO_LAB}"
            return (f"{program} is not installed", meaning, install(program))
    lacking = [file for file in ("/etc/subuid", "/etc/subgid") if not _has_range(file)]
    if lacking:
        found = f"no line for {user_name()} in {' and '.join(lacking)}"
        return (found, f"This user has no user numbers to give to a lab. {_NO_LAB}", _add_ids())
    if own_status("NoNewPrivs") == "1":
        meaning = (
            f"newuidmap has no effect here. {_NO_LAB} Start Jupyter without this option "
            "(Docker: --security-opt no-new-privileges, systemd: NoNewPrivileges)."
        )
        return ("this process was started with no-new-privileges", meaning, "")
    for program in ("newuidmap", "newgidmap"):
        if not _is_privileged(find_program(program)):
            meaning = f"It cannot set up the user numbers of a lab. {_NO_LAB}"
            fix = as_root("apt-get install --reinstall uidmap")
            return (f"{program} has lost its privilege", meaning, fix)
    return None


def _is_privileged(program: str) -> bool:
    if os.stat(program).st_mode & stat.S_ISUID:
        return True
    try:
        return bool(os.getxattr(program, "security.capability"))
    except OSError:
        return False


def _limited(stderr: str) -> Why | None:
    for kind in ("user", "mnt", "net", "pid", "ipc", "uts", "cgroup"):
        limit = f"user.max_{kind}_namespaces"
        if _sysctl(limit) == "0" and (kind != "user" or os.geteuid() != 0):
            meaning = f"Nobody may make such namespaces here. {_NO_LAB}"
            return (f"{limit} is 0", meaning, as_root(f"sysctl -w {limit}=15000"))
    if "No space left on device" in stderr:
        meaning = f"The limits user.max_*_namespaces are reached. {_NO_LAB} End other labs first."
        return ("there are too many namespaces already", meaning, "")
    return None


def _weak_root(stderr: str) -> Why | None:
    sys_admin = 1 << 21
    if os.geteuid() != 0 or int(own_status("CapEff") or "0", 16) & sys_admin:
        return None
    meaning = (
        f"This container may not make namespaces. {_NO_LAB} "
        "Start it with --privileged, or use labkit in it as an ordinary user."
    )
    return ("root has no CAP_SYS_ADMIN here", meaning, "")


def _container(stderr: str) -> Why | None:
    contained = Path("/.dockerenv").exists() or Path("/run/.containerenv").exists()
    if not contained or own_status("Seccomp") != "2":
        return None
    options = " ".join(
        f"--security-opt {option}" for option in ("seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined")
    )
    meaning = f"{_NO_LAB} Start the container with {options}."
    return ("this container's seccomp filter forbids namespaces", meaning, "")


def _switched_off(stderr: str) -> Why | None:
    if os.geteuid() == 0:
        return None
    refused = "An ordinary user may not make user namespaces, so no lab can start without root."
    switch = "kernel.unprivileged_userns_clone"
    if _sysctl(switch) == "0":
        return (f"{switch} is 0", refused, _switch(switch, 1))
    switch = "kernel.apparmor_restrict_unprivileged_userns"
    if _sysctl(switch) == "1":
        meaning = f"{refused} Ubuntu's AppArmor forbids it; the command allows it to all programs."
        return (f"{switch} is 1", meaning, _switch(switch, 0))
    if not Path("/proc/self/ns/user").exists():
        return ("this kernel has no user namespaces", refused, "")
    if own_status("Seccomp") == "2":
        meaning = f"{refused} The service or sandbox around this process sets the filter."
        return ("a seccomp filter forbids namespaces", meaning, "")
    return None


_LOOKS: tuple[Callable[[str], Why | None], ...] = (
    _old_tools, _no_ids, _limited, _weak_root, _container, _switched_off,
)  # fmt: skip


def _sysctl(name: str) -> str:
    return read(f"/proc/sys/{name.replace('.', '/')}")


def _switch(name: str, value: int) -> str:
    """The command that sets a kernel switch now and at each boot."""
    file = "/etc/sysctl.d/60-labkit.conf"
    return f"echo {name}={value} | sudo tee -a {file} && sudo sysctl -p {file}"


# ── Subordinate user numbers ──────────────────────────────────────────────────────────────────


def _ranges(file: str) -> Iterator[tuple[str, int, int]]:
    """The lines of /etc/subuid or /etc/subgid: owner, first number, how many."""
    for line in read(file).splitlines():
        owner, _, numbers = line.strip().partition(":")
        first, _, count = numbers.partition(":")
        if first.isdecimal() and count.isdecimal():
            yield owner, int(first), int(count)


def _has_range(file: str) -> bool:
    return any(owner in (user_name(), str(os.geteuid())) for owner, _, _ in _ranges(file))


def _free_range(file: str) -> str:
    """The first range of 65536 numbers that no line of `file` touches."""
    first = 100000
    for _, taken, count in sorted(_ranges(file), key=lambda line: line[1]):
        if taken < first + _IDS and first < taken + count:
            first = taken + count
    return f"{first}-{first + _IDS - 1}"


def _add_ids() -> str:
    """The command that gives this user the numbers that are lacking."""
    flags = {"/etc/subuid": "--add-subuids", "/etc/subgid": "--add-subgids"}
    wanted = [file for file in flags if not _has_range(file)] or list(flags)
    options = [f"{flags[file]} {_free_range(file)}" for file in wanted]
    return as_root(f"usermod {' '.join(options)} {user_name()}")


# ── What a lab does inside ────────────────────────────────────────────────────────────────────


def mounts() -> Finding:
    """A host has its own /proc, /sys and /run."""
    ran = inside("mount -t tmpfs tmpfs /tmp && mount -t proc proc /proc && mount -t sysfs sysfs /sys")
    if ran.ok:
        return ok("mounts", "tmpfs, proc, sysfs work", "Hosts have their own /proc, /sys and /run.")
    meaning = (
        f"A host cannot have its own /proc and /sys. {_NO_LAB} "
        "A container has to be started with --security-opt systempaths=unconfined."
    )
    return fail("mounts", ran.said, meaning)


def overlay() -> Finding:
    """A host lays a writable layer over the system's folders."""
    ran = inside(
        "mount -t tmpfs tmpfs /tmp && cd /tmp && mkdir lower upper work merged && "
        "mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged && "
        "echo x > merged/file && test -s upper/file"
    )
    if ran.ok:
        return ok("overlayfs", "works", "Hosts share the system's files and change only their own.")
    meaning = (
        f"A host cannot lay its own files over the system's. {_NO_LAB} Without root this needs Linux 5.11 or newer."
    )
    return fail("overlayfs", ran.said, meaning, _load("overlay"))


_LINKS = {
    "bridge": "ip link add probe0 type bridge",
    "veth": "ip link add probe1 type veth peer name probe2",
    "vxlan": "ip link add probe3 type vxlan id 4000 dev lo dstport 4789",
    "macvlan": "ip link add link probe1 probe4 type macvlan",
}


def links() -> Finding:
    """The network devices that networks are made of."""
    name = "network devices"
    lost = f"Hosts cannot be connected. {_NO_LAB}"
    if not find_program("ip"):
        return fail(name, "ip is not installed", lost, install("ip"))
    tries = (f"{command} 2>/dev/null || echo {kind}" for kind, command in _LINKS.items())
    ran = inside("; ".join(tries))
    if ran.code is None:
        return fail(name, ran.said, lost)
    missing = ran.stdout.split()
    if not missing:
        return ok(name, f"{', '.join(_LINKS)} work", "Hosts and machines can be connected.")
    found = f"the kernel does not make: {', '.join(missing)}"
    if {"bridge", "veth"}.intersection(missing):
        return fail(name, found, lost, _load(*missing))
    return note(name, found, "Labs work, without networks of these kinds.", _load(*missing))


def _load(*modules: str) -> str:
    """The command that loads kernel modules, or "" if this kernel comes without them."""
    index = read(f"/lib/modules/{os.uname().release}/modules.dep")
    if all(f"/{module}.ko" in index for module in modules):
        return as_root(f"modprobe -a {' '.join(modules)}")
    return ""


_NO_CARDS = "Virtual machines cannot have a network card, so no lesson with a network works."


def tun_file() -> Finding:
    """The device file through which QEMU gets network cards, seen from outside."""
    try:
        os.close(os.open(_TUN, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        return fail(_TUN, "missing", _NO_CARDS, _make_tun())
    except PermissionError:
        return fail(_TUN, "closed to this user", _NO_CARDS, as_root(f"chmod 0666 {_TUN}"))
    except OSError as error:
        return fail(_TUN, f"cannot be opened: {error.strerror}", _NO_CARDS, as_root("modprobe tun"))
    return ok(_TUN, "open to this user", "Virtual machines can have network cards.")


def _make_tun() -> str:
    """The command that brings the device file, with or without its driver."""
    if not Path("/sys/class/misc/tun").exists():
        return as_root("modprobe tun")
    return f"{as_root('mkdir -p /dev/net')} && {as_root(f'mknod -m 0666 {_TUN} c 10 200')}"


def tun() -> Finding:
    """The same, and a network card made inside."""
    finding = tun_file()
    if finding.state is not State.OK or not find_program("ip"):
        return finding
    ran = inside("ip tuntap add probe0 mode tap")
    if ran.ok:
        return finding
    found = f"a tap device cannot be made: {ran.said}"
    return fail(_TUN, found, _NO_CARDS, as_root(f"chmod 0666 {_TUN}"))


_FILTERS = {
    "iptables": "iptables -w -t nat -A POSTROUTING -j MASQUERADE",
    "nft": "nft add table inet probe && nft add chain inet probe c '{ type filter hook input priority 0; }'",
}


def packet_filter() -> Finding:
    """What libvirt makes its networks' rules with."""
    name = "packet filter"
    lost = "libvirt cannot start networks."
    there = [program for program in _FILTERS if find_program(program)]
    if not there:
        return fail(name, "neither iptables nor nft is installed", lost, install("iptables"))
    ran = inside("; ".join(f"{{ {_FILTERS[program]}; }} && echo {program}" for program in there))
    works = ran.stdout.split()
    if works == there:
        return ok(name, f"{' and '.join(works)} work", "Networks can be closed off from outside.")
    broken = " and ".join(program for program in there if program not in works)
    found = f"{broken} cannot set rules: {ran.said}"
    if works:
        return note(name, found, "Labs work. Some firewall lessons do not.", _load("nf_tables"))
    return fail(name, found, lost, _load("nf_tables", "nf_nat"))
