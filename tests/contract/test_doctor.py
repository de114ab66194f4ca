"""The doctor against real machines that lack things.

Each machine is this one in private namespaces, with what lacks taken away in them: /etc, /dev and
/usr/bin are layers, so that nothing outside is touched and a killed test leaves nothing.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="root is needed to take things away")

USER, UID = "labkit-doctor-test", 54321
CHMOD_TUN = "chmod 0666 /dev/net/tun"

STAGE = f"""
set -e
exec 2>&1
mount -t tmpfs tmpfs /mnt
layer() {{
    mkdir -p "/mnt/$1/upper" "/mnt/$1/work"
    mount -t overlay -o "lowerdir=/$1,upperdir=/mnt/$1/upper,workdir=/mnt/$1/work" overlay "/$1"
}}
for folder in etc dev usr/bin usr/sbin; do layer $folder; done
for folder in home tmp; do mount -t tmpfs -o mode=1777 tmpfs /$folder; done
mkdir -p /dev/net /dev/shm
rm -f /dev/net/tun /dev/kvm /.dockerenv
mknod -m 0666 /dev/net/tun c 10 200
mkdir -m 0700 /tmp/labkit-0
useradd -m -s /bin/bash -u {UID} {USER}
export LC_ALL=C.UTF-8 HOME=/root LABKIT_CACHE=/tmp/cache LABKIT_STATE=/tmp/state
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LABKIT_PROGRESS=off
unset XDG_RUNTIME_DIR XDG_CACHE_HOME XDG_STATE_HOME LABKIT_RUNTIME
as_user() {{
    runuser -u {USER} -- env -u LABKIT_CACHE -u LABKIT_STATE HOME=/home/{USER} PATH=/usr/bin:/bin "$@"
}}
"""
NAMED = """
import json, time
from labkit.hosts.doctor import *
began = time.monotonic()
report = examine()
print("REPORT" + json.dumps({"seconds": time.monotonic() - began, **json.loads(report.to_json())}))
"""


def python(code: str) -> str:
    """The shell words that run Python code."""
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}"


def stage(script: str) -> str:
    """What a shell script writes on the stage; it must succeed."""
    argv = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    done = subprocess.run([*argv, "sh", "-c", STAGE + script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Seen:
    """A report that came off the stage."""

    def __init__(self, text: str) -> None:
        report: dict[str, Any] = json.loads(text)
        self.can_start: bool = report["can_start"]
        self.seconds: float = report["seconds"]
        self.findings: dict[str, dict[str, str]] = {one["name"]: one for one in report["findings"]}

    def __getitem__(self, name: str) -> dict[str, str]:
        return self.findings[name]

    def failed(self) -> set[str]:
        return {name for name, one in self.findings.items() if one["state"] == "fail"}


def examine(arrange: str = "", *, user: bool = True, fix: str = "") -> list[Seen]:
    """The doctor's reports after `arrange`, then again after the command `fix` was run by root."""
    look = ("as_user " if user else "") + python(NAMED)
    # What the user types with sudo, root types here.
    again = f'sudo() {{ "$@"; }}; {fix}\n{look}' if fix else ""
    out = stage(f"{arrange}\n{look}\n{again}")
    reports = [line.removeprefix("REPORT") for line in out.splitlines() if line.startswith("REPORT")]
    assert reports, out
    return [Seen(report) for report in reports]


# ── A machine that has all ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("user", [True, False], ids=["user", "root"])
def test_a_complete_machine(user: bool) -> None:
    """Where nothing lacks a lab can start, and that is known within 2 s."""
    (seen,) = examine(user=user)
    assert seen.can_start, seen.findings
    assert seen.seconds < 2
    for name in ("namespaces", "mounts", "overlayfs", "network devices", "/dev/net/tun", "QEMU"):
        assert seen[name]["state"] == "ok", seen[name]
    assert all(one["found"] and one["meaning"] for one in seen.findings.values())


