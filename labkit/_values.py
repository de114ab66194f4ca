"""What people type, checked and turned into numbers and safe names."""

from __future__ import annotations

import re

from .errors import InvalidName, InvalidValue

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}", re.ASCII)
_SIZE = re.compile(r"\s*(\d{1,19}(?:\.\d{1,9})?)\s*([KMGT]i?B|B)?\s*", re.ASCII)
_UNIT = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
         "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}  # fmt: skip


def check_name(name: object, what: str = "name") -> str:
    """Return `name` if it can be the name of a lab, host, machine, network or image.

    Raises
    ------
    InvalidName
        If it is not 1 to 31 of ``a-z 0-9 -``, beginning with a letter or digit.
    """
    if isinstance(name, str) and _NAME.fullmatch(name):
        return name
    shown = ascii(name) if len(ascii(name)) <= 60 else ascii(name)[:57] + "…"
    raise InvalidName(
        f"{shown} cannot be a {what}",
        hint="use 1 to 31 small letters, digits and hyphens, beginning with a letter or digit",
    )


def parse_size(value: int | str, what: str = "size") -> int:
    """Bytes from a number of bytes or from words such as ``"128 MiB"`` or ``"1.5 GB"``.

    Raises
    ------
    InvalidValue
        If it is not a positive size with a known unit.
    """
    size = 0
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    elif isinstance(value, str) and (match := _SIZE.fullmatch(value)):
        size = int(float(match[1]) * _UNIT[match[2] or "B"])
    if not 0 < size < 2**60:
        raise InvalidValue(
            f"{ascii(value)[:60]} is not a {what}",
            hint='give a number of bytes or words such as "128 MiB" or "1.5 GiB"',
        )
    return size


def format_size(size_bytes: float) -> str:
    """At most three significant digits and a binary unit: ``1.5 GiB``."""
    amount, unit = float(size_bytes), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if amount < 999.5 or unit == "TiB":
            break
        amount /= 1024
    return f"{amount:.3g} {unit}"


def format_limit(size_bytes: float) -> str:
    """As `format_size`; of 0 bytes, that there is no limit."""
    return format_size(size_bytes) if size_bytes else "no limit"


def check_cpus(cpus: float | None) -> float | None:
    """A limit of processor time, in processors."""
    if cpus is None:
        return None
    if isinstance(cpus, bool) or not isinstance(cpus, int | float) or not 0.01 <= cpus <= 1000:
        raise InvalidValue(f"{cpus!r} is not a limit in processors", hint="0.5 is half a processor; None lifts it")
    return float(cpus)


def format_count(number: int, word: str) -> str:
    """``1 machine``, ``2 machines``."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def format_duration(seconds: float) -> str:
    """At most three significant digits and a unit: ``12.3 ms``, ``1.5 s``, ``2 min 5 s``, ``10 min``."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 99.95:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [(hours, "h"), (minutes, "min")] if hours else [(minutes, "min"), (rest, "s")]
    return " ".join(f"{count} {unit}" for count, unit in parts if count)


_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min|h|d)\s*", re.ASCII)
_SECONDS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}


def parse_duration(value: float | str, what: str = "duration") -> float:
    """Seconds from a number of seconds or from words such as ``"8 h"`` or ``"90 min"``.

    Raises
    ------
    InvalidValue
        If it is not positive or at most ten years.
    """
    seconds = 0.0
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        seconds = float(match[1]) * _SECONDS[match[2]]
    if not 0 < seconds <= 3.2e8:
        raise InvalidValue(
            f"{ascii(value)[:60]} is not a {what}",
            hint='give seconds or words such as "90 s", "30 min" or "8 h"',
        )
    return seconds


_RATE = re.compile(r"\s*(\d{1,12}(?:\.\d{1,9})?)\s*([kMG]?)bit(?:/s|ps)?\s*", re.ASCII)
_RATE_UNIT = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}
_LEAST_RATE, _MOST_RATE = 8_000, 10**12


def parse_rate(value: float | str, what: str = "rate") -> int:
    """Bits per second from a number of them or from words such as ``"10 Mbit/s"``.

    Raises
    ------
    InvalidValue
        If it is not from 8 kbit/s to 1 Tbit/s.
    """
    rate = 0.0
    if isinstance(value, int | float) and not isinstance(value, bool):
        rate = float(value)
    elif isinstance(value, str) and (match := _RATE.fullmatch(value)):
        rate = float(match[1]) * _RATE_UNIT[match[2]]
    if not _LEAST_RATE <= rate <= _MOST_RATE:
        raise InvalidValue(
            f"{ascii(value)[:60]} is not a {what}",
            hint='give bits per second or words such as "10 Mbit/s", 8 kbit/s or more',
        )
    return round(rate)


def format_rate(bits_per_second: float) -> str:
    """At most three significant digits and a unit: ``94.1 Mbit/s``."""
    amount, unit = float(bits_per_second), ""
    for unit in ("", "k", "M", "G"):
        if amount < 999.5 or unit == "G":
            break
        amount /= 1000
    return f"{amount:.3g} {unit}bit/s"
