"""What people type."""

from __future__ import annotations

import pytest

from labkit._values import check_name, format_duration, format_size, parse_duration, parse_size
from labkit.errors import InvalidName, InvalidValue


@pytest.mark.parametrize("name", ["a", "0", "web-1", "a" * 31])
def test_good_names_pass(name: str) -> None:
    """A name of small letters, digits and hyphens is taken as it is."""
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "-a", "A", "a_b", "a.b", "a b", "a\n", "a" * 32, "ä", "٣", "x;reboot", "../x", "</name>", None, 3, b"a"],
)
def test_bad_names_are_refused_in_words(name: object) -> None:
    """Any other name is refused with what a name looks like, and is shown in ASCII, shortened."""
    with pytest.raises(InvalidName) as caught:
        check_name(name)
    assert str(caught.value).isprintable() or "\n→" in str(caught.value)
    assert "small letters" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "size"),
    [("128 MiB", 2**27), ("1.5 GiB", 3 * 2**29), ("1GB", 10**9), ("512", 512), (4096, 4096), (" 2 KiB ", 2048)],
)
def test_sizes_are_bytes(text: int | str, size: int) -> None:
    """Words with a unit and plain numbers become bytes."""
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "-1 MiB", "0", 0, -5, "1 mib", "1e9", "nan", True, None, 1.5, "9" * 400])
def test_what_is_no_size_is_refused(text: object) -> None:
    """Nothing, negative numbers and unknown units are refused."""
    with pytest.raises(InvalidValue):
        parse_size(text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "seconds"), [("8 h", 28800), ("90 s", 90), ("1.5 min", 90), (0.5, 0.5), ("200 ms", 0.2)]
)
def test_durations_are_seconds(text: float | str, seconds: float) -> None:
    """Words with a unit and plain numbers become seconds."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "8", "8 hours", 0, -1, "inf", float("inf"), float("nan"), None, True, "99999 d"])
def test_what_is_no_duration_is_refused(text: object) -> None:
    """Nothing, negative, endless and unit-less durations are refused."""
    with pytest.raises(InvalidValue):
        parse_duration(text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "0.999 KiB"), (2**27, "128 MiB"), (1.5 * 2**30, "1.5 GiB"), (2**50, "1.02e+03 TiB")],
)
def test_sizes_are_shown_with_three_digits(size: float, text: str) -> None:
    """A size has at most three significant digits and a binary unit."""
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0123, "12.3 ms"), (1.5, "1.5 s"), (125, "2 min 5 s"), (28800, "8 h"), (300, "5 min")]
)
def test_durations_are_shown_with_units(seconds: float, text: str) -> None:
    """A duration has a unit, or two."""
    assert format_duration(seconds) == text
