"""Queues are paused by hand and by the kill switch; nothing is lost or spent by it."""

from pathlib import Path

import pytest

from tests.acceptance.shop import HEARD, Shop, order, product, user
from tests.acceptance.test_metrics import value
from tests.conftest import StartDaemon
from tests.support.orderctl import Orderctl, orderctl_on
from tools.waiting import wait_until

OBEYED_S = 20
BROKEN = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the price list is gone' USING ERRCODE = '22012'; END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON products FOR EACH ROW EXECUTE FUNCTION refuse();
"""
MENDED = "DROP TRIGGER refuse ON products"
# As if the half minute between two trials were over.
TRIAL_DUE = "UPDATE queue_pauses SET tried_at = now() - interval '31 s'"


@pytest.fixture
def orderctl(database_url: str, vhost_url: str) -> Orderctl:
    return orderctl_on({"ORDERD_DATABASE_URL": database_url, "ORDERD_RABBITMQ_URL": vhost_url})


def test_a_paused_queue_keeps_its_messages_while_others_go_on(
    shop: Shop, daemon: StartDaemon, orderctl: Orderctl
) -> None:
    one, two = daemon(instance_name="one"), daemon(instance_name="two")

    paused = orderctl("pause", "product", "--reason", "stocktaking", "--json")
    for each in (one, two):
        each.wait_for_event("queue.paused", queue="product", timeout_s=OBEYED_S)
    shop.send_all([product(id="later"), user("ann", id="now")])
    shop.wait_for("now")

    assert paused.code == 0
    assert (paused.document["queue"], paused.document["reason"]) == ("product", "stocktaking")
    assert "later" not in shop.outcomes()
    assert shop.ready("product") == 1
    again = orderctl("resume", "product", "--json")
    assert again.document == {"queue": "product", "paused": False, "was_paused": True}
    assert shop.wait_for("later") == {"now": "applied", "later": "applied"}
    for each in (one, two):
        each.wait_for_event("queue.resumed", queue="product", timeout_s=OBEYED_S)
    heard = [one.routing_key for one in shop.take_all(HEARD)]
    assert heard.count("system.queue_paused") == 1
    assert heard.count("system.queue_resumed") == 1


def test_a_pause_outlives_a_restart_and_ends_by_itself(
    shop: Shop, daemon: StartDaemon, orderctl: Orderctl
) -> None:
    assert orderctl("pause", "product", "--reason", "x", "--until", "1h").code == 0
    shop.send_all([product(id="later"), user("ann", id="now")])

    orderd = daemon()
    orderd.wait_for_event("queue.paused", queue="product", timeout_s=OBEYED_S)
    shop.wait_for("now")
    assert shop.ready("product") == 1
    shop.query("UPDATE queue_pauses SET ends_at = now()")

    assert shop.wait_for("later")["later"] == "applied"
    assert shop.value("SELECT count(*) FROM queue_pauses") == 0


def test_what_is_paused_is_shown(daemon: StartDaemon, orderctl: Orderctl, tmp_path: Path) -> None:
    orderctl("pause", "product", "--reason", "stocktaking", "--until", "1h")
    file = tmp_path / "metrics.prom"
    daemon(metrics_file=file)

    wait_until(
        lambda: file.exists() and value(file, "orderd_queue_paused", queue="product") == 1,
        timeout_s=40,
        what="the paused queue in the metrics",
    )
    assert value(file, "orderd_queue_paused") == 1
    status = orderctl("status", "--json")
    assert status.code == 1
    (shown,) = status.document["pauses"]["queues_paused"]
    assert (shown["queue"], shown["reason"]) == ("product", "stocktaking")
    (listed,) = orderctl("daemons", "--json").document["items"]
    assert listed["paused_queues"] == ["product"]


def test_an_order_waits_for_what_a_paused_queue_may_bring(
    shop: Shop, daemon: StartDaemon, orderctl: Orderctl
) -> None:
    shop.open_with()
    orderctl("pause", "product", "--reason", "x")
    orderd = daemon(retry_delays="100ms,1s,2s,4s,8s,16s")

    shop.send_all([product(stock=5, id="product"), order({1: 2}, id="order")])
    deferred = orderd.wait_for_event("command.deferred", id="order")
    orderctl("resume", "product")

    assert deferred["code"] == "missing_reference"
    assert shop.wait_for("product", "order") == {"product": "applied", "order": "applied"}


def test_commands_that_fail_in_a_row_pause_their_queue_and_are_not_spent(
    shop: Shop, daemon: StartDaemon
) -> None:
    shop.query(BROKEN)
    orderd = daemon(retry_delays="100ms,200ms", batch_max=7)
    ids = [f"product-{number}" for number in range(60)]

    shop.send_all([product(stock=n + 1, id=each) for n, each in enumerate(ids)])
    tripped = orderd.wait_for_event("queue.paused", queue="product", timeout_s=OBEYED_S)
    shop.send_all([user("ann", id="now")])
    shop.wait_for("now")
    # All come back from the retry queue, and stay.
    wait_until(
        lambda: shop.ready("product") == len(ids), timeout_s=30, what="all messages in the queue"
    )

    assert "tripped: 5 commands create failed in a row" in tripped["message"]
    assert "division by zero" in tripped["message"] or "price list" in tripped["message"]
    assert shop.ready("product.dlq") == 0
    attempts = orderd.events("command.deferred", code="unexpected")
    assert 5 <= len(attempts) <= 5 * 3
    # A trial that fails costs nothing, and resumes nothing.
    shop.query(TRIAL_DUE)
    wait_until(
        lambda: shop.value("SELECT tried_at > now() - interval '20 s' FROM queue_pauses"),
        timeout_s=OBEYED_S,
        what="a trial",
    )
    wait_until(
        lambda: shop.ready("product") == len(ids), timeout_s=30, what="all messages in the queue"
    )
    assert shop.value("SELECT count(*) FROM queue_pauses") == 1
    assert shop.ready("product.dlq") == 0

    shop.query(MENDED)
    shop.query(TRIAL_DUE)

    assert set(shop.wait_for(*ids, timeout_s=60).values()) == {"applied"}
    orderd.wait_for_event("queue.resumed", queue="product", timeout_s=OBEYED_S)
    assert shop.ready("product.dlq") == 0


def test_a_trial_goes_on_until_it_meets_the_action_that_failed(
    shop: Shop, daemon: StartDaemon
) -> None:
    shop.open_with(stock=5)
    shop.query(BROKEN)
    orderd = daemon(retry_delays="4s", trip_after=2)
    shop.send_all([product(stock=n, id=f"product-{n}") for n in (1, 2, 3)])
    orderd.wait_for_event("queue.paused", queue="product", timeout_s=OBEYED_S)
    wait_until(lambda: shop.consumers("product") == 0, timeout_s=10, what="no consumer")
    # The first one in the queue, before those that failed come back to it.
    shop.send("product", "update", {"id": 1, "name": "product:5"}, id="other")
    wait_until(lambda: shop.ready("product") == 4, timeout_s=30, what="four messages")
    assert "other" not in shop.outcomes()
    shop.query(MENDED)
    shop.query(TRIAL_DUE)

    found = shop.wait_for("other", "product-1", "product-2", "product-3", timeout_s=60)
    assert found["product-3"] == "applied"
    orderd.wait_for_event("queue.resumed", queue="product", timeout_s=OBEYED_S)


def test_the_switch_does_not_trip_over_one_message_nor_where_it_is_off(
    shop: Shop, daemon: StartDaemon
) -> None:
    shop.query(BROKEN)
    orderd = daemon(retry_delays="100ms,110ms,120ms,130ms,140ms,150ms,160ms")
    shop.send_all([product(id="alone")])
    shop.take("product.dlq")
    assert not orderd.events("queue.paused")
    orderd.stop()

    off = daemon(retry_delays="100ms", trip_after=0)
    shop.send_all([product(stock=n, id=f"product-{n}") for n in range(20)])
    shop.take("product.dlq", 20)
    assert not off.events("queue.paused")


def test_daemons_are_listed(shop: Shop, daemon: StartDaemon, orderctl: Orderctl) -> None:
    empty = orderctl("daemons")
    one = daemon(instance_name="one")
    two = daemon(instance_name="two")
    shop.send_all([product(id="a")])
    shop.wait_for("a")
    wait_until(
        lambda: shop.value("SELECT count(last_commit_at) FROM daemons") == 1,
        timeout_s=40,
        what="the last commit of a daemon",
    )

    listed = {each["instance"]: each for each in orderctl("daemons", "--json").document["items"]}

    assert (empty.code, empty.out) == (0, "no daemons in the last 24 hours\n")
    assert {name: each["pid"] for name, each in listed.items()} == {"one": one.pid, "two": two.pid}
    assert {each["state"] for each in listed.values()} == {"running"}
    assert sum(each["last_commit"] is not None for each in listed.values()) == 1
    one.kill()
    two.stop()
    shop.query("UPDATE daemons SET seen_at = now() - interval '61 s' WHERE instance = 'one'")
    table = orderctl("daemons").out.splitlines()
    assert [line.split()[5] for line in table[1:]] == ["gone", "stopped"]
    shop.query("UPDATE daemons SET seen_at = now() - interval '25 hours'")
    assert orderctl("daemons", "--json").document == {"items": []}
