"""Floods of invalid messages: good commands among them go on, in order, at a bounded cost."""

import json
import random
from collections.abc import Iterator

import pika

from tests.acceptance.hostile_bodies import BODIES
from tests.acceptance.shop import Message, Shop, product
from tests.conftest import StartDaemon
from tools.daemon import DaemonProcess
from tools.rabbitmq import PrivateRabbit
from tools.waiting import wait_until

COUNT = 2_000
SECRET = "eyJhbGciOiJub25lIn0.secret-of-a-user.c2lnbmF0dXJl"
# What a line of the log may have besides the reason, which is cut.
LINE_BYTES_MAX = 3_000
GROWTH_MB_MAX = 60
SMALL_BODIES = [body for body, _ in BODIES.values() if len(body) < 20_000]


def bad(count: int) -> Iterator[Message]:
    """Yield so many messages that are no commands, each with a token that is nobody's business."""
    drawn = random.Random(22)
    shapes: list[bytes] = [
        *SMALL_BODIES,
        json.dumps({"action": "explode", "auth": SECRET}).encode(),
        json.dumps({"action": "create", "auth": SECRET, "data": {"name": SECRET}}).encode(),
        json.dumps({"action": "create", "auth": SECRET, "data": {SECRET * 50: 1}}).encode()[:-1],
        b"\xff\xfe\x00",
        b"[" * 10_000,
    ]
    for number in range(count):
        headers = {"number": number, "authorization": SECRET}
        yield Message("product", drawn.choice(shapes), pika.BasicProperties(headers=headers))


def peak_mb_until(orderd: DaemonProcess, shop: Shop, letters: int) -> float:
    """Return the most memory that the daemon takes until so many dead letters are there."""
    peak_mb = 0.0

    def are_there() -> bool:
        nonlocal peak_mb
        peak_mb = max(peak_mb, orderd.rss_mb())
        return shop.ready("product.dlq") >= letters

    wait_until(are_there, timeout_s=120, what=f"{letters} dead letters", poll_s=0.02)
    return peak_mb


def test_good_commands_among_thousands_of_invalid_ones_are_done_in_order(
    shop: Shop, daemon: StartDaemon
) -> None:
    orderd = daemon()
    shop.send_all([product(stock=0, id="before")])
    shop.wait_for("before")
    before_mb = orderd.rss_mb()
    mixed = [*bad(COUNT)]
    drawn = random.Random(7)
    places = sorted(drawn.sample(range(COUNT), 500))
    for stock, place in reversed([*enumerate(places, 1)]):
        mixed.insert(place, product(stock=stock, id=f"good-{stock}"))

    shop.send_all(mixed)
    peak_mb = peak_mb_until(orderd, shop, COUNT)

    shop.wait_for("good-500")
    rows = shop.query("SELECT stock_quantity FROM products ORDER BY id")
    assert [stock for (stock,) in rows] == [*range(501)]
    assert peak_mb - before_mb < GROWTH_MB_MAX
    assert orderd.events("broker.disconnected") == []
    assert orderd.stop() == 0
    letters = shop.take_all("product.dlq")
    assert sorted(letter.headers["number"] for letter in letters) == [*range(COUNT)]


def test_the_log_has_a_short_line_for_each_and_none_of_what_it_held(
    shop: Shop, daemon: StartDaemon
) -> None:
    orderd = daemon()

    shop.send_all([*bad(COUNT // 4)])
    shop.take("product.dlq", COUNT // 4)

    assert orderd.stop() == 0
    told = [line for line in orderd.output.splitlines() if "message.dead_lettered" in line]
    assert len(told) == COUNT // 4
    assert max(map(len, told)) < LINE_BYTES_MAX
    assert "secret-of-a-user" not in orderd.output


def test_a_dead_letter_queue_that_is_full_by_a_policy_drops_the_oldest_and_stops_nobody(
    shop: Shop, daemon: StartDaemon, vhost: str, private_rabbit: PrivateRabbit
) -> None:
    policy = json.dumps({"max-length": 100, "overflow": "drop-head"})
    private_rabbit.ctl(
        "set_policy", "-p", vhost, "bounded", r".*\.dlq$", policy, "--apply-to", "queues"
    )
    orderd = daemon()

    shop.send_all([*bad(300), product(id="last")])

    assert shop.wait_for("last") == {"last": "applied"}
    wait_until(
        lambda: len(orderd.events("message.dead_lettered")) == 300, timeout_s=60, what="300 letters"
    )
    assert orderd.stop() == 0
    letters = shop.take_all("product.dlq")
    assert [letter.headers["number"] for letter in letters] == [*range(200, 300)]
