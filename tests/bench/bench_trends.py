"""What a forecast, changes and a diagnosis cost, against one least-squares fit by statsmodels."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import statsmodels.api as sm
from _table import Row, interleaved, main

from labkit.monitoring import diagnose
from labkit.monitoring.changes import changes
from labkit.monitoring.forecast import forecast
from labkit.monitoring.spec import METRICS

READINGS, MACHINES = 600, 50


def seconds(act: Callable[[], object]) -> float:
    """How long something takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def rows(n: int) -> list[Row]:
    """Seconds each, for ten minutes of readings."""
    random = np.random.default_rng(0)
    times = np.arange(float(READINGS))
    values = 20 + 0.5 * times + random.normal(0, 3, READINGS)
    about = [(f"m{number}", second) for second in times[-60:] for number in range(MACHINES)]
    table = pd.DataFrame(about, columns=["machine", "time_s"]).assign(host="alpha", engine="kvm", identity="1")
    table["time"] = pd.to_datetime(table["time_s"], unit="s", utc=True)
    for name in METRICS:
        table[name] = random.random(len(table))
    return interleaved(
        {
            "statsmodels: one fit of 600 readings": lambda: seconds(sm.OLS(values, sm.add_constant(times)).fit),
            "forecast of 600 readings": lambda: seconds(lambda: forecast(times, values, 400)),
            "changes in 600 readings": lambda: seconds(lambda: changes(times, values)),
            "diagnosis of 50 machines, one minute": lambda: seconds(lambda: diagnose(table)),
        },
        n,
    )


if __name__ == "__main__":
    raise SystemExit(main(rows, "trends"))
