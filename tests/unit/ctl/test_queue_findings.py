from decimal import Decimal

from orderd.amqp.topology import QueueDepth
from orderd.ctl.broker_findings import judge_queues
from orderd.protocol.names import Queue

NAMES = (*Queue, *(f"{queue}.dlq" for queue in Queue), "order.retry.5s")


def depths(**changed: QueueDepth | None) -> dict[str, QueueDepth | None]:
    found: dict[str, QueueDepth | None] = {
        str(name): QueueDepth(ready=0, consumers=0 if "." in name else 1) for name in NAMES
    }
    return found | changed


def test_queues_that_are_taken_from_are_well() -> None:
    ages = {"order": 2.5}
    finding = judge_queues(depths(order=QueueDepth(ready=12, consumers=2)), ages=ages)

    assert finding.is_well
    assert finding.summary.startswith("12 commands ready")
    row = {"queue": "order", "ready": 12, "consumers": 2, "oldest_s": Decimal("2.5")}
    assert finding.facts["queues"][2] == row
    assert finding.facts["queues"][1]["oldest_s"] is None


def test_dead_letters_and_retries_are_told_of_and_no_fault() -> None:
    found = depths() | {
        "order.dlq": QueueDepth(ready=3, consumers=0),
        "order.retry.5s": QueueDepth(ready=2, consumers=0),
    }

    finding = judge_queues(found)

    assert finding.is_well
    assert finding.summary == "0 commands ready, 2 waiting for a retry, 3 dead letters"


def test_a_queue_without_a_consumer_is_a_fault() -> None:
    finding = judge_queues(depths(user=QueueDepth(ready=0, consumers=0)))

    assert not finding.is_well
    assert finding.summary.endswith("no consumers on: user")


def test_a_missing_queue_is_a_fault() -> None:
    finding = judge_queues(depths() | {"user": None, "order.dlq": None})

    assert not finding.is_well
    assert finding.summary.endswith("missing: user and 1 more")


def test_queues_of_notifications_need_a_consumer_once_orderd_notify_has_made_them() -> None:
    listening = {"user_notifications": QueueDepth(ready=4, consumers=0)}
    made = listening | {"user_notifications.dlq": QueueDepth(ready=2, consumers=0)}

    listener, notifier = judge_queues(depths() | listening), judge_queues(depths() | made)

    assert listener.is_well
    assert listener.summary.startswith("0 commands and 4 notifications ready, 0 waiting")
    assert not notifier.is_well
    assert "2 dead letters; no consumers on: user_notifications" in notifier.summary
