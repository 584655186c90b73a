"""Durations as arguments of orderctl."""

import argparse

from orderd.config.durations import parse_duration


def duration(value: str) -> float:
    """Return the seconds that *value*, an argument, says."""
    try:
        return parse_duration(value)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
