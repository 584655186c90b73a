"""Replies into queues of others: which may get one, how large and how lasting it is."""

import signal
from pathlib import Path

import pika

from tests.acceptance.shop import DIRECT_REPLY_TO, REPLIES, Message, Shop, product
from tests.acceptance.test_memory import MEMORY_MIB_MAX, peak_mib
from tests.conftest import StartDaemon
from tools.waiting import wait_until

VICTIM = "invoices"
# 42 bytes or so that ask for as much as a reply may have.
SMALL = b'{"action":"list","data":{"limit":500}}'
BIG_ORDERS = """
    INSERT INTO orders (user_id, status, total_amount)
    SELECT 1, 'pending', 1000 FROM generate_series(1, 500);
    INSERT INTO order_items (order_id, product_id, quantity, unit_price)
    SELECT orders.id, product_id, 1000000, 9999999999.99
    FROM orders, generate_series(1, 100) AS product_id
"""
MIB = 1 << 20


def fill(shop: Shop) -> None:
    """Have as many orders as a page may have, each as large as an order may be."""
    shop.open_with(stock=10**9, products=100)
    for statement in BIG_ORDERS.split(";"):
        shop.query(statement)


def ask(reply_to: str, delivery_mode: int | None = 2) -> Message:
    properties = pika.BasicProperties(reply_to=reply_to, delivery_mode=delivery_mode)
    return Message("order", SMALL, properties)


def test_a_queue_that_is_not_allowed_gets_no_reply_of_any_kind(
    shop: Shop, daemon: StartDaemon
) -> None:
    shop.channel.queue_declare(VICTIM)
    orderd = daemon(reply_queues="replies, web.*")
    shop.send_all([ask(VICTIM) for _ in range(20)])
    shop.send_all([Message("order", b"{", ask(VICTIM).properties)])
    shop.send_all([product(id="done", reply_to=VICTIM), product(id="told", reply_to=REPLIES)])

    (told,) = shop.take(REPLIES)
    assert told.json["correlation_id"] == "told"
    # The effect of a command stands; its caller is not told.
    assert shop.wait_for("done", "told") == {"done": "applied", "told": "applied"}
    assert shop.call("order", "list")["status"] == "ok"
    assert orderd.stop() == 0
    assert shop.ready(VICTIM) == 0
    ignored = orderd.events("reply.ignored", level="WARNING")
    assert len(ignored) == 22
    assert all("'invoices', which reply_queues does not allow" in one["message"] for one in ignored)


def test_with_no_queue_allowed_callers_by_direct_reply_to_are_answered(
    shop: Shop, daemon: StartDaemon
) -> None:
    orderd = daemon(reply_queues="[]")

    shop.send_all([product(id="by queue")])

    assert shop.call("product", "health_check")["status"] == "ok"
    orderd.wait_for_event("reply.ignored", id="by queue")
    assert shop.ready(REPLIES) == 0


def test_a_reload_changes_which_queues_are_allowed(
    shop: Shop, daemon: StartDaemon, tmp_path: Path
) -> None:
    file = tmp_path / "orderd.toml"
    file.write_text("")
    orderd = daemon(args=["--config", str(file)])
    shop.send_all([product(id="before")])
    shop.take(REPLIES)

    file.write_text('reply_queues = ["web"]\n')
    orderd.send(signal.SIGHUP)
    orderd.wait_for_event("config.reloaded")
    shop.send_all([product(id="after")])

    orderd.wait_for_event("reply.ignored", id="after")
    assert shop.ready(REPLIES) == 0


def test_what_is_not_sent_is_counted(shop: Shop, daemon: StartDaemon, tmp_path: Path) -> None:
    file = tmp_path / "metrics.prom"
    orderd = daemon(reply_queues="replies, no-such-*", metrics_file=file, instance_name="one")
    made_up = f"{DIRECT_REPLY_TO}.made-up"
    for number, reply_to in enumerate([VICTIM, VICTIM, "order", made_up, "no-such-queue"]):
        shop.send_all([product(id=f"p{number}", reply_to=reply_to)])

    shop.wait_for(*(f"p{number}" for number in range(5)))
    assert orderd.stop() == 0
    lines = file.read_text(encoding="ascii").splitlines()
    counted = [line for line in lines if line.startswith("orderd_replies_unsent_total")]
    assert sorted(counted) == [
        'orderd_replies_unsent_total{daemon="one",reason="not_allowed"} 2.0',
        'orderd_replies_unsent_total{daemon="one",reason="own_queue"} 1.0',
        'orderd_replies_unsent_total{daemon="one",reason="refused"} 1.0',
    ]


def test_an_answer_is_bounded_and_outlives_the_broker_only_where_its_query_does(
    shop: Shop, daemon: StartDaemon
) -> None:
    fill(shop)
    daemon(reply_bytes_max=MIB // 16)

    shop.send_all([ask(REPLIES, mode) for mode in (None, 1, 2)])

    answers = shop.take(REPLIES, 3)
    assert all(MIB // 32 < len(answer.body) <= MIB // 16 for answer in answers)
    assert all(answer.json["data"]["next"] for answer in answers)
    assert [answer.properties.delivery_mode for answer in answers] == [1, 1, 2]


def test_the_largest_answers_by_the_hundred_do_not_fill_the_memory(
    shop: Shop, daemon: StartDaemon, admin_vhost_url: str
) -> None:
    fill(shop)
    shop.channel.queue_declare(VICTIM, arguments={"x-max-length": 1})
    shop.send_all([ask(VICTIM, None) for _ in range(200)])

    orderd = daemon(reply_bytes_max=4 * MIB, log_level="debug")

    # By direct reply-to as well: nobody reads these, and their caller is gone.
    with pika.BlockingConnection(pika.URLParameters(admin_vhost_url)) as connection:
        channel = connection.channel()
        channel.basic_consume(DIRECT_REPLY_TO, lambda *_: None, auto_ack=True)
        for _ in range(60):
            channel.basic_publish("", "order", SMALL, ask(DIRECT_REPLY_TO).properties)
    wait_until(
        lambda: len(orderd.events("command.answered")) == 260, timeout_s=120, what="260 answers"
    )
    assert peak_mib(orderd) < MEMORY_MIB_MAX
    assert orderd.stop() == 0
