"""When the kill switch trips, and what it spares then."""

from dataclasses import replace

import pytest

from orderd.pipeline.kill_switch import REASON_CHARS_MAX, KillSwitch
from orderd.pipeline.policy import Policy
from orderd.pipeline.results import Result
from orderd.protocol.names import DeferralCode, RefusalCode
from orderd.shop.outcomes import Applied, Deferred, Done, Refused, Unreachable, Waiting
from tests.support.policies import policy
from tests.unit.pipeline.results import ANSWERED, APPLIED, DEFERRED, result, spoilt

BROKEN = Deferred(DeferralCode.UNEXPECTED, "ValueError: no", "Traceback", place="=a")
REFUSED = Refused(RefusalCode.EXPIRED, "too late")
AWAY = Unreachable("mail", "connection refused", place="given-1")


@pytest.fixture
def switch() -> KillSwitch:
    return KillSwitch(tripping_after(3))


def tripping_after(count: int) -> Policy:
    changed = policy()
    changed.trip_after = count
    return changed


def broken(request_id: str) -> Result:
    return result(BROKEN, None, request_id=request_id)


def test_so_many_different_messages_in_a_row_trip_it(switch: KillSwitch) -> None:
    judged = switch.judge([broken("a"), broken("b"), broken("c"), broken("d"), broken("e")])

    assert [each.outcome for each in judged[:3]] == [BROKEN] * 3
    for each in judged[3:]:
        assert isinstance(each.outcome, Waiting)
        assert each.outcome.place == "=a"
        assert "ValueError: no" in each.outcome.message
    (trip,) = switch.trips
    assert (trip.queue, trip.action) == ("user", "create")
    assert trip.reason.startswith("tripped: 3 commands create failed in a row")


def test_one_message_again_and_again_does_not(switch: KillSwitch) -> None:
    for _ in range(10):
        switch.judge([broken("a"), broken("b")])

    assert not switch.trips


@pytest.mark.parametrize("between", [APPLIED, REFUSED], ids=str)
def test_a_success_of_the_action_begins_at_0(
    switch: KillSwitch, between: Applied | Refused
) -> None:
    success = replace(broken("x"), outcome=between)

    switch.judge([broken("a"), broken("b"), success, broken("c"), broken("d")])
    assert not switch.trips

    switch.judge([broken("e")])
    assert switch.trips


def test_what_says_nothing_of_the_action_does_not_end_the_row(switch: KillSwitch) -> None:
    between = [result(ANSWERED), result(DEFERRED, None, request_id="t"), spoilt()]

    switch.judge([broken("a"), *between, broken("b"), *between, broken("c")])

    assert switch.trips


def test_it_is_off_at_0() -> None:
    switch = KillSwitch(tripping_after(0))

    judged = switch.judge([broken(str(number)) for number in range(50)])

    assert {each.outcome for each in judged} == {BROKEN}
    assert not switch.trips


def test_a_queue_that_another_daemon_paused_is_spared_too(switch: KillSwitch) -> None:
    switch.obey({"user": "create"})

    (judged,) = switch.judge([broken("a")])

    assert isinstance(judged.outcome, Waiting)
    switch.obey({})
    assert switch.judge([broken("a")])[0].outcome is BROKEN


def test_only_a_trial_of_the_action_that_failed_resumes(switch: KillSwitch) -> None:
    switch.obey({"user": "create"})
    switch.judge([result(APPLIED, request_id="delivered before")])
    assert not switch.tried

    switch.trials.add("user")
    switch.judge([result(ANSWERED)])
    assert not switch.tried
    switch.judge([broken("a")])
    assert (switch.tried, switch.succeeded) == ({"user"}, set())
    switch.judge([result(APPLIED, request_id="b")])
    assert switch.succeeded == {"user"}


def test_the_reason_stays_short(switch: KillSwitch) -> None:
    long = replace(BROKEN, message="x" * 5_000)

    switch.judge([result(long, None, request_id=each) for each in "abc"])

    assert len(switch.trips[0].reason) == REASON_CHARS_MAX


@pytest.mark.parametrize("trip_after", [0, 3])
def test_a_server_that_is_away_trips_at_once_and_costs_nothing(trip_after: int) -> None:
    switch = KillSwitch(tripping_after(trip_after))

    judged = switch.judge([result(AWAY, None), result(AWAY, None)])

    for each in judged:
        assert each.outcome == Waiting("channel mail: connection refused", place="given-1")
    (trip,) = switch.trips
    assert (trip.queue, trip.action) == ("user", "channel mail")
    assert trip.reason == "tripped: channel mail: connection refused"


@pytest.mark.parametrize(
    ("outcome", "is_tried", "is_over"),
    [
        (AWAY, True, False),
        (Unreachable("chat", "connection refused"), False, False),
        (Done(("chat",)), False, False),
        (Done(("chat", "mail")), True, True),
    ],
    ids=str,
)
def test_the_trial_of_a_server_is_a_message_that_needs_it(
    switch: KillSwitch, outcome: Done | Unreachable, *, is_tried: bool, is_over: bool
) -> None:
    switch.obey({"user": "channel mail"})
    switch.trials.add("user")

    switch.judge([result(outcome, None)])

    assert ("user" in switch.tried, "user" in switch.succeeded) == (is_tried, is_over)
    assert not switch.trips
