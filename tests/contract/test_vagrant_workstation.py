"""``vagrant up workstation`` in a lab, which has no way out: what it would fetch lies on a disk of the test's.

That disk, the test's only addition, has Debian's packages, those of PyPI and the guest image; apt and pip are told of
it before the provisioning of labkit's begins.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from _lab import lab_of
from _vagrant import FOLDER, needs_vagrant, ssh_to

from labkit.hosts.base import Host
from labkit.hosts.vagrant import VagrantProject
from labkit.storage import images

REPOSITORY = FOLDER.parent
PATIENCE_S = 4800  # all of JupyterLab is installed on an emulated processor
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(2 * PATIENCE_S),
    pytest.mark.xdist_group("vagrant"),
    needs_vagrant,
    pytest.mark.skipif(
        "bookworm" not in Path("/etc/os-release").read_text() or sys.version_info[:2] != (3, 11),
        reason="the packages fetched here must fit the box: this is not Debian 12 with its own Python",
    ),
]
VAGRANTFILE = """
Vagrant.configure("2") do |config|
  config.vm.define "workstation", autostart: false do |machine|
    machine.vm.provider :libvirt do |libvirt|
      ["-drive", "file={disk},format=raw,if=none,id=packages,readonly=on",
       "-device", "virtio-blk-pci,drive=packages,addr=0x1d"].each {{ |word| libvirt.qemuargs value: word }}
    end
    machine.vm.provision "packages", type: "shell", inline: <<-END
      set -eu
      mountpoint -q /srv || mount -o ro /dev/vdb /srv
      rm -rf /etc/apt/sources.list.d/*
      echo 'deb [trusted=yes] file:/srv/debs ./' >/etc/apt/sources.list
      printf '[global]\\nno-index = true\\nfind-links = /srv/wheels\\n' >/etc/pip.conf
      install -d -o vagrant -g vagrant /home/vagrant/.cache /home/vagrant/.cache/labkit
      [ -e /home/vagrant/.cache/labkit/images ] || cp -r /srv/images /home/vagrant/.cache/labkit/
      chown -R vagrant:vagrant /home/vagrant/.cache/labkit
    END
  end
end
load "{original}"
"""

LAB = """
from labkit import Lab
with Lab("inside") as lab:
    web = lab["alpha"].lxc.create("web", memory="64 MiB", timeout_s=600)
    print(web.run(["hostname"], timeout_s=120, check=True).stdout, web.stats().memory_total_bytes)
"""
# What JupyterLab in a browser does with a cell: its code is the standard input, what it prints the output.
CELL = """
import json, sys, urllib.request, uuid, websocket
place, token = sys.argv[1:]
asked = urllib.request.Request(f"http://{place}/api/kernels", b"{}", {"Authorization": f"token {token}"})
kernel = json.load(urllib.request.urlopen(asked, timeout=300))["id"]
line = websocket.create_connection(f"ws://{place}/api/kernels/{kernel}/channels?token={token}", timeout=900)
header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "session": "s", "username": "u", "version": "5.3"}
line.send(json.dumps({"channel": "shell", "header": header, "parent_header": {}, "metadata": {},
                      "content": {"code": sys.stdin.read(), "silent": False}}))
fault = None
awaited = {"reply", "idle"}
while awaited:
    told = json.loads(line.recv())
    if told["parent_header"].get("msg_id") != header["msg_id"]:
        continue
    if told["msg_type"] == "stream" and told["content"]["name"] == "stdout":
        print(told["content"]["text"], end="")
    if told["msg_type"] == "execute_reply":
        fault = "\\n".join(told["content"].get("traceback", [])) or None
        awaited.discard("reply")
    awaited.discard(told["content"].get("execution_state"))
sys.exit(fault)
"""


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The disk with what ``./lab install`` fetches."""
    work = tmp_path_factory.mktemp("packages")
    content = work / "content"
    _fetch_debs(content / "debs", work)
    build = ["hatchling", "editables", "setuptools", "wheel"]  # of labkit and libvirt-python
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "-d", content / "wheels", f"{REPOSITORY}[course]", *build],
        check=True, timeout=900,
    )  # fmt: skip
    image = images.get().folder
    shutil.copytree(image, content / "images" / image.name)
    disk = work / "packages.img"
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", content, disk, "1500M"], check=True)
    shutil.rmtree(content)
    yield disk
    disk.unlink()


def _fetch_debs(folder: Path, work: Path) -> None:
    """An apt repository of all that the script `lab` installs, with what that needs."""
    (folder / "partial").mkdir(parents=True)
    (work / "status").touch()  # as if nothing were installed
    found = re.search(r"^course_packages='([^']*)'", (REPOSITORY / "lab").read_text(), re.MULTILINE)
    assert found
    wanted = [*found[1].split(), "python3-venv", "python3-dev"]
    known = subprocess.run(["apt-cache", "pkgnames"], capture_output=True, text=True, check=True).stdout.split()
    subprocess.run(
        ["apt-get", "-q", "-y", "-o", f"Dir::State::status={work / 'status'}", "-o", f"Dir::Cache::archives={folder}",
         "-o", "APT::Sandbox::User=root", "--no-install-recommends", "--download-only", "install",
         *(set(wanted) & set(known))],
        check=True, capture_output=True, timeout=900,
    )  # fmt: skip
    index = subprocess.run(["dpkg-scanpackages", "-m", "."], cwd=folder, capture_output=True, check=True).stdout
    (folder / "Packages").write_bytes(index)


@pytest.fixture(scope="module")
def carrier() -> Iterator[Host]:
    with lab_of(["carrier"]) as lab:
        yield lab["carrier"]


@pytest.fixture(scope="module")
def project(carrier: Host, packages: Path, tmp_path_factory: pytest.TempPathFactory) -> VagrantProject:
    """The workstation of ``vagrant/``, with the disk."""
    folder = tmp_path_factory.mktemp("vagrant")
    shutil.copy(FOLDER / "hosts.yml", folder)
    (folder / "Vagrantfile").write_text(VAGRANTFILE.format(disk=packages, original=FOLDER / "Vagrantfile"))
    return VagrantProject(folder, carrier)


def test_the_whole_of_labkit(project: VagrantProject, carrier: Host) -> None:
    """JupyterLab answers on a port of the computer, with the token that is told and not without; a lab works in it."""
    config = project.up("workstation", timeout_s=PATIENCE_S)
    ssh = ssh_to(config)
    carrier.run([*ssh, "echo mine > labkit/notebooks/00_start_here.ipynb"], timeout_s=60, check=True)
    said = project.provision("workstation", timeout_s=PATIENCE_S)
    kept = carrier.run([*ssh, "cat labkit/notebooks/00_start_here.ipynb"], timeout_s=60, check=True)
    assert kept.stdout == "mine\n", "what somebody has worked in was overwritten"

    found = re.search(r"(http://127\.0\.0\.1:8888)/lab\?token=(\w{48})", "\n".join(said))
    assert found, said
    assert "00_start_here.ipynb" in fetched(carrier, f"{found[1]}/api/contents?token={found[2]}")
    assert "jupyter-config-data" in fetched(carrier, found[0])
    assert "403" in fetched(carrier, f"{found[1]}/api/contents")

    done = carrier.run([sys.executable, "-c", CELL, "127.0.0.1:8888", found[2]], input=LAB, timeout_s=1200, check=True)
    assert done.stdout.split() == ["web", str(64 * 2**20)]


def fetched(host: Host, address: str) -> str:
    """What a browser on that host is given, or the error."""
    code = """
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=120).read().decode())
except urllib.error.HTTPError as error:
    print(error)
"""
    return host.run(["python3", "-c", code, address], timeout_s=180, check=True).stdout
