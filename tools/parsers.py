"""The parsers of the command line, complete, for tools that describe them."""

import argparse
from collections.abc import Iterator

from orderd.ctl.main import CommandParser
from orderd.ctl.main import build_parser as build_orderctl


def orderctl() -> argparse.ArgumentParser:
    """Return the parser of orderctl with every command and verb loaded."""
    parser = build_orderctl()
    _load(parser)
    return parser


def below(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield the parsers of all commands and verbs below *parser*."""
    for inner in subparsers_of(parser).values():
        yield inner
        yield from below(inner)


def subparsers_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parsers of the verbs that may follow, by name, with their arguments loaded."""
    found: dict[str, CommandParser] = {}
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            found.update(action.choices)
    for inner in found.values():
        inner.load()
    return dict(found)


def _load(parser: argparse.ArgumentParser) -> None:
    for inner in subparsers_of(parser).values():
        _load(inner)
