"""What containers are connected to: the lab's networks, and Docker's own of one host.

Docker gives a container the gateway of the first of its networks by name. So the network that
ports are published through, ``labkit-host``, sorts before those of the lab, ``labkit-lab1`` and so on:
answers leave by the way that questions came.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from .._changes import What
from .._values import check_name
from ..errors import Busy, InvalidState, LabError, NameInUse, NotFound
from ._docker_api import Api, spoken
from ._docker_recipe import Recipe, check_volume_name

if TYPE_CHECKING:
    from ..networks.network import Network
    from .docker import DockerEngine

_OWN = "labkit.network"  # labels what a user made, with its name
_LAB = "labkit.lab"  # labels all that a lab made, with its identity
HOST_NETWORK = "labkit-host"
_OPTION = "com.docker.network.bridge."
# Docker lets out of each of its networks into every other; who may go where on those of the lab is
# for libvirt to say, whose rules Docker's would forestall.
_JUDGE = """
set -e
iptables -w -C DOCKER-USER -i lab+ -j LABKIT 2>/dev/null && exit
{
    echo '*filter'
    echo ':LABKIT - [0:0]'
    if iptables -w -n -L LIBVIRT_FWX >/dev/null 2>&1; then
        for chain in FWX FWI FWO; do echo "-A LABKIT -j LIBVIRT_$chain"; done
    else # it has a table of its own, which has its say after this one
        echo '-A LABKIT -j ACCEPT'
    fi
    echo '-I DOCKER-USER -i lab+ -j LABKIT'
    echo '-I DOCKER-USER -o lab+ -j LABKIT'
    echo COMMIT
} | iptables-restore -w --noflush
"""
# LABEL: remove the networks that have it and, unless another lab has some, the rules.
_TAKE_BACK = """
docker network ls -q --filter label="$1" | xargs -r docker network rm
docker network ls -q --filter name=labkit-lab | grep -q . && exit
iptables -w -D DOCKER-USER -i lab+ -j LABKIT
iptables -w -D DOCKER-USER -o lab+ -j LABKIT
iptables -w -F LABKIT && iptables -w -X LABKIT
"""


@dataclass(frozen=True, slots=True)
class DockerNetwork:
    """A network of Docker's own, on one host.

    Attributes
    ----------
    name, cidr
        Its name and its IPv4 range.
    internal
        Whether it leads nowhere, not even to the host's other networks.
    """

    name: str
    cidr: str
    internal: bool


class DockerNetworks:
    """Docker's own networks on a host, on which containers know each other's names: ``host.docker.networks``."""

    def __init__(self, docker: DockerEngine) -> None:
        self._docker = docker
        self._host = docker.host
        self._lock = threading.Lock()

    def create(self, name: str, *, internal: bool = False) -> DockerNetwork:
        """Make a network for containers of this host.

        Parameters
        ----------
        name
            Not that of a network of the lab.
        internal
            Let it lead nowhere else.

        Raises
        ------
        InvalidName, NameInUse
        """
        check_name(name, "name of a network")
        if name in self._host.lab.networks or name in ("bridge", "host", "none"):
            raise NameInUse(f"there is a network {name} already", host=self._host.name, hint="choose another name")
        try:
            with spoken(self._host):
                self._docker.api().create_network(
                    name, driver="bridge", check_duplicate=True, internal=internal,
                    labels={_OWN: name} | self._labels(),
                )  # fmt: skip
        except InvalidState as error:
            raise NameInUse(
                f"there is a network {name} already", host=self._host.name, hint=f'host.docker.networks["{name}"]'
            ) from error
        self._host.lab.changes.tell(What.NETWORKS, self._host)
        return self[name]

    def __getitem__(self, name: str) -> DockerNetwork:
        found = next((network for network in self if network.name == name), None)
        if found is None:
            raise NotFound(
                f"there is no network {name!a}, neither in the lab nor in Docker on {self._host.name}",
                host=self._host.name, hint=f'lab.networks.create("{name}"), or host.docker.networks.create("{name}")',
            )  # fmt: skip
        return found

    def __iter__(self) -> Iterator[DockerNetwork]:
        with spoken(self._host):
            told = self._docker.api().networks(filters={"label": _OWN})
        for network in sorted(told, key=lambda network: str(network["Name"])):
            yield DockerNetwork(network["Name"], network["IPAM"]["Config"][0]["Subnet"], network["Internal"])

    def __contains__(self, name: object) -> bool:
        return any(network.name == name for network in self)

    def remove(self, name: str) -> None:
        """Remove a network; `Busy` if containers are on it."""
        on_it = [machine.name for machine in self._docker.machines() if self[name].name in machine.recipe.networks]
        if on_it:
            raise Busy(f"the network {name} has machines: {', '.join(on_it)}", hint="destroy them first")
        with spoken(self._host):
            self._docker.api().remove_network(name)
        self._host.lab.changes.tell(What.NETWORKS, self._host)

    # What containers need

    def know(self, network: Network) -> None:
        """Have Docker know the lab's `network`, by the bridge that it has on this host already."""
        with self._lock:  # of two at the same moment Docker refuses one, for its range overlaps the other's
            self._ensure_known(network)

    def _ensure_known(self, network: Network) -> None:
        name = name_in_docker(network)
        api = self._docker.api()
        known = [one for one in api.networks(names=[name]) if one["Name"] == name]
        if known and known[0]["IPAM"]["Config"][0]["Subnet"] == network.cidr:
            return
        if known:  # a network that was removed had the same bridge
            api.remove_network(name)
        self._host.run(["sh", "-c", _JUDGE], check=True)
        options = {"name": network.bridge, "inhibit_ipv4": "true", "enable_ip_masquerade": "false"}
        # Docker wants a gateway; on a bridge nobody has that address.
        pool = {"Subnet": network.cidr, "Gateway": network.gateway or str(ip_network(network.cidr)[1])}
        self._create(api, name, {"Config": [pool]}, {_OPTION + key: value for key, value in options.items()})

    def ensure_host_network(self) -> str:
        """Have the network that ports are published through; returns its name."""
        api = self._docker.api()
        if not api.networks(names=[f"^{HOST_NETWORK}$"]):
            self._create(api, HOST_NETWORK, None, {})
        return HOST_NETWORK

    def _labels(self) -> dict[str, str]:
        """Labels of a network that is about to be made, by which the lab takes it back at its end."""
        lab = self._host.lab.identity()
        self._host.when_leaving("docker", ["sh", "-c", _TAKE_BACK, "sh", f"{_LAB}={lab}"])
        return {_LAB: lab}

    def _create(self, api: Api, name: str, ipam: Any, options: dict[str, str]) -> None:
        import docker.errors

        labels = self._labels()
        try:
            api.create_network(name, driver="bridge", check_duplicate=True, ipam=ipam, options=options, labels=labels)
        except docker.errors.APIError as error:
            if error.status_code != 409:  # made by somebody else in this moment
                raise

    def endpoints(self, recipe: Recipe) -> dict[str, dict[str, Any]]:
        """What a container is connected to, by Docker's names, and how."""
        names = [recipe.spec.name, *([recipe.service] if recipe.service else [])]
        found: dict[str, dict[str, Any]] = {}
        for card in recipe.spec.interfaces:
            network = name_in_docker(self._host.lab.networks[card.network])
            found[network] = {"IPAMConfig": {"IPv4Address": card.address}, "MacAddress": card.mac, "Aliases": names}
        for name in recipe.networks:
            found[name] = {"Aliases": names}
        if recipe.ports and not recipe.networks:
            # The first: Docker publishes ports on what a container is made with.
            found = {self.ensure_host_network(): {}, **found}
        return found

    def gateways(self, recipe: Recipe) -> list[str]:
        """Who knows names on the networks of the lab that a container is on."""
        found = []
        for card in recipe.spec.interfaces:
            with contextlib.suppress(LabError):
                found.append(self._host.lab.networks[card.network].name_server)
        return [server for server in found if server]