def test_a_user_has_a_full_map() -> None:
    """For an ordinary user the doctor says how many user numbers a lab has."""
    (seen,) = examine()
    assert f"made as {USER}, with 65536 user numbers" in seen["namespaces"]["found"]


@pytest.mark.parametrize("user", [True, False], ids=["user", "root"])
def test_nothing_is_left(user: bool) -> None:
    """After an examination processes, links, mounts, cgroups and files are what they were."""
    look = ("as_user " if user else "") + python(NAMED)
    # The first makes labkit's own folders.
    out = stage(f"""
        stock() {{
            ps -eo args --no-headers > /mnt/processes; grep -v '^ps ' /mnt/processes | sort
            ip -o link
            cat /proc/self/mounts
            find /sys/fs/cgroup -name 'labkit-doctor*'
            find /tmp /home | sort
        }}
        {look} >/dev/null
        stock > /mnt/before
        {look} >/dev/null; {look} >/dev/null
        stock > /mnt/after
        diff /mnt/before /mnt/after && echo same
    """)
    assert out.endswith("same\n"), out


# ── Namespaces ────────────────────────────────────────────────────────────────────────────────

# Runs the rest as a script in a user namespace that maps all numbers to themselves.
NESTED = """
mkfifo /mnt/go
unshare --user sh -c 'read go < /mnt/go; exec sh /mnt/rest' & child=$!
while [ "$(readlink /proc/$child/ns/user)" = "$(readlink /proc/self/ns/user)" ]; do sleep 0.01; done
echo '0 0 4294967295' > /proc/$child/gid_map; echo '0 0 4294967295' > /proc/$child/uid_map
echo > /mnt/go
wait $child
"""


def nested(limit: str) -> str:
    """The report of a user in a user namespace where `limit` is 0: no other one is touched."""
    rest = f"""echo 0 > /proc/sys/{limit.replace(".", "/")}
        exec runuser -u {USER} -- env -u LABKIT_CACHE -u LABKIT_STATE HOME=/home/{USER} {python(NAMED)}"""
    out = stage(f"cat > /mnt/rest <<'END'\n{rest}\nEND\n{NESTED}")
    return next(line for line in out.splitlines() if line.startswith("REPORT"))


@pytest.mark.parametrize("kind", ["user", "net", "pid"])
def test_namespaces_forbidden_by_a_limit(kind: str) -> None:
    """A limit of 0 is named, with the command that raises it, and no lab can start."""
    limit = f"user.max_{kind}_namespaces"
    seen = Seen(nested(limit).removeprefix("REPORT"))
    assert not seen.can_start
    assert seen["namespaces"]["found"] == f"{limit} is 0"
    assert seen["namespaces"]["fix"] == f"sudo sysctl -w {limit}=15000"
    assert "mounts" not in seen.findings


def test_no_subordinate_numbers() -> None:
    """Without lines in /etc/subuid and /etc/subgid the doctor's command makes them."""
    # Others' lines: what is proposed must not touch them, in neither file.
    arrange = """
        printf 'ann:100000:65536\\n' > /etc/subuid
        printf 'ann:100000:65536\\nbob:165536:65536\\n' > /etc/subgid
    """
    (seen,) = examine(arrange)
    finding = seen["namespaces"]
    assert finding["state"] == "fail"
    assert finding["found"] == f"no line for {USER} in /etc/subuid and /etc/subgid"
    assert finding["fix"] == (f"sudo usermod --add-subuids 165536-231071 --add-subgids 231072-296607 {USER}")
    _, after = examine(arrange, fix=finding["fix"])
    assert after.can_start, after.findings


def test_no_subordinate_group_numbers() -> None:
    """Where only /etc/subgid lacks a line, only that is added."""
    arrange = ": > /etc/subgid"
    (seen,) = examine(arrange)
    assert seen["namespaces"]["fix"] == f"sudo usermod --add-subgids 100000-165535 {USER}"
    _, after = examine(arrange, fix=seen["namespaces"]["fix"])
    assert after.can_start, after.findings


