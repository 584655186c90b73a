"""Joins metrics of several daemons in Prometheus' text format, in which each stands once."""

from collections.abc import Iterable
from typing import Final

_COMMENTS: Final = ("# HELP ", "# TYPE ")


def joined(texts: Iterable[str]) -> str:
    """Return *texts* as one: the samples of a metric together, behind its help and type."""
    metrics: dict[str, dict[str, None]] = {}
    for text in texts:
        name = ""
        for line in text.splitlines():
            if line.startswith(_COMMENTS):
                name = line.split(" ", 3)[2]
            # Help and type are the same in each text, and no sample is twice in one.
            metrics.setdefault(name, {})[line] = None
    return "".join(f"{line}\n" for lines in metrics.values() for line in _ordered(lines))


def _ordered(lines: Iterable[str]) -> list[str]:
    """Return comments first: another version may word them differently, of which one counts."""
    whole = list(lines)
    comments = [next((each for each in whole if each.startswith(start)), "") for start in _COMMENTS]
    return [*filter(None, comments), *(each for each in whole if not each.startswith(_COMMENTS))]