def name_in_docker(network: Network) -> str:
    """What Docker calls a network of the lab."""
    return f"labkit-{network.bridge}"


@dataclass(frozen=True, slots=True)
class DockerVolume:
    """Files of Docker's that outlive containers.

    Attributes
    ----------
    name
        Its name.
    path
        Where they lie on the host.
    """

    name: str
    path: str


class DockerVolumes:
    """Volumes on a host: ``host.docker.volumes``; one that a container asks for is made with it."""

    def __init__(self, docker: DockerEngine) -> None:
        self._docker = docker
        self._host = docker.host

    def create(self, name: str) -> DockerVolume:
        """Make a volume, unless it is there already."""
        check_volume_name(name)
        with spoken(self._host):
            made = self._docker.api().create_volume(name)
        return DockerVolume(name, made["Mountpoint"])

    def __iter__(self) -> Iterator[DockerVolume]:
        with spoken(self._host):
            told = self._docker.api().volumes()["Volumes"] or []
        return iter(sorted((DockerVolume(one["Name"], one["Mountpoint"]) for one in told), key=lambda one: one.name))

    def __contains__(self, name: object) -> bool:
        return any(volume.name == name for volume in self)

    def remove(self, name: str) -> None:
        """Remove a volume and the files in it; `Busy` if a container has it."""
        check_volume_name(name)
        try:
            with spoken(self._host):
                self._docker.api().remove_volume(name)
        except InvalidState as error:
            raise Busy(
                f"the volume {name} is in use", host=self._host.name, hint="destroy its machines first"
            ) from error
