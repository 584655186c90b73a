"""However much there is to read in a batch, heartbeats and watchdog are served on the way."""

from typing import Any

import pytest

from tests.integration.pipeline.shop import Shop
from tests.support.commands import delivery

# Each takes up to a second to be read; the broker gives a connection up after twice its heartbeat.
SLOW = b'{"action":"list","data":[' + b",".join([b"[]"] * 100_000) + b"]}"


@pytest.mark.parametrize(("body", "breaths_min"), [(SLOW, 9), (b"{", 0)])
def test_big_bodies_are_read_with_a_breath_between_them(
    shop: Shop, body: bytes, breaths_min: int
) -> None:
    breaths: list[Any] = []

    shop.process([delivery("user", body) for _ in range(10)], keep_alive=lambda: breaths.append(1))

    assert len(breaths) >= breaths_min
    assert bool(breaths) is bool(breaths_min)