def test_few_subordinate_numbers() -> None:
    """Fewer than 65536 numbers are a note: a lab starts, images may not fit."""
    arrange = f"echo {USER}:100000:1000 | tee /etc/subuid > /etc/subgid"
    (seen,) = examine(arrange)
    assert seen["namespaces"]["state"] == "note"
    assert "with 1000 user numbers" in seen["namespaces"]["found"]
    assert seen.can_start


def test_newuidmap_missing() -> None:
    """Without newuidmap the doctor names the package that brings it."""
    (seen,) = examine("rm /usr/bin/newuidmap")
    assert seen["namespaces"]["found"] == "newuidmap is not installed"
    assert seen["namespaces"]["fix"].endswith("apt-get install --no-install-recommends uidmap")


def test_newuidmap_without_privilege() -> None:
    """A newuidmap that has lost its setuid bit is told from a missing line."""
    (seen,) = examine("chmod u-s /usr/bin/newuidmap")
    assert seen["namespaces"]["found"] == "newuidmap has lost its privilege"
    assert not seen.can_start


def test_no_new_privileges() -> None:
    """A session with no-new-privileges is told as such."""
    (seen,) = examine("as_user() { runuser -u " + USER + " -- env -u LABKIT_CACHE -u LABKIT_STATE "
                      f'HOME=/home/{USER} setpriv --no-new-privs "$@"; }}')  # fmt: skip
    assert seen["namespaces"]["found"] == "this process was started with no-new-privileges"


@pytest.mark.parametrize(
    ("switch", "closed", "fixed"),
    [
        ("kernel.unprivileged_userns_clone", 0, 1),
        ("kernel.apparmor_restrict_unprivileged_userns", 1, 0),
    ],
)
def test_namespaces_switched_off(switch: str, closed: int, fixed: int) -> None:
    """A distribution's switch is named with the command that turns it for good."""
    # This kernel has neither: the file is put there, and `unshare` says what it says with them.
    code = (
        "from labkit.hosts.doctor import explain_namespaces\n"
        "raise explain_namespaces('unshare: unshare failed: Operation not permitted')"
    )
    folder = "/proc/sys/kernel"
    out = stage(f"""
        mount -t tmpfs tmpfs {folder}; echo {closed} > /proc/sys/{switch.replace(".", "/")}
        as_user {python(code)} || true
    """)
    assert f"{switch} is {closed}" in out
    assert f"→ echo {switch}={fixed} | sudo tee -a /etc/sysctl.d/60-labkit.conf && sudo sysctl" in out


def test_root_of_a_container() -> None:
    """Root without CAP_SYS_ADMIN learns that its container may not make namespaces."""
    out = stage(f"setpriv --bounding-set -sys_admin --inh-caps -sys_admin {python(NAMED)}")
    seen = Seen(next(line for line in out.splitlines() if line.startswith("REPORT"))[6:])
    assert seen["namespaces"]["found"] == "root has no CAP_SYS_ADMIN here"
    assert not seen.can_start


def test_proc_hidden_by_a_container() -> None:
    """Where a container masks parts of /proc, a user cannot mount one: no lab can start."""
    (seen,) = examine("mount -t tmpfs tmpfs /proc/sys/fs; mount -t tmpfs tmpfs /proc/acpi || true")
    assert seen["namespaces"]["state"] == "ok"
    assert seen["mounts"]["state"] == "fail"
    assert "systempaths=unconfined" in seen["mounts"]["meaning"]


# ── Devices ───────────────────────────────────────────────────────────────────────────────────


