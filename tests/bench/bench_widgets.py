"""Widgets: from an engine's event to the changed card in a browser, and what a table of 60 machines costs.

The floor of the first is a plain ipywidgets Label that the notebook sets in the thread of the same event.
"""

from __future__ import annotations

import os
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
from _table import Limit, Row, interleaved, main

from labkit import Lab
from labkit._changes import Change
from labkit.machines.base import Machine

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))

from _jupyter import notebook_in_browser

MACHINES = 60
SECONDS = 20.0
ATTACH = """
import os, pathlib
from labkit import Lab
lab = Lab.attach("{name}")
pathlib.Path("pid").write_text(str(os.getpid()))
"""
CELL = f"""{ATTACH}
import ipywidgets
label = ipywidgets.Label("floor")
def hear(change):
    if change.machine and change.machine.name == "m0" and change.machine.activity is None:
        label.value = "floor " + str(change.machine.state)
lab.changes.subscribe(hear)
display(label, lab["alpha"].kvm["m0"].card())
"""
# When each of the two said a state for the first time, in milliseconds since 1970.
OBSERVE = """() => {
  window.seen = {};
  const look = () => {
    const now = Date.now();
    for (const el of document.querySelectorAll('.lk-box[role=group], .widget-label')) {
      const label = el.classList.contains('widget-label');
      const said = label ? el.textContent.replace('floor ', '') : el.getAttribute('aria-label').split(', ')[1];
      window.seen[`${label ? 'label' : 'card'} ${said}`] ??= now;
    }
  };
  const all = { subtree: true, childList: true, characterData: true, attributes: true };
  new MutationObserver(look).observe(document.body, all);
}"""


def latency(lab: Lab, machine: Machine, n: int) -> list[Row]:
    """From the moment in which libvirt tells this process, too, to the changed page."""
    told: dict[str, float] = {}

    def hear(change: Change) -> None:
        if change.machine is machine and machine.activity is None:
            told.setdefault(machine.state.value, time.time() * 1000)

    lab.changes.subscribe(hear)
    with notebook_in_browser([CELL.format(name=lab.name)]) as (page, _):
        page.evaluate(OBSERVE)
        domain = machine.domain()  # type: ignore[attr-defined]
        taken: dict[str, float] = {}

        def change() -> float:
            """Suspend or resume, as the turn is; what the label took is the floor."""
            now = "paused" if machine.refresh().value == "running" else "running"
            told.clear()
            page.evaluate("() => { window.seen = {}; }")
            time.sleep(0.6)  # not in the pause after an update before
            (domain.suspend if now == "paused" else domain.resume)()
            page.wait_for_function(f"() => window.seen['card {now}'] && window.seen['label {now}']", polling=20)
            seen = page.evaluate("() => window.seen")
            taken["card"] = (seen[f"card {now}"] - told[now]) / 1000
            return float(seen[f"label {now}"] - told[now]) / 1000

        limits = {"card": Limit(seconds=0.2)}
        return interleaved({"plain label": change, "card": lambda: taken["card"]}, n, limits=limits)


def cost(lab: Lab, machines: list[Machine]) -> list[str]:
    """Messages and the kernel's processor time of a table of all machines, idle and busy."""
    cells = [f"{ATTACH.format(name=lab.name)}\nlab"]
    with notebook_in_browser(cells) as (page, folder):
        page.locator("tr.lk-row").nth(len(machines) - 1).wait_for()
        kernel = psutil.Process(int((folder / "pid").read_text()))
        frames: list[int] = []
        client = page.context.new_cdp_session(page)
        client.send("Network.enable")
        client.on("Network.webSocketFrameReceived", lambda frame: frames.append(len(str(frame))))

        def measure(kind: str, messages: float) -> str:
            page.wait_for_timeout(4000)
            frames.clear()
            began, before = time.monotonic(), sum(kernel.cpu_times()[:2])
            page.wait_for_timeout(1000 * SECONDS)
            took = time.monotonic() - began
            rate, load = len(frames) / took, (sum(kernel.cpu_times()[:2]) - before) / took
            verdict = "ok" if rate < messages and load < 0.02 else "BROKEN"
            limit = f"under {messages:g} and 2 %"
            said = f"{rate:.2f} messages/s, {load:.2%} of a processor ({limit}: {verdict})"
            return f"table of {len(machines)} {kind} machines: {said}"

        idle = measure("idle", 1)
        with busy(machines):
            return [idle, measure("busy", 5)]


@contextmanager
def busy(machines: list[Machine]) -> Iterator[None]:
    """While in this context one machine after another is paused and goes on, twenty changes a second."""
    ended = threading.Event()

    def work() -> None:
        domains = [machine.domain() for machine in machines]  # type: ignore[attr-defined]
        while not ended.is_set():
            for domain in domains:
                domain.suspend()
                ended.wait(0.05)
                domain.resume()
                ended.wait(0.05)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def rows(n: int) -> list[Row]:
    """The latency; the costs are printed."""
    count = int(os.environ.get("LABKIT_BENCH_MACHINES", MACHINES))
    with Lab(f"bench-{secrets.token_hex(3)}") as lab:
        kvm = lab["alpha"].kvm
        first = kvm.create("m0", memory="96 MiB")
        measured = latency(lab, first, n)
        with ThreadPoolExecutor(2) as pool:
            others = list(pool.map(lambda k: kvm.create(f"m{k}", memory="96 MiB"), range(1, count)))
        print("\n".join(cost(lab, [first, *others])))
        return measured


if __name__ == "__main__":
    raise SystemExit(main(rows, "From libvirt's event to the browser", default_n=15))
