"""Types of the fields of a command's data, with their limits."""

import re
import unicodedata
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

QUANTITY_MAX: Final = 10**6
STOCK_MAX: Final = 10**9
PRICE_LIMIT: Final = 10**10
BIGINT_MAX: Final = 2**63 - 1

_CENT: Final = Decimal("0.01")
_JSON_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,4})?")
_NUMBER_CHARACTERS_MAX: Final = 100
# ZERO WIDTH NON-JOINER and JOINER: some scripts, and emoji, are not written without them.
_JOINERS: Final = frozenset("\u200c\u200d")


def _money(value: Any) -> Decimal:
    """Return *value* with exactly two decimal places; a binary float is not accepted."""
    match value:
        case bool():
            raise ValueError("must be a number")
        case int() | Decimal():
            amount = Decimal(value)
        case str() if len(value) <= _NUMBER_CHARACTERS_MAX and _JSON_NUMBER.fullmatch(value):
            amount = Decimal(value)
        case _:
            raise ValueError("must be a number, or a number as a string")
    if not 0 <= amount < PRICE_LIMIT:
        raise ValueError("must be at least 0 and less than 10^10")
    cents = amount.quantize(_CENT)
    if cents != amount:
        raise ValueError("must have at most 2 decimal places")
    return abs(cents)  # -0 is 0


def _readable(value: str) -> str:
    """Return *value*; raise ValueError where it has no visible character, or a NUL."""
    if "\x00" in value:
        raise ValueError("must not contain NUL")
    is_plain = value.isascii() and value.isprintable()
    if not is_plain and all(_is_unseen(c) or c in _JOINERS or c.isspace() for c in value):
        raise ValueError("must have a visible character")
    return value


def _without_unseen(value: str) -> str:
    """Return *value*; raise ValueError where it has a character that cannot be seen.

    Otherwise two names could look the same.
    """
    is_plain = value.isascii() and value.isprintable()
    unseen = None if is_plain else next(filter(_is_unseen, value), None)
    if unseen is not None:
        raise ValueError(f"must not contain the invisible U+{ord(unseen):04X}")
    return value


def _email(value: str) -> str:
    """Return the address in *value*, as pydantic's EmailStr does; raise ValueError if none is."""
    # Slow to load, and only those who write users need it.
    from pydantic import validate_email  # noqa: PLC0415

    return validate_email(value)[1]


def _is_unseen(character: str) -> bool:
    """Return whether *character* is a control or format character, other than a joiner."""
    return unicodedata.category(character) in {"Cc", "Cf"} and character not in _JOINERS


Money = Annotated[Decimal, BeforeValidator(_money)]
Identity = Annotated[int, Field(ge=1, le=BIGINT_MAX)]
Revision = Annotated[int, Field(ge=1, le=BIGINT_MAX)]
Quantity = Annotated[int, Field(ge=1, le=QUANTITY_MAX)]
Stock = Annotated[int, Field(ge=0, le=STOCK_MAX)]
StockDelta = Annotated[int, Field(ge=-STOCK_MAX, le=STOCK_MAX)]
Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_readable),
]
Username = Annotated[Text, AfterValidator(_without_unseen)]
Email = Annotated[
    str,
    AfterValidator(_email),
    StringConstraints(strip_whitespace=True, max_length=200),
    AfterValidator(_without_unseen),
]
Priority = Literal["low", "normal", "high"]
