"""A dashboard of twelve lines of ten minutes: what an update, and what watching for a while, costs the kernel.

The floor of an update is a bare FigureWidget that gets the same arrays in `batch_update`; both in a real kernel.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
from _table import Limit, Row, interleaved, main
from jupyter_client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

SECONDS = float(os.environ.get("LABKIT_BENCH_SECONDS", "20"))
UPDATES = 600  # ten minutes of them, one after another
MACHINES = (3, 50)  # of four metrics each: the first are twelve lines
SETUP = f"""
import gc, json, os, sys, time
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
import numpy as np, plotly.graph_objects as go, psutil
from IPython.display import display
from labkit.widgets.monitor import Monitor
import _feed
bare = go.FigureWidget([dict(type="scatter", mode="lines", y=[]) for _ in range(12)])
dashboards = {{}}
for count in {MACHINES}:
    feed = _feed.Feed([_feed.machine(number) for number in range(count)], now=20000.0)
    monitor = Monitor(feed)
    display(monitor)
    view = monitor._make_view()
    view._closed.set()  # its thread ends: the bench moves it on
    dashboards[count] = feed, view
rows = np.random.rand(12, 700)
def assign(step):
    with bare.batch_update():
        for number in range(12):
            bare.data[number].y = rows[number, step % 99 : step % 99 + 601]
def update(count):
    feed, view = dashboards[count]
    feed.now += 1
    view._try_to_show(fresh=True, asked=False)
def timed(act, *args, times=20):
    began = time.process_time()
    for step in range(times):
        act(*(args or (step,)))
        time.sleep(0.01)  # for the thread that sends
    return (time.process_time() - began) / times
"""
LIVE = """
live = Monitor(_feed.Feed([_feed.machine(number) for number in range({count})]))
display(live)
"""


class Kernel:
    """A kernel of its own, and what it tells."""

    def __init__(self) -> None:
        self._manager, self._client = start_new_kernel(kernel_name="python3", startup_timeout=120)
        self.process = psutil.Process(self._manager.provisioner.pid)
        self.run(SETUP)

    def run(self, code: str, ask: str = "None") -> Any:
        """Run `code`, and return what the expression `ask` then is."""
        client: BlockingKernelClient = self._client
        wanted = client.execute(code, user_expressions={"asked": f"json.dumps({ask})"}, silent=False)
        reply = client.get_shell_msg(timeout=300)
        while reply["parent_header"].get("msg_id") != wanted:
            reply = client.get_shell_msg(timeout=300)
        content = reply["content"]
        if content["status"] != "ok":
            raise RuntimeError("\n".join(content["traceback"]))
        told = content["user_expressions"]["asked"]["data"]["text/plain"]
        return json.loads(told.strip("'"))

    def heard(self) -> Counter[str]:
        """The messages for the front end since the last time, by kind."""
        kinds: Counter[str] = Counter()
        while True:
            try:
                kinds[self._client.get_iopub_msg(timeout=0.3)["msg_type"]] += 1
            except queue.Empty:
                return kinds

    def load(self, seconds: float) -> float:
        """The part of a processor that it takes while nothing is asked of it."""
        began, before = time.monotonic(), sum(self.process.cpu_times()[:2])
        time.sleep(seconds)
        return (sum(self.process.cpu_times()[:2]) - before) / (time.monotonic() - began)

    def close(self) -> None:
        """End it."""
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)


def watched(kernel: Kernel, count: int, limit: float) -> str:
    """Messages and processor time while a dashboard is live."""
    kernel.run(LIVE.format(count=count))
    time.sleep(3)
    kernel.heard()
    load = kernel.load(SECONDS)
    kinds = kernel.heard()
    kernel.run("live.close()")
    kernel.heard()
    sent, twins = (kinds[kind] / SECONDS for kind in ("comm_msg", "update_display_data"))
    verdict = "ok" if load < limit and sent <= 2.2 else "BROKEN"
    words = f"{load:.2%} of a processor, {sent:.2f} messages/s and {twins:.2f} static pictures/s"
    return f"{count} machines, 4 metrics, 10 min, at 1 Hz: {words} (limit {limit:.0%} and 2: {verdict})"


def memory(kernel: Kernel, count: int) -> str:
    """What ten minutes of updates leave behind in memory."""
    code = f"timed(update, {count}, times=60); gc.collect()\nbefore = psutil.Process().memory_info().rss"
    kernel.run(code)
    kernel.heard()
    grown = 0
    for _ in range(UPDATES // 60):
        grown = kernel.run(f"timed(update, {count}, times=60)", ask="psutil.Process().memory_info().rss - before")
        kernel.heard()
    verdict = "ok" if grown < 8 * 2**20 else "BROKEN"
    return f"{count} machines, {UPDATES} updates: {grown / 2**20:+.1f} MiB (limit 8 MiB: {verdict})"


def rows(n: int) -> list[Row]:
    """The processor time of an update; what it costs to watch is printed."""
    kernel = Kernel()
    try:
        cases = {
            "bare FigureWidget, batch_update": lambda: float(kernel.run("took = timed(assign)", ask="took")),
            **{f"dashboard, {count} machines": lambda count=count: float(
                kernel.run(f"took = timed(update, {count})", ask="took")) for count in MACHINES},
        }  # fmt: skip
        limits = {f"dashboard, {MACHINES[0]} machines": Limit(ratio=2, seconds=0.03)}
        measured = interleaved(cases, n, limits=limits)
        kernel.heard()
        for count, limit in zip(MACHINES, (0.03, 0.06), strict=True):
            print(watched(kernel, count, limit), file=sys.stdout, flush=True)
        for count in MACHINES:
            print(memory(kernel, count), flush=True)
        return measured
    finally:
        kernel.close()


if __name__ == "__main__":
    raise SystemExit(main(rows, "An update of a dashboard, processor time", default_n=5))
