"""Each notification is sent once for each channel and recipient, and is on record."""

from dataclasses import replace

import pytest

from orderd.notify.faults import RefusedForGood, RefusedForNow, Unreachable
from orderd.protocol.names import HEADER_EXPIRES_AT, HEADER_PLACE, DeferralCode, NoticeQueue
from orderd.shop import outcomes
from orderd.shop.outcomes import Deferred, Done, Undeliverable, Waiting
from tests.integration.notify.deliveries import shipped, sold_out, told, unnamed
from tests.integration.notify.offices import Killed, Office, Offices
from tests.support.commands import again
from tests.support.policies import RETRY_DELAYS_S
from tests.unit.notify.notices import EVENT

MAIL = {
    "kind": "smtp",
    "name": "mail",
    "for": "users",
    "url": "smtp://localhost",
    "from": "shop@example.org",
}
HOOK = {"kind": "webhook", "name": "hook", "for": "users", "url": "https://hooks.example.org"}
ADMINS = {
    **MAIL,
    "name": "admins",
    "for": "admins",
    "to": ["one@example.org", "two@example.org"],
}
UNDELIVERABLE = Undeliverable("undeliverable", "channel mail: 550 no such user")
REFUSED_FOR_NOW = Deferred(DeferralCode.TRANSIENT, "channel mail: 450 try later", delay_s=7.0)


@pytest.fixture
def office(offices: Offices) -> Office:
    return offices(MAIL, HOOK, ADMINS)


def test_a_notification_goes_over_each_channel_and_is_on_record(office: Office) -> None:
    assert office.send(shipped()) == [Done(("mail", "hook"))]

    assert office.channels["mail"].taken[0].address == "ann@example.org"
    assert office.states == [("hook", "user/1", "sent", 1), ("mail", "user/1", "sent", 1)]


def test_each_administrator_gets_a_message_of_its_own(office: Office) -> None:
    office.send(sold_out())

    taken = office.channels["admins"].taken
    assert [message.address for message in taken] == ["one@example.org", "two@example.org"]
    assert len({message.id for message in taken}) == len(taken)


def test_it_is_on_record_while_it_is_sent(office: Office) -> None:
    seen = []
    office.channels["mail"].on_send = lambda: seen.extend(office.states)

    office.send(shipped())

    assert ("mail", "user/1", "sending", 1) in seen


def test_the_same_event_again_is_not_sent_again(office: Office) -> None:
    one = shipped("twice")

    office.send(one)
    assert office.send(again(one), shipped("twice")) == [Done(()), Done(())]

    assert len(office.channels["mail"].taken) == 1


def test_what_a_crash_left_is_sent_with_the_same_id(office: Office) -> None:
    office.channels["mail"].kill()
    with pytest.raises(Killed):
        office.send(shipped("killed"))

    office.send(shipped("killed"))

    first, second = office.channels["mail"].taken
    assert first.id == second.id


def test_the_address_of_now_counts(office: Office) -> None:
    office.channels["mail"].faults = [RefusedForNow("450 try later")]
    one = shipped("moved")
    office.send(one)
    office.query("UPDATE users SET email = 'ann@example.com' WHERE id = 1")

    office.send(again(one))

    assert [each.address for each in office.channels["mail"].taken] == ["ann@example.com"]
    assert len(office.channels["hook"].taken) == 1


@pytest.mark.parametrize(
    ("user_id", "why"), [(2, "user 2 is not active"), (99, "there is no user 99")]
)
def test_who_is_not_to_get_it_is_on_record_with_the_reason(
    office: Office, user_id: int, why: str
) -> None:
    assert office.send(shipped(user_id=user_id)) == [Done(())]

    assert office.channels["mail"].taken == []
    assert office.query("SELECT DISTINCT state, error FROM notifications") == [("skipped", why)]


def test_a_refusal_for_now_is_tried_again_where_it_was_met(office: Office) -> None:
    one = shipped("later")
    office.channels["mail"].faults = [RefusedForNow("450 try later", 7.0)]

    assert office.send(one) == [REFUSED_FOR_NOW]
    assert ("mail", "user/1", "deferred", 1) in office.states
    assert office.send(replace(shipped("later", attempt=1))) == [Done(("mail",))]

    assert ("mail", "user/1", "sent", 2) in office.states
    assert len(office.channels["hook"].taken) == 1


def test_the_last_refusal_for_now_is_a_failure(office: Office) -> None:
    office.channels["mail"].faults = [RefusedForNow("450 try later")]

    office.send(shipped(attempt=len(RETRY_DELAYS_S)))

    assert ("mail", "user/1", "failed", 1) in office.states


def test_a_refusal_for_good_is_told_with_its_answer(office: Office) -> None:
    office.channels["mail"].faults = [RefusedForGood("550 no such user")]

    (outcome,) = office.send(shipped())

    assert outcome == UNDELIVERABLE
    errors = office.query("SELECT state, error FROM notifications WHERE channel = 'mail'")
    assert errors == [("failed", "550 no such user")]
    assert len(office.channels["hook"].taken) == 1


