"""What comes in numbers goes to administrators as one message, and none of it is lost."""

from typing import Any

import pytest

from orderd.notify.digests import AGAIN_AFTER_S, LINES_MAX, LOOK_EVERY_S
from orderd.notify.faults import RefusedForGood, Unreachable
from tests.integration.notify.deliveries import sold_out, unnamed
from tests.integration.notify.offices import Killed, Office, Offices

DIGEST: dict[str, Any] = {
    "kind": "smtp",
    "name": "mail",
    "for": "admins",
    "url": "smtp://localhost",
    "from": "shop@example.org",
    "to": ["ops@example.org"],
    "digest": "5min",
}


@pytest.fixture
def office(offices: Offices) -> Office:
    return offices(DIGEST)


def turn(office: Office, after_s: float = LOOK_EVERY_S) -> None:
    office.now_s += after_s
    office.digests.turn()


def make_due(office: Office) -> None:
    office.query("UPDATE notifications SET created_at = created_at - interval '6 minutes'")


def counts(office: Office) -> dict[str, int]:
    return dict(office.query("SELECT state, count(*) FROM notifications GROUP BY state"))


def test_the_first_goes_at_once_and_the_others_together(office: Office) -> None:
    office.send(*(sold_out() for _ in range(5)))
    assert len(office.channels["mail"].taken) == 1
    turn(office)
    assert counts(office) == {"sent": 1, "collected": 4}

    make_due(office)
    turn(office)

    assert counts(office) == {"sent": 5}
    _, digest = office.channels["mail"].taken
    assert "4" in digest.subject
    assert digest.text.count("Lamp") == 4
    turn(office)
    assert len(office.channels["mail"].taken) == 2


def test_what_is_collected_goes_also_where_the_channel_has_no_digest_any_more(
    office: Office, offices: Offices
) -> None:
    office.send(*(sold_out() for _ in range(3)))
    without = offices({name: value for name, value in DIGEST.items() if name != "digest"})

    turn(without)

    assert counts(office) == {"sent": 3}
    assert [each.subject for each in without.channels["mail"].taken] == [
        "2 notifications of type product.out_of_stock"
    ]


def test_an_unexpected_fault_of_the_channel_costs_a_digest_some_time(office: Office) -> None:
    office.send(sold_out(), sold_out())
    make_due(office)
    office.channels["mail"].faults = [ZeroDivisionError("a fault")]
    turn(office)
    assert counts(office) == {"sent": 1, "collected": 1}

    turn(office, AGAIN_AFTER_S)

    assert counts(office) == {"sent": 2}


def test_types_are_gathered_apart(office: Office) -> None:
    office.send(sold_out(), sold_out(), unnamed(), unnamed())
    make_due(office)

    turn(office)

    assert len(office.channels["mail"].taken) == 4


def test_a_digest_says_how_many_there_are_and_shows_the_first(office: Office) -> None:
    office.send(*(sold_out() for _ in range(LINES_MAX + 31)))
    make_due(office)

    turn(office)

    digest = office.channels["mail"].taken[-1]
    assert digest.subject == "130 notifications of type product.out_of_stock"
    assert digest.text.count("Lamp") == LINES_MAX
    assert "  and 30 more\n" in digest.text
    assert counts(office) == {"sent": LINES_MAX + 31}


def test_a_server_that_is_away_gets_the_same_digest_later(office: Office) -> None:
    office.send(sold_out(), sold_out())
    make_due(office)
    office.channels["mail"].faults = [Unreachable("connection refused")]
    turn(office)
    assert counts(office) == {"sent": 1, "collected": 1}
    (first,) = office.query("SELECT digest_id FROM notifications WHERE state = 'collected'")
    office.send(sold_out())

    turn(office)
    assert len(office.channels["mail"].taken) == 1
    turn(office, AGAIN_AFTER_S)

    assert office.channels["mail"].taken[-1].id == f"digest-{first[0]}"
    assert counts(office) == {"sent": 2, "collected": 1}


def test_what_a_crash_left_of_a_digest_is_sent_with_the_same_id(office: Office) -> None:
    office.send(sold_out(), sold_out())
    make_due(office)
    office.channels["mail"].kill()
    with pytest.raises(Killed):
        turn(office)

    turn(office)

    _, first, second = office.channels["mail"].taken
    assert first.id == second.id


def test_a_digest_that_is_refused_for_good_is_on_record(office: Office) -> None:
    office.send(sold_out(), sold_out())
    make_due(office)
    office.channels["mail"].faults = [RefusedForGood("550 no such user")]

    turn(office)

    assert counts(office) == {"sent": 1, "failed": 1}
    assert office.query("SELECT error FROM notifications WHERE state = 'failed'") == [
        ("550 no such user",)
    ]


def test_of_two_daemons_one_sends_a_digest(office: Office, offices: Offices) -> None:
    other = offices(DIGEST)
    office.send(sold_out(), sold_out())
    make_due(office)
    office.channels["mail"].on_send = lambda: turn(other)

    turn(office)

    assert len(office.channels["mail"].taken) == 2
    assert other.channels["mail"].taken == []


def test_collected_ones_that_come_again_are_not_collected_twice(office: Office) -> None:
    office.send(sold_out("a"), sold_out("b"), sold_out("b"), sold_out("a"))

    assert counts(office) == {"sent": 1, "collected": 1}