def test_tun_closed() -> None:
    """A /dev/net/tun that only root may open is a failure for a user; one command opens it."""
    arrange = "chmod 0600 /dev/net/tun"
    (seen,) = examine(arrange)
    assert seen.failed() == {"/dev/net/tun"}
    assert seen["/dev/net/tun"]["fix"] == f"sudo {CHMOD_TUN}"
    _, after = examine(arrange, fix=seen["/dev/net/tun"]["fix"])
    assert after.can_start, after.findings


@pytest.mark.parametrize("user", [True, False], ids=["user", "root"])
def test_tun_missing(user: bool) -> None:
    """A missing /dev/net/tun is a failure; one command brings it back."""
    arrange = "rm -r /dev/net"
    (seen,) = examine(arrange, user=user)
    assert seen.failed() == {"/dev/net/tun"}
    assert seen["/dev/net/tun"]["found"] == "missing"
    _, after = examine(arrange, user=user, fix=seen["/dev/net/tun"]["fix"])
    assert after.can_start, after.findings


def test_require_tun() -> None:
    """The lab gets a typed error with the doctor's words, within milliseconds."""
    code = """
import time
from labkit.errors import DeviceMissing
from labkit.hosts.doctor import require_tun
began = time.monotonic()
try:
    require_tun()
except DeviceMissing as error:
    print(error, time.monotonic() - began < 0.5)
"""
    out = stage(f"as_user {python(code)}; chmod 0600 /dev/net/tun; as_user {python(code)}")
    assert "/dev/net/tun: closed to this user" in out
    assert f"→ sudo {CHMOD_TUN} True" in out


# ── Programs ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("program", "name", "package"),
    [
        ("/usr/bin/qemu-system-x86_64", "QEMU", "qemu-system-x86"),
        ("/usr/bin/qemu-img", "qemu-img", "qemu-utils"),
        ("/usr/bin/mmdebstrap", "mmdebstrap", "mmdebstrap"),
        ("/usr/sbin/libvirtd", "libvirt daemon", "libvirt-daemon libvirt-daemon-driver-qemu"),
        ("/usr/sbin/dnsmasq", "dnsmasq", "dnsmasq-base"),
    ],
)
def test_program_missing(program: str, name: str, package: str) -> None:
    """A missing program is a failure that names the package, for the lab too."""
    code = f"from labkit.hosts.doctor import require_program\nrequire_program({os.path.basename(program)!r})"
    out = stage(f"rm {program}\nas_user {python(NAMED)}\nas_user {python(code)} || true")
    seen = Seen(next(line for line in out.splitlines() if line.startswith("REPORT"))[6:])
    command = f"apt-get install --no-install-recommends {package}"
    assert seen.failed() == {name}
    assert seen[name]["fix"] == f"sudo {command}"
    assert "PackageMissing" in out
    assert f"→ sudo {command}" in out


def test_engines_that_are_missing_are_no_failure() -> None:
    """Docker, LXC, Vagrant and CRIU are told where they lack; labs start without them."""
    gone = "bin/lxc-start bin/vagrant sbin/dockerd sbin/criu sbin/lxc-start local/sbin/criu local/bin/criu"
    (seen,) = examine(f"cd /usr; rm -f {gone}")
    assert seen.can_start
    for name in ("Docker", "LXC", "Vagrant", "CRIU"):
        assert seen[name]["state"] == "note"
        assert "apt-get install" in seen[name]["fix"]


def test_system_folders_are_searched() -> None:
    """Programs in /usr/sbin are found by a user whose PATH lacks it."""
    (seen,) = examine()
    assert seen["libvirt daemon"]["found"].startswith("/usr/sbin/libvirtd, version ")


# ── Memory and folders ────────────────────────────────────────────────────────────────────────


