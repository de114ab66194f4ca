"""The doctor's checks on a server that is to be a host of labs, by ssh.

The checks themselves are the doctor's, and run on the server: their text goes there, to be gone again
afterwards; it needs Python 3.11. On a server with an older one it is only looked which programs are there.
"""

from __future__ import annotations

import base64
import io
import json
import shlex
import subprocess
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import errors
from .._paths import state_home
from .._values import format_size
from ..errors import LabError
from . import _checks_programs as programs
from . import _checks_resources as resources
from . import _ssh_words
from ._checks import SERVER_PACKAGES, Finding, State, fail, note, ok
from ._login import Login
from .acceleration import obstacle
from .doctor import Check, Report, guarded

_MARK = b"\nlabkit has looked: "
_DEADLINE_S = 180
_LEAST_DISK, _ENOUGH_DISK = 2**29, 2**32
_TEXTS = (
    "__init__", "_paths", "_values", "errors", "hosts/__init__", "hosts/_cgroups", "hosts/_checks",
    "hosts/_checks_namespaces", "hosts/_checks_programs", "hosts/_checks_resources", "hosts/_doctor_remote",
    "hosts/_login", "hosts/_ssh_words", "hosts/acceleration", "hosts/doctor",
)  # fmt: skip
# For any Python 3; what it is given is formatted in.
_PROGRAM = """
import base64, json, os, shutil, sys, tempfile
def tell(findings):
    sys.stdout.write({mark!r} + json.dumps(dict(uid=os.environ.get("SUDO_UID", "0"), findings=findings)) + "\\n")
if sys.version_info < (3, 11):
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    tell(dict(old=sys.version.split()[0], there=[name for name in {programs!r} if shutil.which(name, path=path)]))
else:
    with tempfile.TemporaryDirectory(prefix="labkit-doctor-") as folder:
        with open(folder + "/labkit.zip", "wb") as file:
            file.write(base64.b64decode({texts!r}))
        sys.path.insert(0, folder + "/labkit.zip")
        from labkit.hosts._doctor_remote import look
        tell(look({state!r}))
"""
# Programs, and whether labs need them.
_NEEDED = {
    "qemu-system-x86_64": True, "libvirtd": True, "qemu-img": True, "dnsmasq": True, "ip": True,
    "dockerd": False, "lxc-start": False,
}  # fmt: skip


def examine_server(login: Login) -> Report:
    """Look at everything that a lab needs of a server; nothing is left on it."""
    where = f"on {login.target}"
    try:
        told = _ask(login)
    except LabError as error:
        return Report((fail("ssh", error.message, "A lab cannot use this server.", error.hint),), where)
    root = "root" if told["uid"] == "0" else "a user who becomes root by `sudo -n`"
    first = ok("ssh", f"{login.target} lets {root} in", "A lab can use this server.")
    found = told["findings"]
    rest = [_finding(one) for one in found] if isinstance(found, list) else _by_programs(found)
    prefix = "" if told["uid"] == "0" else "sudo "
    fixed = [replace(one, fix=_there(login.target, prefix, one.fix)) if one.fix else one for one in rest]
    return Report((first, *fixed), where)


def _there(target: str, prefix: str, fix: str) -> str:
    """A command for the server as it is typed here; words stay words."""
    runs = fix.startswith(("apt-get ", "modprobe ", "chmod "))
    return f"ssh {target} {shlex.quote(prefix + fix)}" if runs else f"on {target}: {fix}"


def _finding(told: dict[str, Any]) -> Finding:
    return Finding(**{**told, "state": State(told["state"])})


def _ask(login: Login) -> dict[str, Any]:
    """What the server tells; raises what keeps it from telling."""
    program = _program()
    with tempfile.TemporaryDirectory() as folder:
        argv = login.argv(None, Path(folder) / "known_hosts")
        try:
            done = subprocess.run(
                [*argv, _ssh_words.remote_command(len(program))], input=program, capture_output=True, check=False,
                timeout=_DEADLINE_S,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise errors.Unreachable(
                f"{login.target} did not answer within {_DEADLINE_S} s", hint=f"try it by hand: ssh {login.target} true"
            ) from error
    _, mark, answer = done.stdout.partition(_MARK)
    if mark:
        told: dict[str, Any] = json.loads(answer.splitlines()[0])
        return told
    said = done.stderr.decode(errors="replace")
    kind, sentence, hint = _ssh_words.explain(said, login.target, f"the checks on {login.target} have failed")
    raised: type[LabError] = getattr(errors, kind)
    raise raised(sentence, hint=hint)


def _program() -> bytes:
    """The text of the Python program that the server is to run."""
    root, packed = Path(__file__).parents[1], io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name in _TEXTS:
            file.write(root / f"{name}.py", f"labkit/{name}.py")
    texts = base64.b64encode(packed.getvalue()).decode()
    words = {"mark": _MARK.decode(), "programs": list(_NEEDED), "texts": texts, "state": str(state_home())}
    return _PROGRAM.format(**words).encode()


def _by_programs(told: dict[str, Any]) -> list[Finding]:
    """What can be said of a server with an older Python."""
    few = "Labs can use it; the doctor's other checks need Python 3.11."
    findings = [note("python3", f"version {told['old']}", few)]
    for name, needed in _NEEDED.items():
        if name in told["there"]:
            findings.append(ok(name, "is installed", "A lab can use it."))
        else:
            lacking = (fail if needed else note)(
                name,
                "not installed",
                "Machines lack it.",
                f"apt-get install --no-install-recommends {SERVER_PACKAGES[name]}",
            )
            findings.append(lacking)
    return findings


# ── On the server ─────────────────────────────────────────────────────────────────────────────


def look(state: str) -> list[dict[str, Any]]:
    """What is found here, where labs will have their files in `state`."""
    from concurrent.futures import ThreadPoolExecutor
    from dataclasses import asdict
    from functools import partial

    checks: tuple[tuple[str, Check, bool], ...] = (
        ("operating system", resources.system, False),
        ("/dev/kvm", _kvm, True),
        ("QEMU", programs.qemu, False),
        ("libvirt daemon", programs.libvirt_daemon, False),
        ("libvirt drivers", programs.libvirt_drivers, False),
        ("tools", programs.tools, False),
        ("memory", resources.memory, False),
        ("disk", partial(_disk, Path(state)), False),
        ("cgroups", resources.cgroups, True),
        ("Docker", programs.docker, True),
        ("engines", partial(programs.extras, ("tcpdump", "LXC")), True),
        ("CRIU", programs.criu, True),
    )
    with ThreadPoolExecutor(max_workers=6) as pool:
        groups = pool.map(lambda check: guarded(*check), checks)
        return [asdict(finding) for group in groups for finding in group]


def _kvm() -> Finding:
    """Hardware acceleration, as far as it can be seen without an image to boot."""
    if hindrance := obstacle():
        meaning = "Virtual machines run emulated. Everything works, only slower."
        return note("/dev/kvm", hindrance.reason, meaning, hindrance.fix)
    return ok("/dev/kvm", "can be opened", "It is tried when the first machine is made.")


def _disk(state: Path) -> Finding:
    """Room for what labs keep on the server, under the same path as here."""
    free = resources.disk_available(state)
    found = f"{format_size(free)} free for {state}"
    if free < _LEAST_DISK:
        return fail("disk", found, f"Labs need {format_size(_LEAST_DISK)} there. Make room.")
    if free < _ENOUGH_DISK:
        return note("disk", found, "Disks and logs of labs fit. There is not room for much more.")
    return ok("disk", found, "Disks and logs of labs fit.")
