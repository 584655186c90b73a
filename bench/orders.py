"""The orders of a run, and what the stock must show once they are worked off."""

import json
import random
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

USERS: Final = 1_000
PRODUCTS: Final = 1_000
HOT_PRODUCTS: Final = 2
# The same orders for everybody, in each round.
SEED: Final = 1


@dataclass(frozen=True, slots=True)
class Workload:
    """How many orders, and what they are like.

    `is_hot`: all of them are about the same two products. `body_bytes` is the least size of a
    message, reached by a field of the envelope that orderd ignores.
    """

    count: int
    items: int = 2
    is_hot: bool = False
    body_bytes: int = 0


def commands(workload: Workload) -> Iterator[dict[str, Any]]:
    """Yield one command for each order, as a producer writes it."""
    chance = random.Random(SEED)
    for _ in range(workload.count):
        command = {
            "id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            "version": "v1",
            "action": "create",
            "data": {"user_id": chance.randint(1, USERS), "items": _items(workload, chance)},
        }
        missing = workload.body_bytes - len(encoded(command)) if workload.body_bytes else 0
        yield command | {"note": "x" * missing} if missing > 0 else command


def encoded(command: dict[str, Any]) -> bytes:
    """Return the body of the message."""
    return json.dumps(command, separators=(",", ":")).encode()


def sold(workload: Workload) -> Counter[int]:
    """Return how many of each product all orders take together."""
    found: Counter[int] = Counter()
    for command in commands(workload):
        for item in command["data"]["items"]:
            found[item["product_id"]] += item["quantity"]
    return found


def _items(workload: Workload, chance: random.Random) -> list[dict[str, int]]:
    products = range(1, (HOT_PRODUCTS if workload.is_hot else PRODUCTS) + 1)
    drawn = chance.sample(products, workload.items)
    return [
        {"product_id": product, "quantity": 1 + number % 2} for number, product in enumerate(drawn)
    ]