def test_small_disk() -> None:
    """A state folder without room is a failure, and the lab's own question is answered alike."""
    code = """
from labkit.hosts.doctor import require_disk
require_disk("/tmp/state/disks/of/a/lab", 1000)
require_disk("/tmp/state/disks/of/a/lab", 64 * 2**20)
"""
    out = stage(f"""
        mkdir -p /tmp/state; mount -t tmpfs -o size=16m,mode=700 tmpfs /tmp/state
        {python(NAMED)}
        {python(code)} || true
    """)
    seen = Seen(next(line for line in out.splitlines() if line.startswith("REPORT"))[6:])
    assert seen.failed() == {"state folder"}
    assert "(tmpfs), 16 MiB free" in seen["state folder"]["found"]
    assert "NotEnoughDisk: 64 MiB are needed in" in out


def test_state_folder_that_carries_no_programs() -> None:
    """A state folder mounted noexec cannot hold machines."""
    (seen,) = examine("mkdir -p /tmp/state; mount -t tmpfs -o noexec,mode=700 tmpfs /tmp/state", user=False)
    assert seen.failed() == {"state folder"}
    assert "LABKIT_STATE" in seen["state folder"]["fix"]


def test_leftovers_of_a_killed_doctor() -> None:
    """What a killed doctor left in the state folder, owners and all, the next one removes."""
    out = stage(f"""
        left=/home/{USER}/.local/state/labkit/.doctor-left
        as_user mkdir -p -m 0700 $left; chmod 700 ${{left%/*}}
        mkdir $left/folder; touch $left/folder/file
        first() {{ sed -n 's/^{USER}:\\([0-9]*\\):.*/\\1/p' "$1"; }}
        chown -R "$(first /etc/subuid):$(first /etc/subgid)" $left/folder
        touch -d '2 min ago' $left
        as_user {python(NAMED)} > /dev/null; ls -A ${{left%/*}}
    """)
    assert out == "", out


def test_long_runtime_folder() -> None:
    """A runtime folder in which sockets would not fit is a failure."""
    (seen,) = examine(f"export LABKIT_RUNTIME=/home/{USER}/{'long' * 15}")
    assert seen.failed() == {"runtime folder"}
    assert seen["runtime folder"]["fix"] == f"export LABKIT_RUNTIME=/tmp/labkit-{UID}"


def test_memory_of_the_machine() -> None:
    """More memory than there is raises a typed error with both amounts, within milliseconds."""
    from labkit.errors import NotEnoughMemory
    from labkit.hosts.doctor import require_memory

    began = time.monotonic()
    require_memory(2**20)
    assert time.monotonic() - began < 0.5
    with pytest.raises(NotEnoughMemory, match="1.02e.03 TiB of memory are needed|1 PiB|1024 TiB"):
        require_memory(2**50)


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A cgroup with 300 MiB of memory."""
    own = next(
        (line.split(":")[2] for line in Path("/proc/self/cgroup").read_text().splitlines()
         if line.split(":")[1] == "memory"), None,
    )  # fmt: skip
    folder = Path(f"/sys/fs/cgroup/memory{own}/labkit-doctor-test-{os.getpid()}")
    if own is None or not os.access(folder.parent, os.W_OK):
        pytest.skip("no memory cgroup of version 1 to write to")
    folder.mkdir()
    try:
        (folder / "memory.limit_in_bytes").write_text(str(300 * 2**20))
        yield folder
    finally:
        deadline = time.monotonic() + 5
        while (folder / "cgroup.procs").read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
        folder.rmdir()


def test_memory_of_a_cgroup(small_group: Path) -> None:
    """A limit of the cgroup that labkit runs in counts like the machine's own memory."""
    # 0 is the process that writes: its number outside the stage's PID namespace is another.
    (seen,) = examine(f"echo 0 > {small_group}/cgroup.procs", user=False)
    assert seen.failed() == {"memory"}
    assert float(seen["memory"]["found"].split()[0]) <= 300


# ── Acceleration ──────────────────────────────────────────────────────────────────────────────

