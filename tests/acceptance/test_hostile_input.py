"""Input that is wrong in every field, or made to hurt: a dead letter each, and no harm done."""

from collections import Counter

import pika
import pytest

from tests.acceptance.hostile_bodies import BODIES, COMMAND, LIMIT
from tests.acceptance.shop import COMMAND_QUEUES, REPLIES, Message, Shop, command, order, product
from tests.conftest import StartDaemon
from tests.support.wrong_fields import wrong_fields
from tools.daemon import DaemonProcess
from tools.waiting import wait_until


def test_every_field_of_every_type_is_told_by_name(shop: Shop, daemon: StartDaemon) -> None:
    orderd = daemon()
    wrong = [*wrong_fields()]
    messages = [
        Message(queue, body, pika.BasicProperties(reply_to=REPLIES, headers={"number": number}))
        for number, (queue, body) in enumerate(wrong)
    ]

    shop.send_all([*messages, product(id="good")])

    assert shop.wait_for("good") == {"good": "applied"}
    letters = [
        letter
        for queue in COMMAND_QUEUES
        for letter in shop.take(f"{queue}.dlq", sum(queue == its for its, _ in wrong))
    ]
    by_number = {letter.headers["number"]: letter for letter in letters}
    assert [by_number[number].body for number in range(len(wrong))] == [body for _, body in wrong]
    codes = Counter(letter.headers["orderd-code"] for letter in letters)
    assert codes == {"invalid_data": len(wrong)}
    assert all(letter.headers["orderd-reason"].startswith("data") for letter in letters)
    replies = [reply.json.get("code") for reply in shop.take(REPLIES, len(wrong) + 1)]
    assert Counter(replies) == {"invalid_data": len(wrong), None: 1}
    assert orderd.events("broker.disconnected") == []
    assert orderd.stop() == 0


def test_bodies_made_to_hurt_are_dead_letters_within_seconds(
    shop: Shop, daemon: StartDaemon
) -> None:
    orderd = daemon()
    names = list(BODIES)
    messages = [
        Message("product", BODIES[name][0], pika.BasicProperties(headers={"name": name}))
        for name in names
    ]

    shop.send_all([*messages, product(id="good")])

    letters = {
        letter.headers["name"]: letter
        for letter in shop.take("product.dlq", len(names), timeout_s=60)
    }
    assert shop.wait_for("good") == {"good": "applied"}
    assert {name: letters[name].headers["orderd-code"] for name in names} == {
        name: code for name, (_, code) in BODIES.items()
    }
    assert [name for name in names if letters[name].body != BODIES[name][0]] == []
    assert shop.take_all("product.dlq") == []
    assert orderd.events("broker.disconnected") == []
    assert orderd.stop() == 0


@pytest.mark.soak
def test_bodies_that_take_long_to_read_do_not_cost_the_connection(
    shop: Shop, daemon: StartDaemon
) -> None:
    body, _ = BODIES["as many lists as fit"]
    count = 32
    shop.send_all([Message("user", body, pika.BasicProperties()) for _ in range(count)])

    # Far more is in hand at once than can be read between two heartbeats.
    orderd = daemon(heartbeat="10s")

    assert len(shop.take("user.dlq", count, timeout_s=300)) == count
    assert orderd.events("broker.disconnected") == []
    assert orderd.stop() == 0


def test_a_command_of_just_the_size_allowed_is_applied(shop: Shop, daemon: StartDaemon) -> None:
    daemon()
    body = COMMAND[:-1] + b',"pad":"' + b"x" * (LIMIT - len(COMMAND) - 10) + b'" }'
    assert len(body) == LIMIT

    shop.send_all(
        [
            Message("product", body, pika.BasicProperties(message_id="fits")),
            Message("product", body + b" ", pika.BasicProperties(message_id="does not")),
        ]
    )

    assert shop.wait_for("fits") == {"fits": "applied"}
    (letter,) = shop.take("product.dlq")
    assert letter.headers["orderd-code"] == "too_large"
    assert letter.body == body + b" "


@pytest.mark.parametrize("rounds", [5, pytest.param(20, marks=pytest.mark.soak)])
def test_huge_messages_do_not_fill_the_memory(shop: Shop, daemon: StartDaemon, rounds: int) -> None:
    orderd = daemon()
    shop.send_all([product(id="before")])
    shop.wait_for("before")
    before_mb = orderd.rss_mb()
    bodies = [b"\xff" * LIMIT] * 20 + [b"\xff" * 10 * LIMIT] * 2
    peak_mb = []

    for _ in range(rounds):
        shop.send_all([Message("order", body, pika.BasicProperties()) for body in bodies])
        peak_mb.append(_peak_rss_mb(shop, orderd, len(bodies)))
        shop.channel.queue_purge("order.dlq")

    assert orderd.events("broker.disconnected") == []
    # The inbox holds 32 MiB at most, and what is published from it as much again.
    assert max(peak_mb) - before_mb < 100
    assert peak_mb[-1] - max(peak_mb[:3]) < 20


def _peak_rss_mb(shop: Shop, orderd: DaemonProcess, letters: int) -> float:
    """Return the most memory that the daemon takes until so many dead letters are there."""
    peak_mb = 0.0

    def are_there() -> bool:
        nonlocal peak_mb
        peak_mb = max(peak_mb, orderd.rss_mb())
        return shop.ready("order.dlq") == letters

    wait_until(are_there, timeout_s=60, what=f"{letters} dead letters", poll_s=0.01)
    return peak_mb


@pytest.mark.parametrize("queue", COMMAND_QUEUES)
def test_no_kind_of_reply_goes_to_a_queue_of_orderds_own(
    shop: Shop, daemon: StartDaemon, queue: str
) -> None:
    shop.open_with(stock=5)
    orderd = daemon(retry_delays="100ms,7s")
    own = [name for each in COMMAND_QUEUES for name in (each, f"{each}.dlq", f"{each}.retry.7s")]
    own += [f"{each}.retry.30s" for each in COMMAND_QUEUES]  # of other settings, some time ago
    for name in own[-3:]:
        shop.channel.queue_declare(name, durable=True)
    asked = [command(queue, "health_check", reply_to=name) for name in own]
    asked += [Message(queue, b"{", pika.BasicProperties(reply_to=name)) for name in own]
    refused = [order({1: 99}, id="refused", reply_to=name) for name in own]

    shop.send_all([*asked, *refused])
    shop.send_all([order({1: 1}, id="last")])

    shop.take(REPLIES)
    assert orderd.stop() == 0
    assert len(orderd.events("reply.ignored", level="WARNING")) == 3 * len(own)
    assert len(shop.take_all(f"{queue}.dlq")) == len(own)
    assert {name: shop.ready(name) for name in own if shop.ready(name)} == {}
