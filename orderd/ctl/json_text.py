"""JSON output with exact decimals and escaped terminal control characters."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from orderd.protocol.strict_json import dumps

_INDENT: Final = "  "


def compact(value: Any) -> str:
    """Return *value* as JSON in one line."""
    return _escaped(dumps(value))


def pretty(value: Any) -> str:
    """Return *value* as JSON in lines, indented by its depth."""
    return _escaped(_indented(value, "\n"))


def _indented(value: Any, line_start: str) -> str:
    inner = line_start + _INDENT
    match value:
        case Mapping() if value:
            members = [f"{dumps(k)}: {_indented(v, inner)}" for k, v in value.items()]
            return f"{{{inner}{f',{inner}'.join(members)}{line_start}}}"
        case str() | bytes():
            return dumps(value)
        case Sequence() if value:
            return f"[{inner}{f',{inner}'.join(_indented(v, inner) for v in value)}{line_start}]"
    return dumps(value)


def _escaped(text: str) -> str:
    """Write control characters, which can stand in strings only, as JSON escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text
    )
