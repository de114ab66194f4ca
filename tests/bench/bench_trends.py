"""What a forecast, changes and a diagnosis cost, against one least-squares fit by statsmodels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import statsmodels.api as sm
from _table import Row, interleaved, main

from labkit.monitoring import diagnose
from labkit.monitoring.changes import changes
from labkit.monitoring.forecast import forecast
from labkit.monitoring.spec import METRICS

READINGS, MACHINES = 600, 50


def rows(n: int = 9) -> list[Row]:
    """Seconds each, for ten minutes of readings."""
    random = np.random.default_rng(0)
    times = np.arange(float(READINGS))
    values = 20 + 0.5 * times + random.normal(0, 3, READINGS)
    about = [(f"m{number}", time) for number in range(MACHINES) for time in times[-60:]]
    table = pd.DataFrame(about, columns=["machine", "time_s"]).assign(host="alpha", engine="kvm", identity="1")
    table["time"] = pd.to_datetime(table["time_s"], unit="s", utc=True)
    for name in METRICS:
        table[name] = random.random(len(table))
    return interleaved(
        {
            "statsmodels: one fit of 600 readings": lambda: sm.OLS(values, sm.add_constant(times)).fit() and None,
            "forecast of 600 readings": lambda: forecast(times, values, 400) and None,
            "changes in 600 readings": lambda: changes(times, values) and None,
            "diagnosis of 50 machines, one minute": lambda: diagnose(table.sort_values("time_s")) and None,
        },
        n,
    )


if __name__ == "__main__":
    raise SystemExit(main(rows, "trends"))
