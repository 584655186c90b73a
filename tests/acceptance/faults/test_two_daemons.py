"""Two daemons on the same queues, products that everybody wants, the same request ids."""

import json
import random
from collections import Counter, defaultdict

from tests.acceptance.shop import REPLIES, Message, Shop, command, order
from tests.conftest import StartDaemon
from tools.waiting import wait_until

ORDERS = 2_000
CANCELLATIONS = 500
COPIES = 500
PRODUCTS = 5
STOCK = 400
USERS = 3


def _orders(chance: random.Random) -> list[Message]:
    messages = []
    for number in range(ORDERS):
        wanted = {
            product_id: chance.randint(1, 3)
            for product_id in chance.sample(range(1, PRODUCTS + 1), chance.randint(1, 3))
        }
        messages.append(order(wanted, chance.randint(1, USERS), id=f"order-{number}"))
    return messages


def _cancellations(chance: random.Random) -> list[Message]:
    messages = []
    for number in range(CANCELLATIONS):
        content = {"order_id": chance.randint(1, ORDERS // 4), "status": "cancelled"}
        messages.append(command("order", "update_status", content, id=f"cancel-{number}"))
    return messages


def test_two_daemons_with_hot_products_and_same_ids_do_everything_once(
    shop: Shop, daemon: StartDaemon
) -> None:
    shop.open_with(users=USERS, stock=STOCK, products=PRODUCTS)
    chance = random.Random(7)
    different = _orders(chance) + _cancellations(chance)
    messages = different + chance.choices(different, k=COPIES)
    chance.shuffle(messages)
    pair = [daemon(batch_max=50, outbox_grace=0.5) for _ in range(2)]

    shop.send_all(messages)
    shop.wait_for_rows(len(different), "processed_requests", timeout_s=60)
    wait_until(lambda: shop.ready(REPLIES) >= len(messages), timeout_s=30, what="all replies")

    assert [one.stop() for one in pair] == [0, 0]
    assert all(one.events("batch.committed") for one in pair)
    _assert_undisturbed(shop, messages)
    _assert_all_answered_alike(shop, messages)
    assert shop.stock_mismatches() == []
    outcomes = Counter(shop.outcomes().values())
    assert outcomes.keys() <= {"applied", "insufficient_stock", "order_not_found"}
    # All of the hot stock is wanted several times over, so both ends were reached.
    assert outcomes["insufficient_stock"]
    orders = shop.value("SELECT count(*) FROM processed_requests WHERE action = 'create'")
    assert orders == ORDERS
    applied = "SELECT count(*) FROM processed_requests WHERE action = 'create' AND code IS NULL"
    assert shop.value("SELECT count(*) FROM orders") == shop.value(applied)
    assert shop.value("SELECT count(*) FROM outbox") == 0


def _assert_undisturbed(shop: Shop, messages: list[Message]) -> None:
    assert shop.waiting() == 0
    assert [shop.ready(f"{queue}.dlq") for queue in ("user", "product", "order")] == [0, 0, 0]
    assert len(messages) == ORDERS + CANCELLATIONS + COPIES
    # The server counts them itself, whoever they happened to.
    deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    assert shop.value(deadlocks) == 0


def _assert_all_answered_alike(shop: Shop, messages: list[Message]) -> None:
    sent = Counter(json.loads(message.body)["id"] for message in messages)
    replies = defaultdict(list)
    for reply in shop.take_all(REPLIES):
        replies[reply.properties.correlation_id].append(reply.body)
    # Nothing was lost or done again, so there is one reply a message, and no two differ.
    assert {request_id: len(bodies) for request_id, bodies in replies.items()} == sent
    assert [bodies for bodies in replies.values() if len(set(bodies)) > 1] == []
