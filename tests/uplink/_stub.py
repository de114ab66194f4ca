"""In the world of _outside.py: names where the machine's resolver is one of its own, on its loopback. Writes JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from _internet import NAME, SERVER
from _seen import PATIENT_S, fetch, frames_until_now, lookup, said

from labkit import Lab


def main() -> None:
    name, engines = sys.argv[1], sys.argv[2].split(",")
    seen: dict[str, Any] = {"the machine": said(fetch(NAME)), "resolver": Path("/etc/resolv.conf").read_text()}
    frames_until_now()
    with Lab(name) as lab:
        alpha = lab["alpha"]
        light = alpha.lxc if "lxc" in engines else alpha.kvm
        lab.networks.create("plain")
        lab.networks.create("out", uplink=True)
        machines: dict[str, Any] = {which: light.create(which, networks=[which]) for which in ("plain", "out")}
        if "docker" in engines:
            alpha.docker.networks.create("own")
            machines["container"] = alpha.docker.create("box", networks=["own"])
        seen["names"] = {
            which: SERVER in machine.run(lookup(NAME, PATIENT_S), timeout_s=60).stdout
            for which, machine in machines.items()
        }
        seen["frames"] = frames_until_now()
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
