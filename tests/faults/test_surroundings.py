"""The system around a lab is not as it mostly is, or changes while the lab runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from _world import run_apart

from labkit.testing import take_stock

pytestmark = pytest.mark.core

REPLACE = """
import os, sys
with Lab(sys.argv[1], hosts=["alpha", "beta"]) as lab:
    lab["alpha"].kvm.connection()
    for name in ("passwd", "group", "hosts"):
        with open(f"/etc/{name}.new", "w") as file:
            file.write(open(f"/etc/{name}").read() + "# new\\\\n")
        os.rename(f"/etc/{name}.new", f"/etc/{name}")
    lab.add_host("gamma")
    for host in lab:
        print(host.kvm.connection().getHostname())
        print(host.run(["getent", "hosts", "alpha", "beta", "gamma"]).stdout.split()[1::2])
        print(host.run(["getent", "passwd", "libvirt-qemu"]).stdout.split(":")[0])
"""


def test_accounts_are_replaced_while_a_lab_runs(lab_name: str, tmp_path: Path) -> None:
    """When somebody adds a user to the system, which replaces /etc/passwd, hosts keep theirs and their names."""
    copy = f"cp -a /etc '{tmp_path}' 2>/dev/null || true; mount --bind '{tmp_path}/etc' /etc"
    before = take_stock(lab_name)
    lines = run_apart(copy, REPLACE, lab_name)
    names = "['alpha', 'beta', 'gamma']"
    assert lines == [line for host in ("alpha", "beta", "gamma") for line in (host, names, "libvirt-qemu")]
    assert take_stock(lab_name).since(before) == {}


STRICT = """
import sys
with Lab(sys.argv[1]) as lab:
    lab.networks.create("lan")
    web = lab["alpha"].kvm.create("web", networks=["lan"])
    print(web.run(["nslookup", "web.lab"]).stdout.count(web.addresses[0]))
    print(web.run(["udhcpc", "-i", "eth0", "-n", "-q", "-s", "/bin/true"], timeout_s=30).ok)
"""


def test_a_strict_umask(lab_name: str) -> None:
    """A user whose files nobody else may read has machines, DHCP and DNS all the same."""
    before = take_stock(lab_name)
    assert run_apart("umask 077", STRICT, lab_name) == ["1", "True"]
    assert take_stock(lab_name).since(before) == {}
