"""`orderctl dlq replay` and `discard`: which letters go, and what becomes of the others."""

from typing import Any

import pytest

from tests.conftest import StartDaemon
from tests.integration.ctl.conftest import Orderctl
from tests.integration.ctl.letters import Broker


@pytest.mark.parametrize(
    "kind", [{"queue_type": "classic"}, {"queue_type": "quorum", "delivery_limit": 20}]
)
def test_only_what_matches_goes_and_the_rest_keeps_its_order(
    orderctl: Orderctl, broker: Broker, kind: dict[str, Any]
) -> None:
    broker.declare(**kind)
    for number in range(12):
        broker.bury("user", b"%d" % number, code="poison" if number % 3 else "malformed")

    done = orderctl("dlq", "replay", "--code", "poison", "--limit", "3", "--json")

    assert done.document == {
        "dry_run": False,
        "looked_at": 5,
        "replayed": 3,
        "skipped": 0,
        "failed": 0,
    }
    assert broker.take_bodies("user") == [b"1", b"2", b"4"]
    broker.wait_for("user.dlq", 9)
    assert broker.take_bodies("user.dlq") == [b"%d" % n for n in (0, 3, 5, 6, 7, 8, 9, 10, 11)]


@pytest.mark.parametrize("queue_type", ["classic", "quorum"])
def test_many_that_stay_keep_their_order_too(
    orderctl: Orderctl, broker: Broker, queue_type: str
) -> None:
    broker.declare(queue_type=queue_type)
    for number in range(200):
        broker.bury("user", b"%d" % number, code="poison" if number % 2 else "malformed")

    orderctl("dlq", "replay", "--code", "poison")

    assert broker.take_bodies("user") == [b"%d" % number for number in range(1, 200, 2)]
    assert broker.ready("user.dlq") == 100
    assert broker.take_bodies("user.dlq") == [b"%d" % number for number in range(0, 200, 2)]


def test_a_dry_run_changes_nothing(orderctl: Orderctl, broker: Broker) -> None:
    broker.declare()
    broker.bury_numbered("user", range(3))

    done = orderctl("dlq", "replay", "--dry-run", "--limit", "2")

    assert (done.code, done.out) == (0, "2 would be replayed; 2 looked at of 3\n")
    assert broker.ready("user") == 0
    broker.wait_for("user.dlq", 3)
    assert broker.take_bodies("user.dlq") == [b"0", b"1", b"2"]


def test_a_letter_whose_queue_is_gone_stays(orderctl: Orderctl, broker: Broker) -> None:
    broker.declare()
    broker.bury_numbered("user", range(2))
    broker.bury("order", b"3")
    broker.channel.queue_delete("user")

    done = orderctl("dlq", "replay", "--json")

    assert done.code == 1
    assert (done.document["replayed"], done.document["failed"]) == (1, 2)
    assert "queue user: returned: 312 NO_ROUTE" in done.err
    broker.wait_for("user.dlq", 2)
    assert broker.take_bodies("user.dlq") == [b"0", b"1"]


def test_a_replay_of_what_fails_again_has_an_end(
    orderctl: Orderctl, daemon: StartDaemon, broker: Broker
) -> None:
    daemon()
    broker.wait_for("user.dlq", 0)
    for number in range(250):
        broker.bury("user", b"%d" % number)

    done = orderctl("dlq", "replay", "--json")

    assert done.document["replayed"] == 250
    broker.wait_for("user.dlq", 250)


class TestDiscard:
    def test_letters_go_for_good_if_that_is_said(self, orderctl: Orderctl, broker: Broker) -> None:
        broker.declare()
        for number in range(6):
            broker.bury("order", b"%d" % number, code="poison" if number % 2 else "malformed")

        done = orderctl("dlq", "discard", "order", "--code", "poison", "--yes")

        assert (done.code, done.out) == (0, "3 discarded; 6 looked at of 6\n")
        broker.wait_for("order.dlq", 3)
        assert broker.take_bodies("order.dlq") == [b"0", b"2", b"4"]

    @pytest.mark.parametrize(("arguments", "code"), [((), 2), (("--dry-run", "--yes"), 0)])
    def test_else_it_only_tells(
        self, orderctl: Orderctl, broker: Broker, arguments: tuple[str, ...], code: int
    ) -> None:
        broker.declare()
        broker.bury_numbered("order", range(3))

        done = orderctl("dlq", "discard", *arguments)

        assert (done.code, done.out) == (code, "3 would be discarded; 3 looked at of 3\n")
        assert ("pass --yes" in done.err) == (code == 2)
        broker.wait_for("order.dlq", 3)
        assert broker.take_bodies("order.dlq") == [b"0", b"1", b"2"]
