"""The thresholds of `orderctl status --warn` and `--crit`, and what exceeds them."""

import argparse
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import IntEnum
from typing import Any, Final

from orderd.config.durations import format_duration, parse_duration
from orderd.ctl.errors import WrongUsage
from orderd.protocol.values import value

MESSAGES: Final = "messages"
AGE: Final = "age"
DEAD_LETTERS: Final = "dead_letters"
NAMES: Final = (MESSAGES, AGE, DEAD_LETTERS)
_EXAMPLE: Final = "for example messages=1000,age=60s,dead_letters=10"

# None is a figure that could not be found out.
Figures = Mapping[str, float | None]
Limits = Mapping[str, float]


class Level(IntEnum):
    """How bad a figure is; the numbers are the exit codes that Nagios knows."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@value
class Judged:
    """A figure that has a threshold: how bad it is, and why in words."""

    name: str
    figure: float | None
    level: Level
    summary: str
    warn: float | None
    crit: float | None

    def document(self) -> dict[str, Any]:
        """Return it as JSON members."""
        return {
            "level": self.level.name.lower(),
            "summary": self.summary,
            "value": _exact(self.figure),
            "warn": _exact(self.warn),
            "crit": _exact(self.crit),
        }


def add_threshold_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --warn and --crit."""
    parser.add_argument(
        "--warn",
        metavar="LIMITS",
        default="",
        help=f"warn if a figure is higher, {_EXAMPLE}; a number alone is messages",
    )
    parser.add_argument(
        "--crit", metavar="LIMITS", default="", help="the same, for what is critical"
    )


def limits_of(option: str, text: str) -> Limits:
    """Return the limits that *text*, the value of *option*, sets; raises WrongUsage."""
    limits: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        name, separator, number = part.partition("=")
        if not separator:
            name, number = MESSAGES, part
        if name not in NAMES:
            raise WrongUsage(f"{option}: {name}: not one of {', '.join(NAMES)}; {_EXAMPLE}")
        if name in limits:
            raise WrongUsage(f"{option}: {name} stands twice")
        limits[name] = _number(option, name, number)
    return limits


def judged(figures: Figures, warn: Limits, crit: Limits) -> Sequence[Judged]:
    """Return each figure that has a limit; raises WrongUsage for limits in the wrong order."""
    for name in NAMES:
        if name in warn and name in crit and warn[name] > crit[name]:
            raise WrongUsage(f"--warn {name} is above --crit {name}")
    return [
        _judge(name, figures.get(name), warn.get(name), crit.get(name))
        for name in NAMES
        if name in warn or name in crit
    ]


def _judge(name: str, figure: float | None, warn: float | None, crit: float | None) -> Judged:
    if figure is None:
        summary = f"{_WORDS[name]}: unknown"
        return Judged(name, figure, Level.UNKNOWN, summary, warn, crit)
    level, limit = Level.OK, None
    for candidate, bound in ((Level.WARNING, warn), (Level.CRITICAL, crit)):
        if bound is not None and figure > bound:
            level, limit = candidate, bound
    beyond = "" if limit is None else f", over {_shown(name, limit)}"
    return Judged(
        name, figure, level, f"{_WORDS[name]}: {_shown(name, figure)}{beyond}", warn, crit
    )


_WORDS: Final = {
    MESSAGES: "commands ready",
    AGE: "age of the oldest waiting command",
    DEAD_LETTERS: "dead letters",
}


def _shown(name: str, number: float) -> str:
    if name != AGE:
        return f"{number:.0f}"
    return format_duration(number) if number == int(number) and number else f"{number:.1f} s"


def _exact(number: float | None) -> Decimal | None:
    return None if number is None else Decimal(f"{number:.1f}".removesuffix(".0"))


def _number(option: str, name: str, text: str) -> float:
    if name == AGE:
        try:
            return parse_duration(text)
        except ValueError as error:
            raise WrongUsage(f"{option}: {name}: {error}") from None
    if not (text.isascii() and text.isdecimal()):
        raise WrongUsage(f"{option}: {name}: must be a whole number, not {text!r}")
    return float(text)
