"""In the world of _outside.py: what leaves a lab that was not asked to let anything out. Writes JSON."""

from __future__ import annotations

import json
import shlex
import sys
from typing import Any

from _internet import MACHINE, NAME, RESOLVER, SERVER
from _seen import TRY_S, fetch, frames_until_now, lookup, said, wget

from labkit import Lab

WAIT = str(TRY_S)
TRIES = (
    ["ping", "-c", "2", "-W", WAIT, SERVER], ["ping", "-c", "1", "-W", WAIT, MACHINE],
    wget(SERVER), wget(MACHINE), lookup(NAME), [*lookup(NAME), RESOLVER],
    ["sh", "-c", f"echo hello | timeout {WAIT} nc -u -w 2 {SERVER} 9"],
    ["ping", "-c", "1", "-W", WAIT, "-b", "255.255.255.255"], ["ping", "-c", "1", "-W", WAIT, "224.0.0.1"],
    ["arping", "-c", "1", "-w", WAIT, "-I", "eth0", SERVER],
)  # fmt: skip
OF_HOST = (fetch(SERVER), ["timeout", WAIT, "getent", "hosts", NAME], ["ip", "route", "get", SERVER])


def try_all(machine: Any) -> dict[str, int]:
    """Let a machine try all at once; the exit codes."""
    tries = [f"{{ {shlex.join(argv)} >/dev/null 2>&1; echo CODE {number} $?; }} &" for number, argv in enumerate(TRIES)]
    lines = machine.run(["sh", "-c", "\n".join([*tries, "wait"])], timeout_s=120).stdout.splitlines()
    codes = dict(line.split()[1:] for line in lines if line.startswith("CODE "))
    return {shlex.join(argv): int(codes[str(number)]) for number, argv in enumerate(TRIES)}


def main() -> None:
    name, engines = sys.argv[1], sys.argv[2].split(",")
    seen: dict[str, Any] = {"the machine": said(fetch(SERVER)), "its frames": frames_until_now()}
    with Lab(name, hosts=["alpha"]) as lab:
        alpha = lab["alpha"]
        for mode in ("nat", "isolated"):
            lab.networks.create(mode, mode=mode)
        machines: dict[str, Any] = {"guest": alpha.kvm.create("web", networks=["nat"])} if "kvm" in engines else {}
        if "lxc" in engines:
            machines |= {mode: alpha.lxc.create(f"box-{mode}", networks=[mode]) for mode in ("nat", "isolated")}
        if "docker" in engines:
            machines |= {"container": alpha.docker.create("c-nat", networks=["nat"], ports={8080: 80})}
        seen["tries"] = {which: try_all(machine) for which, machine in machines.items()}
        seen["tries of the host"] = [alpha.run(argv).exit_code for argv in OF_HOST]
        seen["frames"] = frames_until_now()
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
