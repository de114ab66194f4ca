"""A Xen host copied from its template, against a boot of the same appliance."""

from __future__ import annotations

import secrets
import tempfile
from dataclasses import replace
from pathlib import Path

from _table import Limit, Row, interleaved, main

from labkit import Lab, Xen
from labkit.hosts import _xen_template
from labkit.hosts._xen_qemu import Machine
from labkit.hosts.xen import XenHost
from labkit.storage import xen as appliances

WITHIN_S = 900.0  # on a machine with other work


def rows(n: int) -> list[Row]:
    """A copy must be there, by ssh and libvirt, in a third of the time in which libvirt answers after a boot."""
    with Lab(f"bench-{secrets.token_hex(3)}", hosts=["carrier"]) as lab:

        def copied() -> None:
            host = lab.add_host("xena", provider="xen")
            assert isinstance(host, XenHost)
            host.start_libvirt()

        def removed() -> None:
            host = lab["xena"]
            assert isinstance(host, XenHost)
            host.destroy()

        def booted() -> None:
            nowhere = Path()
            kind = Machine(
                appliances.get(),
                Xen("x").size,
                False,
                nowhere,
                nowhere,
                nowhere,
                True,
                nowhere,
                "raw",
                "xen-bench",
                False,
            )
            with tempfile.TemporaryDirectory(dir=lab.sockets) as folder:
                place = Path(folder)
                _xen_template.make_disk(place / "disk.img")
                machine = replace(kind, folder=place, sockets=place, memory=place / "memory", disk=place / "disk.img")
                with (
                    _xen_template.running(lab["carrier"], machine, place / "log"),
                    _xen_template.dom0_of(machine, "boot", WITHIN_S) as dom0,
                ):
                    _xen_template.try_libvirt(dom0)

        return interleaved({"boot": booted, "copy": copied, "destroy": removed}, n, limits={"copy": Limit(ratio=1 / 3)})


if __name__ == "__main__":
    raise SystemExit(main(rows, "A Xen host, emulated", default_n=3))
