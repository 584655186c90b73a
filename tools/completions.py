"""The scripts that complete command lines of orderctl, by shtab from its parser."""

import argparse
from collections.abc import Mapping
from typing import Final

import shtab

from tools import parsers

SHELLS: Final = ("bash", "zsh", "fish")


def scripts() -> Mapping[str, str]:
    """Return the text of each script by the name of its shell."""
    parser = parsers.orderctl()
    for one in (parser, *parsers.below(parser)):
        _mark_files(one)
    return {shell: shtab.complete(parser, shell=shell).rstrip("\n") + "\n" for shell in SHELLS}


def _mark_files(parser: argparse.ArgumentParser) -> None:
    """Have file names completed where an option takes one."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
        if action.metavar == "FILE":
            action.complete = shtab.FILE  # type: ignore[attr-defined]
