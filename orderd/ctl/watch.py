"""Showing something again and again, until interrupted."""

import argparse
import time
from collections.abc import Callable
from typing import Final

from orderd.ctl.console import Console
from orderd.ctl.durations import duration
from orderd.ctl.errors import Unavailable, WrongUsage
from orderd.ctl.terminal import RED

_EVERY_S: Final = 2.0
_LEAST_S: Final = 0.1


def add_watch_argument(parser: argparse.ArgumentParser) -> None:
    """Add --watch."""
    parser.add_argument(
        "--watch",
        metavar="DURATION",
        nargs="?",
        type=_interval,
        const=_EVERY_S,
        help=f"show it again after each DURATION, until interrupted; default: {_EVERY_S:g}s",
    )


def _interval(value: str) -> float:
    seconds = duration(value)
    if seconds < _LEAST_S:
        raise argparse.ArgumentTypeError(f"must be at least {_LEAST_S:g} s")
    return seconds


def watched(options: argparse.Namespace, console: Console, show: Callable[[], int]) -> int:
    """Call *show* once, or again and again where --watch was passed; return its exit code.

    A server that goes away meanwhile does not end the watch: that is told until it is back.
    """
    if options.watch is None:
        return show()
    if console.is_json:
        raise WrongUsage("--watch prints again and again: it has no JSON form")
    console.new_screen()
    show()
    while True:
        console.flush()
        time.sleep(options.watch)
        console.new_screen()
        try:
            show()
        except Unavailable as failure:
            console.say(str(failure), RED)
