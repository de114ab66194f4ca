"""Seeing what machines do: readings, plots, bottlenecks, trends and alerts."""

from .spec import METRICS, Metric, Subject

__all__ = ["METRICS", "Metric", "Subject"]
