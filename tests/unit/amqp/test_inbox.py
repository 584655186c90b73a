"""Deliveries that wait, are on lease, or go back to their queue."""

import pytest

from orderd.amqp.inbox import Inbox
from orderd.amqp.message import Delivery, Properties

WORN = Properties(headers={"x-delivery-count": 5})
PLAIN = Properties()


def put(inbox: Inbox, tag: int, queue: str, properties: Properties = PLAIN) -> None:
    inbox.put(Delivery(queue, b"12345", properties, tag, 1, redelivered=properties is WORN))


def test_what_goes_back_has_no_body_and_the_rest_stays() -> None:
    inbox = Inbox(lambda _delivery: True)
    put(inbox, 1, "user")
    put(inbox, 2, "order")
    put(inbox, 3, "user", WORN)

    with inbox.giving_back(["user"]) as surplus:
        put(inbox, 4, "user")
        put(inbox, 5, "order")
    put(inbox, 6, "user")

    assert [one.tag for one in surplus] == [1, 3, 4]
    assert surplus[-1].body == b""
    assert [one.tag for one in inbox] == [2, 5, 6]
    assert list(inbox.worn) == []
    assert inbox.received == 6


def test_bytes_are_those_of_all_that_waits() -> None:
    inbox = Inbox(lambda _delivery: True)
    put(inbox, 1, "user")
    put(inbox, 2, "order")
    put(inbox, 3, "order", WORN)

    assert inbox.body_bytes() == 15
    inbox.void("order")
    assert inbox.body_bytes() == 5
    inbox.void()
    assert inbox.body_bytes() == 0


def test_a_lease_takes_the_oldest_and_gives_the_unreleased_back_in_their_order() -> None:
    inbox = Inbox(lambda _delivery: True)
    for tag in range(1, 6):
        put(inbox, tag, "order")

    with inbox.lease(3) as deliveries:
        assert [one.tag for one in deliveries] == [1, 2, 3]
        assert [one.tag for one in inbox.leased] == [1, 2, 3]
        assert [one.tag for one in inbox] == [4, 5]
        inbox.release([deliveries[1]])
        assert [one.tag for one in inbox.leased] == [1, 3]

    assert [one.tag for one in inbox] == [1, 3, 4, 5]
    assert list(inbox.leased) == []


def test_a_lease_that_ends_by_a_fault_gives_back_only_what_is_still_held() -> None:
    held = {1, 2, 3}
    inbox = Inbox(lambda delivery: delivery.tag in held)
    for tag in sorted(held):
        put(inbox, tag, "order")

    def lose_two() -> None:
        with inbox.lease(3):
            held.remove(2)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        lose_two()

    assert [one.tag for one in inbox] == [1, 3]
