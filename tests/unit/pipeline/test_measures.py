"""What is counted of results, by which labels, and that nothing a message chose is one."""

import time
from typing import Any

import pytest

from orderd.pipeline.measures import Measures
from orderd.pipeline.shop_labels import shop_labels
from orderd.protocol.envelope import Invalid
from orderd.protocol.metrics import BatchPhase
from orderd.protocol.names import DeferralCode, InvalidCode
from orderd.shop.outcomes import Refused, Waiting
from orderd.shop.registry import SHOP
from tests.support.commands import decoded_from, delivery, request
from tests.unit.pipeline.results import ANSWERED, APPLIED, DEFERRED, result, spoilt

OVER_ALL = float("inf")


def counted(*results: Any) -> dict[tuple[str, ...], int]:
    """Return what has changed by *results*."""
    measures = Measures(shop_labels())
    before = dict(measures.messages)
    measures.count(results)
    return {labels: n for labels, n in measures.messages.items() if n != before.get(labels)}


def test_results_are_counted_by_queue_action_outcome_and_code() -> None:
    refused = Refused(next(iter(SHOP.by_queue["user"].refusals)), "no")

    assert counted(
        result(APPLIED), result(APPLIED), result(ANSWERED), result(refused), result(DEFERRED)
    ) == {
        ("user", "create", "applied", ""): 2,
        ("user", "list", "answered", ""): 1,
        ("user", "create", "refused", str(refused.code)): 1,
        ("user", "create", "deferred", "transient"): 1,
    }


def test_a_command_that_waits_for_its_turn_is_deferred_without_code() -> None:
    assert counted(result(Waiting("for another"))) == {("user", "create", "deferred", ""): 1}


@pytest.mark.parametrize("body", [b"{", b'{"action": "smuggle"}', b'{"action": 7}', b"[]"])
def test_the_action_of_what_is_no_command_is_other(body: bytes) -> None:
    outcome = decoded_from(delivery("order", body))

    assert isinstance(outcome, Invalid)
    assert counted(spoilt(body, outcome)) == {("order", "other", "invalid", str(outcome.code)): 1}


def test_a_known_action_with_wrong_data_is_counted_as_such() -> None:
    one = request("user", "create", {"username": ""})
    outcome = decoded_from(one)

    assert isinstance(outcome, Invalid)
    assert counted(spoilt(one.body, outcome)) != {}
    assert outcome.action == "create"


def test_whatever_can_come_is_there_from_the_start() -> None:
    messages = Measures(shop_labels()).messages

    assert set(messages.values()) == {0}
    for entity in SHOP.entities:
        queue = str(entity.queue)
        for code in entity.refusals:
            assert (queue, entity.actions[0].name, "refused", str(code)) in messages
        for invalid in InvalidCode:
            assert (queue, "other", "invalid", str(invalid)) in messages
        for deferral in DeferralCode:
            assert (queue, "health_check", "deferred", str(deferral)) in messages


def test_commands_on_rows_of_others_are_there_from_the_start() -> None:
    found = {
        labels[:2]
        for labels in Measures(shop_labels()).messages
        if labels[2:] == ("invalid", "forbidden") and labels[1] != "other"
    }

    assert ("order", "update_status") in found
    assert ("user", "get") in found
    assert ("product", "create") not in found


@pytest.mark.parametrize(
    ("ahead_s", "bound"),
    [(-3, 5.0), (-40, 60.0), (-400, OVER_ALL)],
)
def test_time_counts_from_the_publishing_where_that_is_sane(ahead_s: int, bound: float) -> None:
    assert bound_of(ahead_s) == bound


@pytest.mark.parametrize("ahead_s", [3600, -(10**8)])
def test_time_counts_from_the_arrival_where_the_publishing_is_not_sane(ahead_s: int) -> None:
    # It has just arrived; how long ago depends on what else the machine does.
    assert bound_of(ahead_s) < 60


def bound_of(ahead_s: int) -> float:
    """Return the bound of the bucket that has a message published so long from now."""
    measures = Measures(shop_labels())
    measures.count([result(APPLIED, timestamp=int(time.time()) + ahead_s)])
    return next(to for to, count in measures.critical["user"].buckets() if count)


def test_what_is_deferred_has_no_outcome_yet() -> None:
    measures = Measures(shop_labels())

    measures.count([result(DEFERRED)])

    assert list(measures.critical["user"].buckets())[-1] == (OVER_ALL, 0)


def test_a_stopwatch_times_one_phase_after_the_other() -> None:
    measures = Measures(shop_labels())

    watch = measures.stopwatch(ahead_s=2.0)
    watch.end(BatchPhase.DECODE)
    watch.end(BatchPhase.LOAD)

    assert measures.phases["decode"].total == pytest.approx(2.0, abs=1.0)
    assert measures.phases["load"].total < 1.0
    assert list(measures.phases["decide"].buckets())[-1] == (OVER_ALL, 0)
