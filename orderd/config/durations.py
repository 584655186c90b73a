"""Durations as people write them: "500ms", "5s", "2min", "1h", "90d"."""

import re

_UNIT_MS = {"d": 86_400_000, "h": 3_600_000, "min": 60_000, "s": 1_000, "ms": 1}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|min|h|d|)", re.ASCII)


def parse_duration(text: str) -> float:
    """Return seconds, to the millisecond; a bare number means seconds. Raises ValueError."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            "a duration is a number of seconds or a text such as 500ms, 5s, 2min, 1h, 90d"
        )
    number, unit = match.groups()
    return round(float(number) * _UNIT_MS[unit or "s"] / 1_000, 3)


def format_duration(seconds: float) -> str:
    """Return the shortest exact text in one unit: "5s", "5min", "1h", "90s", "1500ms", "90d"."""
    whole_ms = round(seconds * 1_000)
    if whole_ms == 0:
        return "0s"
    fitting = [unit for unit, unit_ms in _UNIT_MS.items() if whole_ms % unit_ms == 0]
    # A single day is 24h, as the names of retry queues have it.
    unit = fitting[whole_ms == _UNIT_MS["d"]]
    return f"{whole_ms // _UNIT_MS[unit]}{unit}"
