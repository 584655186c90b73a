"""Retry queues as former versions declared them: named, used, and replaced once they are empty."""

from typing import Any

import pytest

from tests.integration.ctl.conftest import Orderctl
from tests.integration.ctl.letters import Broker

# So long that nothing comes back.
DELAYS = {"ORDERD_RETRY_DELAYS": "1h"}
RETRY = "user.retry.1h"
FORMER = {
    "x-message-ttl": 3_600_000,
    "x-dead-letter-exchange": "",
    "x-dead-letter-routing-key": "user",
}


@pytest.fixture(params=["classic", "quorum"])
def kind(request: pytest.FixtureRequest, broker: Broker) -> str:
    """The type of a retry queue declared by an earlier version, the only one that is there."""
    kind = str(request.param)
    arguments = FORMER | {"x-queue-type": kind}
    broker.channel.queue_declare(RETRY, durable=True, arguments=arguments)
    return kind


def put(broker: Broker) -> None:
    broker.channel.basic_publish("", RETRY, b"{}", mandatory=True)


def take(broker: Broker) -> None:
    """Take the message out as soon as the queue counts it."""
    while broker.channel.basic_get(RETRY, auto_ack=True)[0] is None:
        pass


@pytest.mark.usefixtures("kind")
def test_one_with_messages_is_left_and_replaced_when_it_is_empty(
    topology: Any, broker: Broker
) -> None:
    put(broker)

    first = topology("apply", **DELAYS)
    linted = topology("lint", "--json", **DELAYS)
    take(broker)
    second = topology("apply", "--json", **DELAYS)
    third = topology("apply", "--json", **DELAYS)

    assert (first.code, second.code) == (0, 0)
    assert f"{RETRY} remains as an earlier version declared it: it holds messages" in first.err
    [told] = [one for one in linted.document["items"] if one["subject"] == RETRY]
    assert (linted.code, told["problem"].startswith("declared by an earlier version: ")) == (
        1,
        True,
    )
    assert told["fix"] == "orderctl topology apply replaces it once it is empty"
    assert (second.document["replaced"], second.document["left"]) == ([RETRY], {})
    assert (third.document["replaced"], third.document["left"]) == ([], {})
    assert topology("lint", **DELAYS).code == 0


def test_a_quorum_queue_is_left_while_somebody_may_publish_to_it(
    topology: Any, broker: Broker, kind: str
) -> None:
    topology("apply", ORDERD_RETRY_DELAYS="2h")
    broker.channel.basic_consume("user", lambda *_: None)

    applied = topology("apply", "--json", **DELAYS)

    if kind == "classic":
        assert applied.document["replaced"] == [RETRY]
    else:
        assert applied.document["replaced"] == []
        assert "stop the consumers of user" in applied.document["left"][RETRY]


@pytest.mark.usefixtures("kind")
def test_it_is_shown_and_its_presence_is_no_fault(
    topology: Any, orderctl: Orderctl, broker: Broker
) -> None:
    broker.declare()

    shown = topology("show", "--json", **DELAYS)
    status = orderctl("status", "--json", **DELAYS)

    rows = {row["name"]: row for row in shown.document["items"]}
    assert rows[RETRY]["state"].startswith("declared by an earlier version")
    assert rows[RETRY]["needed_arguments"]["x-dead-letter-strategy"] == "at-least-once"
    assert rows["user"]["state"] == "as needed"
    assert status.document["queues"]["former"] == [RETRY]
    assert f"{RETRY} (orderctl topology apply)" in status.document["queues"]["summary"]
