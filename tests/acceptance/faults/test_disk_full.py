"""PostgreSQL lets everybody connect and nobody write, as with a full disk: one pause, no charge."""

from tests.acceptance.shop import Shop, order
from tests.conftest import StartDaemon
from tools.waiting import wait_until

COUNT = 100
# What the server says when it cannot extend a table's file.
FULL = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON processed_requests
        FOR EACH STATEMENT EXECUTE FUNCTION refuse();
"""
ROOM = "DROP TRIGGER refuse ON processed_requests"


def test_a_full_disk_is_one_pause_until_there_is_room(shop: Shop, daemon: StartDaemon) -> None:
    shop.open_with(stock=1_000)
    orderd = daemon(batch_max=10, give_back_after=1)
    shop.query(FULL)
    shop.send_all([order({1: 1}, id=f"order-{n}") for n in range(COUNT)])

    wait_until(
        lambda: len(orderd.events("database.disconnected")) >= 4, timeout_s=30, what="four tries"
    )
    assert len(orderd.events("intake.paused")) == 1
    assert orderd.events("intake.resumed") == []
    # Others could do no more, and each time would count as a delivery.
    assert orderd.events("message.requeued") == []
    shop.query(ROOM)

    orderd.wait_for_event("intake.resumed")
    shop.wait_for_rows(COUNT, "processed_requests", timeout_s=30)
    assert orderd.stop() == 0
    assert orderd.events("command.deferred") == []
    assert shop.ready("order.dlq") == 0
    assert shop.stock_mismatches() == []
