"""The language of manual pages, as far as orderd's need it."""

import re
from collections.abc import Iterable
from textwrap import wrap
from typing import Final

_WIDTH: Final = 78
_SPECIAL: Final = {"\\": r"\(rs", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "→": r"\(->", "…": "..."}
_CODE: Final = re.compile(r"`([^`]+)`")


def page(name: str, section: int, version: str, purpose: str, parts: Iterable[str]) -> str:
    """Return a whole manual page."""
    title = f'.TH {name.upper()} {section} "" "orderd {version}" "orderd"'
    what = f".SH NAME\n{text(name)} \\- {text(purpose)}"
    return "\n".join([title, what, *parts]) + "\n"


def heading(title: str, *lines: str) -> str:
    """Return a section."""
    return _under(".SH", title, lines)


def subheading(title: str, *lines: str) -> str:
    """Return a part of a section."""
    return _under(".SS", title, lines)


def item(term: str, meaning: str) -> str:
    """Return an item of a list, its term in bold."""
    return f".TP\n{bold(term)}\n{text(meaning)}"


def example(lines: str) -> str:
    """Return *lines* as they are."""
    shown = "\n".join(_harmless(_escaped(line)) for line in lines.splitlines())
    return f".PP\n.nf\n{shown}\n.fi"


def paragraph(words: str) -> str:
    """Return a paragraph."""
    return f".PP\n{text(words)}"


def bold(words: str) -> str:
    """Return *words* in bold."""
    return rf"\fB{_escaped(words)}\fR"


def text(words: str) -> str:
    """Return running text, in which `…` marks what is typed."""
    pieces = _CODE.split(" ".join(words.split()))
    line = "".join(bold(one) if n % 2 else _escaped(one) for n, one in enumerate(pieces))
    lines = wrap(line, _WIDTH, break_long_words=False, break_on_hyphens=False)
    return "\n".join(map(_harmless, lines))


def _under(macro: str, title: str, lines: Iterable[str]) -> str:
    # A heading begins a paragraph by itself.
    body = "\n".join(lines).removeprefix(".PP\n")
    return f'{macro} "{_escaped(title)}"\n{body}'.rstrip()


def _escaped(words: str) -> str:
    return "".join(_SPECIAL.get(char, char) for char in words)


def _harmless(line: str) -> str:
    # A point at its beginning would make it a request.
    return rf"\&{line}" if line.startswith(".") else line
