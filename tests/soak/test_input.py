"""Whatever bytes, among good ones: one dead letter each, and the process lives."""

import datetime as dt
import random
from collections import Counter
from decimal import Decimal

import pika
import pytest

from tests.acceptance.bad_bodies import bad_bodies
from tests.acceptance.shop import PERSISTENT, Message
from tests.soak.chaos_run import ChaosRun, times
from tests.soak.workload import UNREADABLE

pytestmark = pytest.mark.soak

COUNT = 1_500
RSS_GROWTH_MB_MAX = 60
HEADERS = [
    None,
    {},
    {"text": "ä\u2028", "bytes": b"\xff\x00", "none": None, "no": False, "yes": True},
    {"small": -1, "big": 2**62, "exact": Decimal("1.23")},
    {"time": dt.datetime(2026, 1, 1, tzinfo=dt.UTC), "list": [1, ["a"], {}], "t": {}},
    {"orderd-attempt": "many", "orderd-code": 5, "orderd-failed-at": None},
    {"orderd-attempt": -3, "x-death": [{"count": 5}], "x-delivery-count": 99, "CC": ["nobody"]},
    {"huge": "x" * 100_000},
    {f"h{number}": "v" * 50 for number in range(500)},
]


def test_malformed_input_ends_in_one_dead_letter_each(
    chaos: ChaosRun, chance: random.Random
) -> None:
    chaos.begin("malformed input")
    one = chaos.daemons[0]
    before_mb = one.rss_mb()
    bodies = [body for body, _ in bad_bodies(COUNT)] + [*_fuzzed(chance, times(COUNT))]
    bodies += [b"[" * 100_000, b'{"a":' * 100_000, b"\xef\xbb\xbf{}", b"9" * 1_000_000]
    messages = [Message("product", body, _properties(chance)) for body in bodies]

    chance.shuffle(messages)
    chaos.send_raw(messages)
    chaos.wait_for_work(200)

    after_mb = one.rss_mb()
    found = chaos.finish()
    letters = Counter(letter.body for letter in found.letters)
    sent = Counter(bodies)
    assert {body: letters[body] for body in sent} == sent
    assert after_mb < before_mb + RSS_GROWTH_MB_MAX
    assert len(chaos.daemons) == 1


def _fuzzed(chance: random.Random, count: int) -> list[bytes]:
    """Return bytes that cannot be UTF-8, whatever else they look like."""
    return [
        UNREADABLE + b"\xff" + chance.randbytes(chance.choice([0, 1, 10, 1_000, 20_000]))
        for _ in range(count)
    ]


def _properties(chance: random.Random) -> pika.BasicProperties:
    return pika.BasicProperties(delivery_mode=PERSISTENT, headers=chance.choice(HEADERS))
