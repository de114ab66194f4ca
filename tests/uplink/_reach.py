"""In the world of _outside.py: who gets out of a lab with a network that leads out, and to where. Writes JSON."""

from __future__ import annotations

import json
import re
import sys
import time
from typing import Any

from _internet import MACHINE, NAME, SERVER
from _seen import PATIENT_S, TRY_S, fetch, frames, frames_until_now, lookup, said, serve, wget

from labkit import Lab
from labkit.errors import LabError
from labkit.networks import _uplink
from labkit.networks._uplink_rules import ROUTES, TABLE

Seen = dict[str, Any]


def main() -> None:
    name, engines = sys.argv[1], sys.argv[2].split(",")
    ports = serve("127.0.0.1"), serve("0.0.0.0")  # what a user may have running
    services = [said(fetch(address, port)) for address, port in zip(("127.0.0.1", MACHINE), ports, strict=True)]
    seen: Seen = {"the machine": said(fetch(SERVER)), "services": services}
    with Lab(name, hosts=["alpha", "beta"]) as lab:
        lab.networks.create("plain")
        lab.networks.create("shut", mode="isolated")
        seen |= opened(lab)
        machines = make(lab, engines)
        seen |= outside(machines)
        seen |= closed(lab, machines, *ports)
        seen |= attached(machines["plain"])
        seen |= without_rules(lab, machines)
        for machine in machines.values():
            machine.destroy()
        seen |= removed(lab)
    print(json.dumps(seen))


def opened(lab: Lab) -> Seen:
    """What opening a way takes, and what is said of it."""
    began = time.monotonic()
    network = lab.networks.create("out", uplink=True)
    opened = time.monotonic()
    _uplink.ensure(lab["alpha"])
    ensured = time.monotonic()
    return {
        "opening_s": opened - began, "ensure_s": ensured - opened, "repr": repr(network),
        "up": _uplink.uplink_is_up(lab["alpha"]),
    }  # fmt: skip


def outside(machines: dict[str, Any]) -> Seen:
    """Who gets a page and a name from outside, and which frames that took."""
    patience = {which: PATIENT_S if "out" in re.split(r"\W+", which) else TRY_S for which in machines}
    patience["container, published and out"] = TRY_S  # see the README: its way is the one of its ports
    guest, amount = machines["out"], 64 << 20
    seen: Seen = {}
    frames()
    seen["fetches"] = {
        which: machine.run(wget(SERVER, timeout_s=patience[which]), timeout_s=60).stdout
        for which, machine in machines.items()
    }
    seen["frames of fetches"] = frames_until_now()
    seen["names"] = {
        which: SERVER in machine.run(lookup(NAME, patience[which]), timeout_s=60).stdout
        for which, machine in machines.items()
    }
    seen["frames of names"] = frames_until_now()
    seen["ping"] = guest.run(["ping", "-c", "1", "-W", str(PATIENT_S), SERVER], timeout_s=60).exit_code
    seen["name of a neighbour"] = guest.run(lookup("far.lab", PATIENT_S), timeout_s=60).stdout
    began = time.monotonic()
    took = guest.run(["sh", "-c", f"wget -q -O - http://{SERVER}/{amount} | wc -c"], timeout_s=120)
    seen["throughput"] = {"bytes": int(took.stdout), "s": time.monotonic() - began}
    return seen


def closed(lab: Lab, machines: dict[str, Any], loopback: int, everywhere: int) -> Seen:
    """What of the machine itself, and of what is nowhere, a guest and the host reach."""
    alpha, gateway = lab["alpha"], lab.networks["out"].gateway
    targets = [
        (MACHINE, everywhere), (_uplink.GATEWAY, loopback), (_uplink.GATEWAY, everywhere), ("127.0.0.1", loopback),
        (_uplink.RESOLVER, loopback), ("169.254.169.254", 80),
    ]  # fmt: skip
    frames()
    seen: Seen = {
        "closed to the guest": [machines["out"].run(wget(*target), timeout_s=60).stdout for target in targets],
        "closed to the host": [alpha.run(fetch(*target)).stdout for target in [*targets, (SERVER, 80)]],
    }
    asked = machines["plain"].run([*lookup(NAME), gateway], timeout_s=60)
    seen["names for the plain guest by the other gateway"] = asked.stdout
    seen["frames of what is closed"] = frames_until_now()
    seen["listening"] = listening({loopback, everywhere})
    return seen


