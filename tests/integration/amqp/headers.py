"""Headers of every type that AMQP has and a client may send."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from orderd.amqp.wire.field_reader import Epoch

HEADERS: Final[Mapping[str, Any]] = {
    "text": "ü",
    "raw": b"\x00\xff",
    "yes": True,
    "small": 1,
    "big": 2**62,
    "half": 0.5,
    "price": Decimal("19.90"),
    "at": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    "late": Epoch(1_763_777_777_000),
    "none": None,
    "list": [1, "two", [3.0], {"four": None}],
    "table": {"deep": {"deeper": False}},
}
