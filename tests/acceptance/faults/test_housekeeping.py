"""What keeps rows of sent events from being deleted holds up no command and repeats no event."""

import pytest

from tests.acceptance.shop import HEARD, Shop, order
from tests.conftest import StartDaemon
from tools.waiting import wait_until

GUARDS = {
    "fails": "RAISE 'the audit keeps it'",
    "lacks a table": "INSERT INTO missing VALUES (OLD.id)",
    "swallows": "RETURN NULL",
}


@pytest.mark.parametrize("guard", GUARDS)
def test_rows_that_nobody_can_delete_cost_no_command_and_no_event_is_sent_again(
    shop: Shop, daemon: StartDaemon, guard: str
) -> None:
    shop.open_with(stock=1000)
    orderd = daemon(outbox_grace="1s")
    shop.query(
        f"CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {GUARDS[guard]}; "
        "RETURN OLD; END $$"
    )
    shop.query("CREATE TRIGGER guard BEFORE DELETE ON outbox FOR EACH ROW EXECUTE FUNCTION guard()")
    shop.listen()

    for part in range(3):
        ids = [f"order-{part}-{n}" for n in range(20)]
        shop.send_all([order({1: 1}, id=request_id) for request_id in ids])
        outcomes = shop.wait_for(*ids)
        assert {outcomes[request_id] for request_id in ids} == {"applied"}
    kept = orderd.wait_for_event("outbox.cleanup_delayed")
    wait_until(
        lambda: shop.value("SELECT count(*) FROM outbox WHERE not_before < 'infinity'") == 0,
        timeout_s=60,
        what="all rows set aside",
    )
    wait_until(
        lambda: shop.value("SELECT min(now() - created_at) > '3 s' FROM outbox"),
        timeout_s=30,
        what="sweeps after more than one grace",
    )
    rows = shop.query("SELECT message_id::text FROM outbox")
    heard = [each for each in shop.take_all(HEARD) if not each.routing_key.startswith("system.")]
    sent = [event.properties.message_id for event in heard]

    assert "their events were sent and are not sent again" in kept["message"]
    assert sorted(sent) == sorted(message_id for (message_id,) in rows)
    assert orderd.events("outbox.recovered") == []
    assert orderd.events("command.deferred") + orderd.events("batch.retried") == []
    assert orderd.events("intake.paused") == []
    shop.query("DROP TRIGGER guard ON outbox")
    wait_until(
        lambda: shop.value("SELECT count(*) FROM outbox") == 0, timeout_s=90, what="rows deleted"
    )
    assert shop.ready(HEARD) == 0
    assert orderd.stop() == 0