def test_a_failure_is_tried_again_in_a_replay_and_not_in_a_retry(office: Office) -> None:
    office.channels["mail"].faults = [RefusedForGood("550 no such user")]
    office.channels["hook"].faults = [RefusedForNow("503")]
    (first,) = office.send(shipped("replayed"))
    assert isinstance(first, Deferred)

    # What had to wait for its neighbour is a dead letter all the same.
    assert office.send(shipped("replayed", attempt=1)) == [UNDELIVERABLE]
    assert [len(each.taken) for each in office.channels.values()] == [0, 1, 0]
    assert office.send(shipped("replayed")) == [Done(("mail",))]


@pytest.mark.parametrize("why", ["user 1 is not active", "expired before it could be sent"])
def test_what_is_not_to_be_sent_any_more_is_skipped_after_its_first_try(
    office: Office, why: str
) -> None:
    office.channels["mail"].faults = [RefusedForNow("450 try later")]
    office.send(shipped("late"))
    headers = {HEADER_EXPIRES_AT: 1}
    if "active" in why:
        headers = {}
        office.query("UPDATE users SET is_active = false WHERE id = 1")

    assert office.send(shipped("late", attempt=1, headers=headers)) == [Done(())]

    assert office.states == [("hook", "user/1", "sent", 1), ("mail", "user/1", "skipped", 1)]
    assert office.query("SELECT error FROM notifications WHERE channel = 'mail'") == [(why,)]


def test_a_server_that_is_away_costs_no_attempt_and_holds_up_no_other(office: Office) -> None:
    office.channels["mail"].faults = [Unreachable("connection refused")]

    (outcome,) = office.send(shipped())

    assert outcome == outcomes.Unreachable("mail", "connection refused")
    assert office.states == [("hook", "user/1", "sent", 1), ("mail", "user/1", "deferred", 0)]


def test_a_server_that_is_away_is_asked_once_for_all_of_a_batch(office: Office) -> None:
    tries: list[int] = []
    office.channels["mail"].on_send = lambda: tries.append(1)
    office.channels["mail"].faults = [Unreachable("connection refused")]

    outcome, *others = office.send(shipped(), shipped(), shipped())
    assert isinstance(outcome, outcomes.Unreachable)
    assert others == [outcome] * 2
    assert len(tries) == 1

    assert office.send(shipped()) == [Done(("mail", "hook"))]


def test_a_fault_of_a_channel_costs_its_message_alone(office: Office) -> None:
    office.channels["mail"].faults = [ZeroDivisionError("oops")]

    first, second = office.send(shipped(), shipped())

    assert isinstance(first, Deferred)
    assert first.code is DeferralCode.UNEXPECTED
    assert "ZeroDivisionError: oops" in first.message
    assert second == Done(("mail", "hook"))


@pytest.mark.parametrize(
    ("attempt", "state"), [(0, "deferred"), (len(RETRY_DELAYS_S), "failed")], ids=["first", "last"]
)
def test_an_event_that_its_text_does_not_fit_is_on_record_with_the_fault(
    office: Office, attempt: int, state: str
) -> None:
    event = {**EVENT, "data": {"user_id": 1}}

    (outcome,) = office.send(told(NoticeQueue.USER, event, attempt=attempt))

    assert isinstance(outcome, Deferred)
    assert outcome.code == DeferralCode.UNEXPECTED
    assert office.states == [(name, "user/1", state, 1) for name in ("hook", "mail")]
    assert all(
        "order.shipped.txt:1: 'dict object' has no attribute 'id'" in error
        for (error,) in office.query("SELECT error FROM notifications")
    )


def test_of_two_daemons_one_sends(office: Office, offices: Offices) -> None:
    other = offices(MAIL, HOOK, ADMINS)
    told = []
    office.channels["mail"].on_send = lambda: told.extend(other.send(shipped("both")))

    office.send(shipped("both"))

    assert told == [Waiting("another daemon is sending it")]
    assert len(office.channels["mail"].taken) == 1
    assert other.channels["mail"].taken == []


def test_without_an_id_each_delivery_is_a_message_of_its_own(office: Office) -> None:
    office.send(unnamed(), unnamed())

    assert len(office.channels["admins"].taken) == 4


def test_without_an_id_a_redelivery_is_known(office: Office) -> None:
    one = unnamed()
    office.send(one)

    office.send(replace(again(one), redelivered=True))

    assert len(office.channels["admins"].taken) == 2


def test_without_an_id_a_retry_brings_along_what_it_is_known_by(office: Office) -> None:
    office.channels["admins"].faults = [RefusedForNow("450")]
    (outcome,) = office.send(unnamed())
    assert isinstance(outcome, Deferred)

    office.send(unnamed(attempt=1, headers={HEADER_PLACE: outcome.place}))

    assert sorted(each.address for each in office.channels["admins"].taken) == [
        "one@example.org",
        "two@example.org",
    ]
