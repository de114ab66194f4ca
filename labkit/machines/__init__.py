"""Machines: one protocol, an engine for each kind."""
