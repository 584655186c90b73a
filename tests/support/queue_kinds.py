"""The kinds of durable queues that a producer may have declared, as arguments by name."""

from collections.abc import Mapping
from typing import Any, Final

_SINGLE_ACTIVE: Final = {"x-single-active-consumer": True}
KINDS: Final[Mapping[str, dict[str, Any]]] = {
    "classic": {"x-queue-type": "classic"},
    "quorum": {"x-queue-type": "quorum"},
    "single active, classic": {"x-queue-type": "classic"} | _SINGLE_ACTIVE,
    "single active, quorum": {"x-queue-type": "quorum"} | _SINGLE_ACTIVE,
}
