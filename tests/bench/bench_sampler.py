"""Reading a hundred virtual machines and fifty containers: what it costs, against other ways to do it."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import libvirt
from _table import Limit, Row, interleaved, main

from labkit import Lab
from labkit.hosts.base import Host
from labkit.lab import watching
from labkit.machines._kvm_machine import STATS
from labkit.monitoring._sampler import Sampler

DOMAINS, CONTAINERS = 100, 50
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_XML = """
<domain type="qemu"><name>m{number}</name><memory unit="MiB">16</memory><vcpu>1</vcpu>
<os><type arch="x86_64" machine="q35">hvm</type></os><features><acpi/></features>
<devices><disk type="file" device="disk"><driver name="qemu" type="raw"/><source file="{disk}"/>
<target dev="vda" bus="virtio"/></disk>
<interface type="network"><source network="lan"/><model type="virtio"/></interface>
<memballoon model="virtio"><stats period="2"/></memballoon></devices></domain>
"""


def paused_domains(host: Host, folder: Path) -> None:
    """A hundred small domains that are started and stand still."""
    connection = host.kvm.connection()

    def start(number: int) -> None:
        disk = folder / f"{number}.raw"
        disk.write_bytes(bytes(1 << 20))
        connection.createXML(_XML.format(number=number, disk=disk), libvirt.VIR_DOMAIN_START_PAUSED)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(start, range(DOMAINS)))


def cpu_of(pid: int) -> float:
    """The processor time of a process and of its children that ended."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, words[11:15])) * _TICK_S


def daemon(host: Host, name: str) -> int:
    """The process id of a daemon of the host, as it is seen from here: the host's first process is its parent."""
    with host._channel() as channel:
        first = channel.peer_pid()
    for pid in Path(f"/proc/{first}/task/{first}/children").read_text().split():
        if Path(f"/proc/{pid}/comm").read_text().strip() == name:
            return int(pid)
    raise LookupError(name)


def used(act: Callable[[], object]) -> float:
    """The processor time of this process for something."""
    began = time.process_time()
    act()
    return time.process_time() - began


def domains(n: int) -> list[Row]:
    """Processor time of a reading of all domains, of who asks; libvirtd's own is not counted."""
    with Lab(f"bench-{secrets.token_hex(3)}") as lab, tempfile.TemporaryDirectory(dir=lab.folder) as folder, watching():
        host = lab["alpha"]
        lab.networks.create("lan")
        paused_domains(host, Path(folder))
        connection = libvirt.open(f"qemu+unix:///system?socket={host.sockets / 'libvirt.sock'}")
        sampler = Sampler(lab)
        sampler._look_around()
        ticks: list[float] = []

        def one_by_one() -> None:
            for domain in connection.listAllDomains():
                domain.info()
                domain.memoryStats()
                domain.blockStatsFlags("vda")
                domain.interfaceStats(_link(domain))

        def tick() -> None:
            began = time.perf_counter()
            sampler.read_once(time.monotonic())
            ticks.append(time.perf_counter() - began)

        def bare() -> float:
            began = time.perf_counter()
            connection.getAllDomainStats(STATS, libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT)
            return time.perf_counter() - began

        def virsh() -> float:
            before = os.times()
            uri = f"qemu+unix:///system?socket={host.sockets / 'libvirt.sock'}"
            subprocess.run(["virsh", "-c", uri, "domstats", "--nowait"], check=True, stdout=subprocess.DEVNULL)
            after = os.times()
            return after.children_user + after.children_system - before.children_user - before.children_system

        tick()  # what it connects to, and starts
        reader = _meter_pid(host)
        virt, asked, began, mine = daemon(host, "libvirtd"), cpu_of(reader), time.monotonic(), time.process_time()
        theirs = cpu_of(virt)
        ticks.clear()
        rounds = max(30, 40 * n)  # long enough that each has been asked again
        for number in range(rounds):
            time.sleep(max(0.0, began + number - time.monotonic()))
            tick()
        seconds = time.monotonic() - began
        cost = (time.process_time() - mine + cpu_of(reader) - asked) / seconds
        libvirtd = (cpu_of(virt) - theirs) / seconds
        calls = sorted(bare() for _ in range(5))
        late = sorted(ticks)[min(len(ticks) - 1, int(0.99 * len(ticks)))]
        print(
            f"{DOMAINS} domains at 1 Hz for {seconds:.0f} s: {100 * cost:.2f} % of a processor in the sampler (limit "
            f"1 %), {100 * libvirtd:.1f} % in libvirtd; a tick takes "
            f"{1000 * sorted(ticks)[len(ticks) // 2]:.1f} ms, 99 % at most {1000 * late:.1f} ms (limit 50 ms); "
            f"libvirt's call by itself takes {1000 * calls[2]:.1f} ms"
        )
        return interleaved(
            {
                "domains: one by one": lambda: used(one_by_one),
                "domains: a tick of the sampler": lambda: used(tick),
                "domains: virsh domstats": virsh,
            },
            max(3, n),
            limits={"domains: a tick of the sampler": Limit(ratio=1 / 20)},
        )


def _link(domain: libvirt.virDomain) -> str:
    """The host's end of its network card."""
    found = ElementTree.fromstring(domain.XMLDesc()).find("devices/interface/target")
    return "" if found is None else found.get("dev", "")


def _meter_pid(host: Host) -> int:
    with host._channel() as channel:
        first = channel.peer_pid()
    for pid in Path(f"/proc/{first}/task/{first}/children").read_text().split():
        if b"_meter.py" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return int(pid)
    raise LookupError("_meter.py")


def containers(n: int) -> list[Row]:
    """Processor time of a reading of all containers, of who asks and of the daemon that answers."""
    with Lab(f"bench-{secrets.token_hex(3)}") as lab, watching():
        host = lab["alpha"]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda number: host.docker.create(f"c{number}"), range(CONTAINERS)))
        host.docker.samples()
        dockerd, reader = daemon(host, "dockerd"), _meter_pid(host)

        def ours() -> float:
            before = cpu_of(dockerd) + cpu_of(reader)
            return used(lambda: [host.docker.samples() for _ in range(10)]) / 10 + (
                cpu_of(dockerd) + cpu_of(reader) - before) / 10  # fmt: skip

        def stats() -> float:
            before, theirs = os.times(), cpu_of(dockerd)
            words = ["docker", "-H", f"unix://{host.sockets / 'docker.sock'}", "stats", "--no-stream"]
            subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
            after = os.times()
            own = after.children_user + after.children_system - before.children_user - before.children_system
            return own + cpu_of(dockerd) - theirs

        return interleaved(
            {"containers: docker stats": stats, "containers: labkit": ours}, max(3, n),
            limits={"containers: labkit": Limit(ratio=1)},
        )  # fmt: skip


def rows(n: int) -> list[Row]:
    """Seconds of a processor for each reading."""
    return domains(n) + (containers(n) if shutil.which("docker") else [])


if __name__ == "__main__":
    raise SystemExit(main(rows, "readings, seconds of a processor"))