# A stand-in for the image where QEMU itself is one.
PROBE = """
import time
from pathlib import Path
from types import SimpleNamespace
from labkit.hosts import acceleration as room
room._SILENCE_S, room._DEADLINE_S = 0.5, 2.0
image = SimpleNamespace(kernel=Path("/etc/hostname"), initrd=Path("/etc/hostname"), digest="0" * 64)
def probe(**options):
    began = time.monotonic()
    answer = room.acceleration(image=image, **options)
    return answer, time.monotonic() - began
"""
SHOW = "\nanswer, seconds = probe()\nprint(answer.kind, '|', answer.reason, '|', answer.fix)"
KVM = "mknod -m 0666 /dev/kvm c 10 232\n"


def stub(script: str) -> str:
    """The shell words that put a script in the place of QEMU."""
    return f"cat > /usr/bin/qemu-system-x86_64 <<'END'\n#!/bin/sh\n{script}\nEND\n"


def test_no_kvm_device() -> None:
    """Without /dev/kvm guests run on TCG and no guest is booted to know."""
    out = stage(f"as_user {python(PROBE + SHOW)}")
    assert out.startswith("tcg | there is no /dev/kvm")


def test_kvm_closed() -> None:
    """A /dev/kvm that this user may not open is told with the command that opens it."""
    out = stage(f"{KVM} chmod 0600 /dev/kvm; as_user {python(PROBE + SHOW)}")
    assert out == "tcg | /dev/kvm is there, but closed to this user | sudo chmod 0666 /dev/kvm\n"


def test_kvm_open_to_a_group_only() -> None:
    """A /dev/kvm that is open through a group does not serve a lab without root, which keeps none."""
    out = stage(f"""{KVM}
        groupadd --system virt; usermod -aG virt {USER}
        chgrp virt /dev/kvm; chmod 0660 /dev/kvm
        as_user sh -c ': <> /dev/kvm && echo open'
        as_user {python(PROBE + SHOW)}
    """)
    assert out.startswith("open\ntcg | /dev/kvm is there, but open only to a group")
    assert out.endswith("| sudo chmod 0666 /dev/kvm\n")


@pytest.mark.parametrize("who", ["as_user", ""], ids=["user", "root"])
def test_qemu_gives_up(who: str) -> None:
    """When QEMU refuses, its own message is quoted and kept."""
    out = stage(f"""{KVM}
        cp /usr/bin/qemu-system-x86_64 /usr/bin/real-qemu
        {stub('exec real-qemu "$@" -chardev nonsense')}
        {who} {python(PROBE + SHOW)}
    """)
    assert out.startswith("tcg | /dev/kvm is there, but QEMU gives up on it: ")
    assert "nonsense" in out


def test_guest_hangs() -> None:
    """A guest that does not come up is ended, its last words are quoted, nothing is left."""
    code = PROBE + SHOW + "\nprint(seconds < 3)"
    qemu = stub(r"printf 'Linux \033[1mversion\nCPU stuck\r\n'; exec sleep 61.5")
    out = stage(f"""{KVM} {qemu}
        as_user {python(code)}; pgrep -x sleep || echo none left
    """)
    assert "a guest on it was not up after 2 s; its console ends with: CPU stuck |" in out
    assert out.endswith("True\nnone left\n")


def test_answer_is_kept() -> None:
    """A guest is booted once, even if udev touches the device; later answers take under 5 ms, unless asked afresh."""
    code = f"""{PROBE}
import statistics, sys
probe()
print("first", Path("/tmp/boots").read_text().count("boot"))
print("slow" if statistics.median(probe()[1] for _ in range(9)) > 0.005 else "fast")
print("heavy" if "libvirt" in sys.modules else "light")
probe(fresh=True)
print("fresh", Path("/tmp/boots").read_text().count("boot"))
image.digest = "1" * 64
probe()
print("other", Path("/tmp/boots").read_text().count("boot"))
Path("/tmp/cache/acceleration.json").write_text("[broken")
print("broken", probe()[0].kind, Path("/tmp/boots").read_text().count("boot"))
"""
    qemu = stub("echo boot >> /tmp/boots; touch -c /dev/kvm; echo LABKIT-PROBE-OK")
    out = stage(f"{KVM} {qemu} {python(code)}")
    assert out.split("\n") == ["first 1", "fast", "light", "fresh 2", "other 3", "broken kvm 4", ""]


