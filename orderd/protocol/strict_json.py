"""Strict JSON, with exact decimals in both directions and bounded nesting."""

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from json.encoder import encode_basestring as quote
from typing import Any, Final, NoReturn

__all__ = ["NESTING_MAX", "MalformedJson", "dumps", "loads", "quote"]

NESTING_MAX: Final = 32

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_STRING_OR_BRACKET: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[{\]}]', re.DOTALL)


class MalformedJson(ValueError):
    """The text is not strict JSON.

    The message is a predicate that says why and where, such as ``is not JSON: …``.
    """


def loads(body: bytes) -> Any:
    """Return the value of *body*, numbers with a fraction or exponent as `Decimal`.

    Raises `MalformedJson` for anything but strict UTF-8 JSON: a byte order mark, a repeated key,
    ``NaN``, ``Infinity``, nesting over `NESTING_MAX` levels, a number too long to be read.
    """
    if body.startswith(_BYTE_ORDER_MARK):
        raise MalformedJson("begins with a byte order mark; send UTF-8 without one")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise MalformedJson(f"is not UTF-8: {error.reason} at byte {error.start}") from error
    _check_nesting(text)
    try:
        return _DECODER.decode(text)
    except MalformedJson:
        raise
    except json.JSONDecodeError as error:
        raise MalformedJson(f"is not JSON: {error}") from error
    except (ValueError, ArithmeticError, RecursionError) as error:
        # An integer over sys.get_int_max_str_digits() or an exponent over 10^18.
        raise MalformedJson("has a number that is too long") from error


def dumps(value: Any) -> str:
    """Return *value* as compact JSON, `Decimal` as a number with all its digits."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return quote(value)
        case int() | Decimal():
            return str(value)
        case Mapping():
            return "{" + ",".join(f"{quote(k)}:{dumps(v)}" for k, v in value.items()) + "}"
        case Sequence():
            return "[" + ",".join(map(dumps, value)) + "]"
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _check_nesting(text: str) -> None:
    """Refuse deep nesting before the parser recurses into it."""
    if text.count("{") + text.count("[") <= NESTING_MAX:
        return
    depth = 0
    for token in _STRING_OR_BRACKET.finditer(text):
        match token[0]:
            case "{" | "[":
                depth += 1
                if depth > NESTING_MAX:
                    raise MalformedJson(f"is nested deeper than {NESTING_MAX} levels")
            case "}" | "]":
                depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedJson(f"has the key {_repeated(pairs)[:100]!a} twice in one object")
    return found


def _repeated(pairs: list[tuple[str, Any]]) -> str:
    """Return the first repeated key; there may be a hundred thousand keys."""
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            return key
        seen.add(key)
    raise AssertionError("no key is repeated")


def _not_a_number(name: str) -> NoReturn:
    raise MalformedJson(f"has {name}, which is not a JSON number")


_DECODER: Final = json.JSONDecoder(
    parse_float=Decimal, parse_constant=_not_a_number, object_pairs_hook=_unique
)
