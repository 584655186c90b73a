"""The statuses of orders, and which may follow which."""

from collections.abc import Mapping
from typing import Final, Literal, get_args

Status = Literal["pending", "processing", "shipped", "delivered", "cancelled"]
STATUSES: Final[tuple[Status, ...]] = get_args(Status)
# Of orders whose items and priority can still be changed.
EDITABLE_STATUSES: Final = frozenset({"pending", "processing"})
TRANSITIONS: Final[Mapping[str, frozenset[str]]] = {
    "pending": frozenset({"processing", "shipped", "cancelled"}),
    "processing": frozenset({"shipped", "cancelled"}),
    "shipped": frozenset({"delivered"}),
    "delivered": frozenset(),
    "cancelled": frozenset(),
}