def test_several_at_once() -> None:
    """Of four that ask at once one boots a guest; all get its answer."""
    qemu = stub("echo boot >> /tmp/boots; sleep 0.5; echo LABKIT-PROBE-OK")
    one = python(PROBE + "room._SILENCE_S = 2.0" + SHOW)
    out = stage(f"{KVM} {qemu} for n in 1 2 3 4; do {one} & done; wait; cat /tmp/boots")
    lines = sorted(out.split("\n"))
    assert lines.count("boot") == 1
    assert len({line for line in lines if line.startswith("kvm | KVM works (booted in ")}) == 1
    assert len(lines) == 6


@pytest.mark.parametrize("who", ["as_user", ""], ids=["user", "root"])
def test_killed_while_trying(who: str) -> None:
    """QEMU does not outlive a labkit that is killed while it tries KVM."""
    code = PROBE + "room._SILENCE_S = room._DEADLINE_S = 50.0" + SHOW
    out = stage(f"""{KVM} {stub("exec sleep 62.5")}
        {who} {python(code)} & sleep 0.1
        until pid=$(pgrep -fx 'sleep 62.5'); do sleep 0.02; done
        kill -9 $(ps -o ppid= -p $pid)
        for n in $(seq 50); do [ -d /proc/$pid/cwd ] || break; sleep 0.02; done
        [ -e /proc/$pid/exe ] && echo left || echo gone
    """)
    assert out.endswith("gone\n"), out


def test_a_real_guest_boots() -> None:
    """The guest of the image says that it is up; here on TCG, in the place of KVM."""
    from labkit.storage import images

    image = images.find("small")
    if image is None:
        pytest.skip("the image small is not built")
    code = f"""{PROBE}
room._SILENCE_S, room._DEADLINE_S = 20.0, 30.0
image.kernel, image.initrd = Path("/mnt/kernel"), Path("/mnt/initrd")
{SHOW}"""
    swap = """for word; do shift; case $word in
        q35,accel=kvm) word=q35,accel=tcg ;; host) word=max ;; esac; set -- "$@" "$word"; done
        exec /usr/bin/real-qemu "$@" """
    out = stage(f"""{KVM}
        cp {image.kernel} /mnt/kernel; cp {image.initrd} /mnt/initrd
        cp /usr/bin/qemu-system-x86_64 /usr/bin/real-qemu
        {stub(swap)}
        {python(code)}
    """)
    assert out.startswith("kvm | KVM works (booted in "), out


# ── How long it takes ─────────────────────────────────────────────────────────────────────────


def test_requirements_are_fast() -> None:
    """What is asked before each start takes under 20 ms when all is well."""
    code = """
import time
from labkit.hosts.doctor import *
asks = (require_tun, lambda: require_program("qemu-img"), lambda: require_memory(1),
        lambda: require_disk("/tmp", 1))
for ask in asks:
    began = time.monotonic()
    ask()
    print(time.monotonic() - began)
"""
    times = [float(line) for line in stage(f"as_user {python(code)}").split()]
    assert len(times) == 4
    assert max(times) < 0.02


def test_killed_doctor_leaves_nothing() -> None:
    """A doctor that is killed at any moment leaves no process, link or mount behind."""
    code = "from labkit.hosts.doctor import *; print(1, flush=True); [examine() for _ in range(20)]"
    argv = [sys.executable, "-c", code]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        found = subprocess.run(["pgrep", "-f", "labkit-docto[r] "], capture_output=True, check=False)
        if found.returncode:
            return
        time.sleep(0.05)
    pytest.fail(found.stdout.decode())
