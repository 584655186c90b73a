"""The types of the fields that a command's data may have, with the contract's limits."""

import re
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, EmailStr, Field, StringConstraints

QUANTITY_MAX: Final = 10**6
STOCK_MAX: Final = 10**9
PRICE_LIMIT: Final = 10**10
BIGINT_MAX: Final = 2**63 - 1

_CENT: Final = Decimal("0.01")
_JSON_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,4})?")
_NUMBER_CHARACTERS_MAX: Final = 100


def _money(value: Any) -> Decimal:
    """Return *value* with exactly two decimal places; it never was a binary float."""
    match value:
        case bool():
            raise ValueError("should be a number")
        case int() | Decimal():
            amount = Decimal(value)
        case str() if len(value) <= _NUMBER_CHARACTERS_MAX and _JSON_NUMBER.fullmatch(value):
            amount = Decimal(value)
        case _:
            raise ValueError("should be a number, or a number as a string")
    if not 0 <= amount < PRICE_LIMIT:
        raise ValueError("should be at least 0 and less than 10^10")
    cents = amount.quantize(_CENT)
    if cents != amount:
        raise ValueError("should have at most 2 decimal places")
    return abs(cents)  # -0 is 0


def _without_nul(value: str) -> str:
    if "\x00" in value:
        raise ValueError("should not contain NUL")
    return value


Money = Annotated[Decimal, BeforeValidator(_money)]
Identity = Annotated[int, Field(ge=1, le=BIGINT_MAX)]
Revision = Annotated[int, Field(ge=1, le=BIGINT_MAX)]
Quantity = Annotated[int, Field(ge=1, le=QUANTITY_MAX)]
Stock = Annotated[int, Field(ge=0, le=STOCK_MAX)]
StockDelta = Annotated[int, Field(ge=-STOCK_MAX, le=STOCK_MAX)]
Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_without_nul),
]
Email = Annotated[EmailStr, StringConstraints(strip_whitespace=True, max_length=200)]
Status = Literal["pending", "processing", "shipped", "delivered", "cancelled"]
Priority = Literal["low", "normal", "high"]
