"""A lab for Prometheus: its last readings as text, and a small server that an existing Prometheus can read."""

from __future__ import annotations

import contextlib
import os
import socketserver
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, generate_latest, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..errors import InvalidValue
from .spec import FIELDS

if TYPE_CHECKING:
    from .metrics import Metrics

_FRESH_S = 5.0
_LABELS = ("lab", "host", "machine", "engine")
_GAUGES = {
    "memory_bytes", "processors", "memory_used_bytes", "memory_cached_bytes", "memory_total_bytes", "disk_used_bytes",
    "disk_total_bytes",
}  # fmt: skip


class LabCollector(Collector):
    """What was last read of a lab, as Prometheus' metrics: ``labkit_cpu_seconds_total`` and so on."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        """The metric families; what is not told is left out, and so is whoever was not read just now."""
        last = {row[1]: row[3] for row in self._metrics.rows(0, time.monotonic() - _FRESH_S)}
        for place, name in enumerate(FIELDS):
            told = [(subject, values[place]) for subject, values in sorted(last.items()) if values[place] is not None]
            if told:
                kind = GaugeMetricFamily if name in _GAUGES else CounterMetricFamily
                family: Any = kind(f"labkit_{name}", name.replace("_", " "), labels=_LABELS)
                for subject, value in told:
                    labels = [self._metrics.lab_name, subject.host, subject.machine, subject.engine]
                    family.add_metric(labels, value)
                yield family


def text(metrics: Metrics) -> str:
    """The last readings in Prometheus' text format; waits for the first."""
    metrics.wait()
    return generate_latest(_registry(metrics)).decode()


def _registry(metrics: Metrics) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(LabCollector(metrics))
    return registry


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Write nothing."""


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, path: str, app: Any) -> None:
        self._app = app
        super().__init__(path, _QuietUnix)
        self.base_environ = {"SERVER_NAME": "localhost", "SERVER_PORT": "0", "SCRIPT_NAME": "", "GATEWAY_INTERFACE": ""}

    def get_app(self) -> Any:
        """What answers (asked by wsgiref)."""
        return self._app


class _QuietUnix(_Quiet):
    def setup(self) -> None:
        self.client_address = ("", 0)  # a Unix socket has none
        super().setup()


class _TcpServer(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Exporter:
    """Serves a lab to Prometheus; made by ``lab.metrics.serve``.

    Attributes
    ----------
    address
        What to enter in Prometheus' ``targets``: ``127.0.0.1:PORT``, or the path of the socket.
    """

    def __init__(self, metrics: Metrics, port: int, path: str | Path) -> None:
        app = make_wsgi_app(_registry(metrics))
        self._path = str(path)
        try:
            if path:
                self._server: Any = _UnixServer(self._path, app)
                self.address = self._path
            else:
                self._server = make_server("127.0.0.1", port, app, _TcpServer, _Quiet)
                self.address = f"127.0.0.1:{self._server.server_port}"
        except (OSError, OverflowError) as error:
            where = self._path or f"port {port}"
            raise InvalidValue(f"nothing can be served on {where}: {error}", hint="choose another") from error
        self._thread = threading.Thread(target=self._server.serve_forever, name="labkit-prometheus", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()
        if self._path:
            with contextlib.suppress(OSError):
                os.unlink(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Exporter on {self.address}>"
