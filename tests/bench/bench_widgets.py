"""Widgets: from an engine's event to the changed card in a browser, and what a table of 60 machines costs.

The floor of the first is the change of a plain ipywidget from the same thread to the same page.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))


LAB = "bench-widgets"
SETUP = f"""
from labkit import Lab
import ipywidgets, json, os, threading, time
lab = Lab.attach("{LAB}")
card = lab["alpha"].kvm["m0"].card()
label = ipywidgets.Label("0")
told = {{}}
def hear(change):
    if change.machine and change.machine.name == "m0":
        told[change.machine.state.value] = time.time()
lab.changes.subscribe(hear)
def answer():
    while True:
        if os.path.exists(wish := "wish"):
            os.remove(wish)
            told["label"] = time.time()
            label.value = str(told["label"])
        with open("told.new", "w") as file:
            json.dump(told, file)
        os.replace("told.new", "told.json")
        time.sleep(0.005)
threading.Thread(target=answer, daemon=True).start()
display(card, label)
"""
