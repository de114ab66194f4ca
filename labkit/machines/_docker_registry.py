"""A small registry inside the lab, through which one host gets the images of another."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from ..errors import DaemonFailed, EngineError
from ..hosts import _libvirtd

if TYPE_CHECKING:
    from ..hosts.base import Host
    from ..lab import Lab

_DAEMON = "registry"
_PROGRAM = "docker-registry"
_PORT = 5000
_START_S = 30
# Asked on the host: the backbone does not reach to where this process is.
_ASK = """
import sys, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
sys.stdout.write(opener.open(sys.argv[1], timeout=10).read().decode())
"""


class Registry:
    """The lab's registry of Docker images: ``lab.registry``.

    It runs on the lab's first host, listens on the backbone only, and starts when it is first used.
    ``host.docker.images.push`` and ``pull`` use it.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab

    @property
    def host(self) -> Host:
        """The host that it runs on."""
        return next(iter(self._lab))

    @property
    def address(self) -> str:
        """Where hosts reach it, such as ``198.18.0.1:5000``."""
        return f"{self.host.address}:{_PORT}"

    def start(self) -> str:
        """Have it run; returns its address once it answers.

        Raises
        ------
        PackageMissing, DaemonFailed
        """
        from ..hosts.doctor import require_program

        host = self.host
        if host.daemon_exit(_DAEMON) is None:
            return self.address
        program = require_program(_PROGRAM, host)
        config = host.folder / "registry.yml"
        host.files.write(config, json.dumps({  # JSON is YAML, too
            "version": 0.1, "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(host.folder / "registry")}, "delete": {"enabled": True}},
            "http": {"addr": self.address},
        }))  # fmt: skip
        log = host.start_daemon(_DAEMON, [program, "serve", str(config)])
        deadline = time.monotonic() + _START_S
        while True:
            try:
                self._ask("/v2/")
                return self.address
            except EngineError as error:
                code = host.daemon_exit(_DAEMON)
                if code is not None or time.monotonic() > deadline:
                    what = f"did not answer within {_START_S} s" if code is None else f"ended with exit code {code}"
                    raise self._failure(what, log) from error
                time.sleep(0.02)

    def _failure(self, what: str, log: Any) -> DaemonFailed:
        return _libvirtd.failure(what, log, self.host.name, "the lab's registry", self.host.files)

    def images(self) -> list[str]:
        """The images that it has, such as ``web`` or ``web:2``."""
        self.start()
        found = []
        for name in json.loads(self._ask("/v2/_catalog?n=1000"))["repositories"]:
            tags = json.loads(self._ask(f"/v2/{name}/tags/list"))["tags"] or ()
            found += [name if tag == "latest" else f"{name}:{tag}" for tag in tags]
        return sorted(found)

    def _ask(self, path: str) -> str:
        done = self.host.run([*self.host.python, "-I", "-S", "-c", _ASK, f"http://{self.address}{path}"])
        if not done.ok:
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise EngineError(f"the lab's registry does not answer: {last}", host=self.host.name)
        return done.stdout

    def __repr__(self) -> str:
        return f"<Registry on {self.host.name}: {self.address}>"
