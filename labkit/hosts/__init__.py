"""Hosts: places where machines run."""
