"""A connection lost in the middle of COMMIT: what took effect is not guessed, the ledger knows."""

from collections import Counter

import pytest

from tests.acceptance.commit_trap import CommitTrap, Where
from tests.acceptance.shop import HEARD, REPLIES, Shop, order
from tests.conftest import StartDaemon
from tools.waiting import wait_until

# In what writes an event, and in nothing else.
CREATED = b"order.created"
IDS = [f"order-{number}" for number in range(10)]


@pytest.mark.parametrize("where", Where)
def test_a_commit_whose_outcome_is_unknown_counts_once(
    shop: Shop, database_url: str, daemon: StartDaemon, where: Where
) -> None:
    shop.open_with(stock=100)
    with CommitTrap(database_url, only=CREATED) as trap:
        trap.open()
        orderd = daemon(database_url=trap.url, outbox_grace=0.3)
        trap.arm(where)

        shop.send_all([order({1: 3}, id=request_id) for request_id in IDS])

        wait_until(lambda: trap.sprung, timeout_s=20, what="a COMMIT to be lost")
        lost = orderd.wait_for_event("intake.paused")
        assert "database" in lost["message"]
        assert shop.wait_for(*IDS) == dict.fromkeys(IDS, "applied")
        shop.wait_for_rows(0, "outbox")
        assert orderd.stop() == 0

    assert shop.value("SELECT stock_quantity FROM products") == 100 - 3 * len(IDS)
    assert shop.value("SELECT count(*) FROM orders") == len(IDS)
    replies = {(reply.json["correlation_id"], reply.body) for reply in shop.take_all(REPLIES)}
    assert sorted(request_id for request_id, _ in replies) == IDS
    created = {
        (one.json["correlationid"], one.properties.message_id)
        for one in shop.take_all(HEARD)
        if one.routing_key == "order.created"
    }
    assert Counter(request_id for request_id, _ in created) == Counter(IDS)
    assert orderd.events("command.deferred") == []
    assert shop.ready("order.dlq") == 0
