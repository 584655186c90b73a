"""The scripts that complete command lines of orderctl, by shtab from its parser."""

import argparse
from collections.abc import Mapping
from typing import Final

import shtab

from orderd.protocol.names import (
    POISON,
    QUEUES,
    RETRIES_EXHAUSTED,
    UNDELIVERABLE,
    InvalidCode,
    Queue,
    RefusalCode,
)
from orderd.protocol.notifications import TYPES
from orderd.shop.registry import SHOP, actions_of
from tools import parsers

SHELLS: Final = ("bash", "zsh", "fish")


def scripts() -> Mapping[str, str]:
    """Return the text of each script by the name of its shell."""
    parser = parsers.orderctl()
    for one in (parser, *parsers.below(parser)):
        _mark_files(one)
        _offer_values(one)
    return {shell: shtab.complete(parser, shell=shell).rstrip("\n") + "\n" for shell in SHELLS}


def _mark_files(parser: argparse.ArgumentParser) -> None:
    """Have file names completed where an option takes one."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
        if action.metavar == "FILE":
            action.complete = shtab.FILE  # type: ignore[attr-defined]


def _offer_values(parser: argparse.ArgumentParser) -> None:
    """Have known values completed where an argument takes any text; its parser takes it still."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
        if action.choices is None and isinstance(action.metavar, str):
            action.choices = _known(action.metavar, parser.prog)


def _known(metavar: str, command: str) -> tuple[str, ...] | None:
    match metavar:
        case "QUEUE":
            return QUEUES if " dlq " in command else tuple(map(str, Queue))
        case "TYPE":
            return tuple(str(each) for types in TYPES.values() for each in types)
        case "ACTION":
            names = [each.name for entity in SHOP.entities for each in actions_of(entity)]
            return tuple(dict.fromkeys(names))
        case "CODE" if " ledger " in command:
            own = [code for entity in SHOP.entities for code in entity.refusals]
            return tuple(dict.fromkeys((*map(str, own), *RefusalCode)))
        case "CODE":
            return (*InvalidCode, RETRIES_EXHAUSTED, POISON, UNDELIVERABLE)
    return None