def attached(plain: Any) -> Seen:
    """What a machine gets that is attached live, and detached again."""
    plain.attach("out")
    page = plain.run(wget(SERVER, timeout_s=PATIENT_S), timeout_s=60).stdout
    plain.detach("out")
    return {"attached": page, "detached": plain.run(wget(SERVER), timeout_s=60).stdout}


def removed(lab: Lab) -> Seen:
    """What is left without the network; and a network that cannot lead out."""
    alpha = lab["alpha"]
    lab.networks.remove("out")
    seen: Seen = {"up after removal": _uplink.uplink_is_up(alpha)}
    seen["rules after removal"] = TABLE in alpha.run(["nft", "list", "tables"]).stdout
    seen["routes after removal"] = "".join(
        alpha.run(["ip", kind, "show", "table", ROUTES]).stdout for kind in ("route", "rule")
    )
    try:
        lab.networks.create("bad", mode="isolated", uplink=True)
    except LabError as error:
        seen["isolated"] = type(error).__name__
    return seen


def without_rules(lab: Lab, machines: dict[str, Any]) -> Seen:
    """What happens when somebody flushes the rules of the home host."""
    frames()
    alpha = lab["alpha"]
    alpha.run(["nft", "flush", "ruleset"], check=True)
    others = [which for which in machines if "out" not in re.split(r"\W+", which)]
    seen: Seen = {
        "without rules": [machines[which].run(wget(SERVER), timeout_s=60).stdout for which in others],
        "host without rules": alpha.run(fetch(SERVER)).stdout,
        "names without rules": machines["plain"].run(lookup(NAME), timeout_s=60).stdout,
    }
    seen["frames without rules"] = frames_until_now()
    seen["faults without rules"] = [fault for fault in lab.networks["out"].check() if "rules" in fault]
    _uplink.ensure(alpha)
    seen["faults then"] = [fault for fault in lab.networks["out"].check() if "rules" in fault]
    return seen


def make(lab: Lab, engines: list[str]) -> dict[str, Any]:
    """A machine in each place from which one may try to get out."""
    alpha, beta = lab["alpha"], lab["beta"]
    light = alpha.lxc if "lxc" in engines else alpha.kvm
    machines: dict[str, Any] = {
        "out": (alpha.kvm if "kvm" in engines else light).create("web", networks=["out"]),
        "plain": light.create("plain", networks=["plain"]),
        "shut": light.create("shut", networks=["shut"]),
        "out on the other host": (beta.lxc if "lxc" in engines else beta.kvm).create("far", networks=["out"]),
        "plain on the other host": (beta.lxc if "lxc" in engines else beta.kvm).create("away", networks=["plain"]),
    }
    if "docker" in engines:
        alpha.docker.networks.create("own")
        machines |= {
            "container, out": alpha.docker.create("c-out", networks=["out"]),
            "container, plain": alpha.docker.create("c-plain", networks=["plain"]),
            "container, Docker's own network": alpha.docker.create("c-own", networks=["own"]),
            "container, published": alpha.docker.create("c-port", ports={8080: 80}),
            "container, published and out": alpha.docker.create("c-both", ports={8081: 80}, networks=["out"]),
        }
    return machines


def listening(known: set[int]) -> list[str]:
    """What listens on the machine for connections, but for what this program serves."""
    lines = said(["ss", "-Hltn"]).splitlines()
    ports = [re.split(r"\s+", line)[3] for line in lines]
    return [port for port in ports if int(port.rpartition(":")[2]) not in known]


if __name__ == "__main__":
    main()
