"""`orderctl topology apply` and `show`: what is declared, and what there is."""

from typing import Any

from orderd.protocol.names import Queue
from tests.conftest import StartDaemon
from tests.integration.ctl.conftest import Orderctl
from tests.integration.ctl.letters import Broker

LISTENERS = (
    "order_processing",
    "order_completed",
    "system_events",
)


def test_everything_is_declared_once_and_again(topology: Any, broker: Broker) -> None:
    first, again = topology("apply"), topology("apply", "--json")

    assert (first.code, again.code) == (0, 0)
    assert "product.retry.5s" in first.out
    assert len(again.document["there"]) == 5 * len(Queue) + 1
    for queue in ("user", "product.dlq", "order.retry.5min"):
        assert broker.ready(queue) == 0


def test_listeners_are_declared_and_hear(
    topology: Any, orderctl: Orderctl, daemon: StartDaemon, broker: Broker
) -> None:
    assert topology("apply", "--events").code == 0
    orderd = daemon()
    orderctl("call", "user", "create", '{"username": "ann", "email": "ann@example.com"}')
    product = '{"name": "lamp", "price": 5, "stock_quantity": 1}'
    orderctl("call", "product", "create", product)
    order = '{"user_id": 1, "items": [{"product_id": 1, "quantity": 1}]}'
    orderctl("call", "order", "create", order)
    for status in ("processing", "shipped", "delivered"):
        change = f'{{"order_id": 1, "status": "{status}"}}'
        assert orderctl("call", "order", "update_status", change).code == 0
    orderd.stop()

    assert [broker.ready(queue) for queue in LISTENERS[:2]] == [1, 1]
    assert broker.ready("system_events") > 0
    # Created, processing, shipped, delivered; out of stock, and what daemons tell.
    assert broker.ready("user_notifications") == 4
    assert broker.ready("admin_notifications") > 0


def test_a_queue_that_orderd_cannot_use_is_said(topology: Any, broker: Broker) -> None:
    broker.channel.queue_declare("user.retry.5s", durable=True)

    applied, shown, linted = topology("apply"), topology("show", "--json"), topology("lint")

    assert applied.code == 78
    assert "user.retry.5s" in applied.err
    assert "x-message-ttl" in applied.err
    [row] = [row for row in shown.document["items"] if row["name"] == "user.retry.5s"]
    assert (row["ok"], "x-message-ttl" in row["state"]) == (False, True)
    assert linted.code == 1
    assert "user.retry.5s" in linted.out


def test_what_there_is_is_shown_beside_what_is_needed(
    topology: Any, daemon: StartDaemon, broker: Broker
) -> None:
    daemon(retry_delays="1s")
    broker.bury("user", b"1")

    rows = {
        row["name"]: row
        for row in topology("show", "--json", ORDERD_RETRY_DELAYS="1s").document["items"]
    }
    table = topology("show", ORDERD_RETRY_DELAYS="1s")

    assert (rows["user"]["ok"], rows["user"]["consumers"], rows["user"]["type"]) == (
        True,
        1,
        "classic",
    )
    assert (rows["user.dlq"]["ready"], rows["user.dlq"]["consumers"]) == (1, 0)
    has, needs = (rows["user.retry.1s"][key] for key in ("arguments", "needed_arguments"))
    assert has == needs
    assert rows["user.retry.1s"]["arguments"]["x-message-ttl"] == 1000
    assert (rows["orderd.events"]["kind"], rows["orderd.events"]["ok"]) == ("exchange", True)
    assert rows["system_events"]["state"] == "not declared, for listeners only"
    assert table.code == 0
    assert "topic exchange" in table.out


def test_without_the_management_api_the_rest_is_still_shown(orderctl: Orderctl) -> None:
    nowhere = "http://127.0.0.1:1"
    orderctl("topology", "apply")

    shown = orderctl("topology", "show", "--management-url", nowhere)
    linted = orderctl("topology", "lint", "--json", "--management-url", nowhere)

    assert (shown.code, "as needed" in shown.out) == (0, True)
    assert "arguments and policies: http://127.0.0.1:1" in shown.err
    assert (linted.code, linted.document["ok"]) == (3, False)
    assert [text.split(":")[0] for text in linted.document["not_checked"]][:6] == [
        "policies and arguments",
        "delivery limits",
        "bindings",
        "listeners",
        "permissions",
        "limits",
    ]


def test_the_queues_of_notifications_are_declared_as_orderd_notify_would(
    topology: Any, broker: Broker
) -> None:
    before = {row["name"]: row for row in topology("show", "--json").document["items"]}
    assert topology("apply").code == 0
    plain = topology("lint", "--json")

    applied = topology("apply", "--events", "--json")
    shown = {row["name"]: row for row in topology("show", "--json").document["items"]}

    assert before["user_notifications"]["state"] == "not declared, for orderd-notify only"
    assert before["user_notifications.dlq"]["ok"] is True
    assert plain.document["items"] == []
    assert "admin_notifications.retry.5min" in applied.document["there"]
    assert (shown["notifications"]["kind"], shown["notifications"]["state"]) == (
        "exchange",
        "as needed",
    )
    for exchange, key, queue in (
        ("orderd.events", "order.shipped", "user_notifications"),
        ("orderd.events", "system.started", "admin_notifications"),
        ("notifications", "user.moved", "user_notifications"),
        ("notifications", "admin.backup", "admin_notifications"),
    ):
        ready = broker.ready(queue)
        broker.channel.basic_publish(exchange, key, b"{}", mandatory=True)
        broker.wait_for(queue, ready + 1)


def test_a_binding_that_is_missing_is_named_and_declared_again(
    topology: Any, broker: Broker
) -> None:
    assert topology("apply", "--events").code == 0
    broker.channel.queue_unbind("user_notifications", "orderd.events", "order.shipped")

    linted = topology("lint", "--json")

    assert linted.code == 1
    (found,) = linted.document["items"]
    assert found["subject"] == "user_notifications"
    assert "not bound to orderd.events by order.shipped" in found["problem"]
    assert topology("apply", "--events").code == 0
    assert topology("lint", "--json").document["items"] == []


def test_a_queue_of_notifications_that_only_listens_is_not_judged_by_what_it_lacks(
    topology: Any, orderctl: Orderctl, daemon: StartDaemon, broker: Broker
) -> None:
    daemon()
    broker.channel.queue_declare("user_notifications", durable=True)

    assert topology("lint", "--json").document["items"] == []
    assert orderctl("status").code == 0


def test_a_queue_of_notifications_without_a_consumer_is_not_well(
    topology: Any, orderctl: Orderctl, daemon: StartDaemon
) -> None:
    daemon()
    assert topology("apply", "--events").code == 0

    status = orderctl("status", "--json")

    assert status.code == 1
    assert (
        "no consumers on: user_notifications, admin_notifications"
        in (status.document["queues"]["summary"])
    )
