"""libvirt's modular daemons, on a Debian 13 that has no libvirtd.

Debian's packages bring the drivers, but of the daemons libvirtd alone. The modular ones are built
here from the source of the same package, seven files each, and linked with the package's library.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from _fresh import Fresh, folder

from labkit.storage import images

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("fresh"),
    pytest.mark.skipif(os.geteuid() != 0, reason="a fresh machine can only be made and entered by root"),
    pytest.mark.skipif(not shutil.which("mmdebstrap"), reason="mmdebstrap is not installed: ./lab install brings it"),
]

PACKAGES = (
    "libvirt-daemon-driver-qemu,libvirt-daemon-driver-network,libvirt-clients,qemu-system-x86,qemu-utils,"
    "python3-libvirt,python3-filelock,python3-jinja2,python3-rich,dnsmasq-base,iproute2,iptables,nftables,"
    "openssh-client,uidmap,procps,mount,"
    # to build the daemons
    "gcc,libc6-dev,meson,ninja-build,pkgconf,libglib2.0-dev,libgnutls28-dev,libxml2-dev,libxml2-utils,xsltproc,"
    "libtirpc-dev,libjson-c-dev,libnl-3-dev,libnl-route-3-dev,dpkg-dev,python3-docutils"
)
BUILD = r"""
set -eu
sed 's/^deb /deb-src /' /etc/apt/sources.list >/etc/apt/sources.list.d/sources.list
apt-get update -qq
mkdir /build && cd /build
# A mirror may lack the signature and the description, which are not needed: apt checks the rest by its own lists.
apt-get source -qq --download-only "libvirt=$(dpkg-query -W -f '${source:Version}' libvirt0)" || true
tar -xf libvirt_*.orig.tar.xz && cd libvirt-*/
meson setup build --prefix=/usr --sysconfdir=/etc --localstatedir=/var --libdir=lib/x86_64-linux-gnu \
    -Drunstatedir=/run -Dauto_features=disabled -Dsystem=true -Ddriver_remote=enabled -Ddriver_libvirtd=enabled \
    -Ddriver_qemu=enabled -Ddriver_network=enabled -Djson_c=enabled -Dlibnl=enabled
admin=src/admin/libvirt_admin_driver.a.p
for daemon in virtqemud virtnetworkd; do
    ninja -C build -t targets all | sed -n "s#^\(src/$daemon\.p/.*\.o\|$admin/.*\.o\): .*#\1#p" | xargs ninja -C build
    gcc -o "/usr/sbin/$daemon" build/src/$daemon.p/*.o build/$admin/*.o -Wl,--no-as-needed \
        -l:libvirt.so.0 -l:libvirt-qemu.so.0 -l:libvirt-lxc.so.0 $(pkg-config --libs gio-2.0 libtirpc gnutls)
done
rm /usr/sbin/libvirtd
"""
PROGRAM = """
import json, time
from labkit import Lab
from labkit.hosts.doctor import examine
from labkit.testing import settle, take_stock

def daemons(host):
    words = host.run(["ps", "-e", "-o", "comm="]).stdout.split()
    return sorted(word for word in words if word.startswith(("virt", "libvirt")))

told, before = {}, take_stock("demo")
told["doctor"] = {one.name: one.found for one in examine().findings if one.name.startswith("libvirt")}
with Lab("demo", hosts=["alpha", "beta"]) as lab:
    lab.networks.create("lan")
    web = lab["alpha"].kvm.create("web", networks=["lan"])
    far = lab["beta"].kvm.create("far", networks=["lan"], instant=False)
    told["ping"] = web.run(["ping", "-c", "1", "-W", "5", "far"]).exit_code
    told["daemons"] = {host.name: daemons(host) for host in lab}
    web.pause(); told["paused"] = web.refresh()
    web.resume(); told["running"] = web.refresh()
    told["networks"] = lab["alpha"].kvm.connection().listNetworks()
    for machine in lab.machines():
        machine.destroy()
    lab.networks.remove("lan")
    told["networks after"] = lab["alpha"].kvm.connection().listNetworks()
told["left"] = settle("demo", before)
print(json.dumps(told))
"""


@pytest.fixture
def trixie() -> Iterator[Fresh]:
    """A Debian 13 without libvirtd, with the guest image."""
    source = images.get("small").folder
    with folder() as path:
        machine = Fresh.debian("trixie", path / "trixie", PACKAGES)
        target = machine.root / "root/.cache/labkit/images" / source.name
        target.mkdir(parents=True)
        for place in (target.parent.parent, target.parent):
            place.chmod(0o700)
        for part in source.iterdir():
            subprocess.run(["cp", "--sparse=always", "--preserve=mode,timestamps", part, target], check=True)
        machine.run(BUILD)
        yield machine


def test_a_lab_on_modular_daemons(trixie: Fresh) -> None:
    """Where there is no libvirtd a lab's hosts run virtqemud and virtnetworkd, and all is as elsewhere."""
    assert not (trixie.root / "usr/sbin/libvirtd").exists()
    (trixie.checkout / "program.py").write_text(PROGRAM)
    output = trixie.run(
        "mkdir -p /dev/net && mknod -m 666 /dev/net/tun c 10 200\n"
        "LABKIT_PROGRESS=off PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=. exec python3 program.py"
    )
    told: dict[str, Any] = json.loads(output.splitlines()[-1])
    assert told["daemons"] == {name: ["virtnetworkd", "virtqemud"] for name in ("alpha", "beta")}
    assert told["ping"] == 0
    assert (told["paused"], told["running"]) == ("paused", "running")
    assert (told["networks"], told["networks after"]) == (["lan"], [])
    assert "virtqemud" in told["doctor"]["libvirt daemon"]
    assert told["left"] == {}
