"""Showing something again and again, until interrupted."""

import argparse
import sys
import time
from collections.abc import Callable
from typing import Final

from orderd.ctl.console import Console
from orderd.ctl.durations import duration
from orderd.ctl.errors import WrongUsage

_EVERY_S: Final = 2.0
_HOME_AND_CLEAR: Final = "\x1b[H\x1b[2J"


def add_watch_argument(parser: argparse.ArgumentParser) -> None:
    """Add --watch."""
    parser.add_argument(
        "--watch",
        metavar="DURATION",
        nargs="?",
        type=duration,
        const=_EVERY_S,
        help=f"show it again after each DURATION, until interrupted; default: {_EVERY_S:g}s",
    )


def watched(options: argparse.Namespace, console: Console, show: Callable[[], int]) -> int:
    """Call *show* once, or again and again where --watch was passed; return its exit code."""
    if options.watch is None:
        return show()
    if console.is_json:
        raise WrongUsage("--watch prints again and again: it has no JSON form")
    while True:
        if sys.stdout.isatty():
            console.write(_HOME_AND_CLEAR)
        show()
        console.flush()
        time.sleep(options.watch)
