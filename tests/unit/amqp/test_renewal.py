"""When a message is renewed, and what its copy keeps."""

from typing import Any

import pytest

from orderd.amqp.message import Delivery, OutgoingMessage, Properties
from orderd.amqp.renewal import ASSUMED_LIMIT, delivery_count, is_due, renewed


def delivered(headers: dict[str, Any] | None = None, **properties: Any) -> Delivery:
    found = Properties(headers=headers, **properties)
    return Delivery("order.dlq", b"\xff body", found, 7, 1, redelivered=True)


@pytest.mark.parametrize(
    ("headers", "count"),
    [
        (None, 0),
        ({}, 0),
        ({"x-delivery-count": 9}, 9),
        ({"x-delivery-count": "9"}, 0),
        ({"x-delivery-count": True}, 0),
        ({"x-delivery-count": -3}, 0),
    ],
)
def test_only_a_number_counts_deliveries(headers: dict[str, Any] | None, count: int) -> None:
    assert delivery_count(delivered(headers)) == count


@pytest.mark.parametrize(("count", "limit"), [(10, ASSUMED_LIMIT), (11, ASSUMED_LIMIT), (1, 1)])
def test_a_message_is_renewed_at_half_of_the_limit(count: int, limit: int) -> None:
    assert is_due(delivered({"x-delivery-count": count}), limit)
    assert not is_due(delivered({"x-delivery-count": (limit - 1) // 2}), limit)


def test_where_nothing_may_be_given_back_each_message_is_renewed() -> None:
    assert is_due(delivered(), 0)


def test_the_copy_goes_to_the_same_queue_with_all_that_it_was() -> None:
    headers = {"orderd-code": "poison", "orderd-attempt": 2, "theirs": [b"\xff", None]}
    kept: dict[str, Any] = {
        "content_type": "text/plain",
        "priority": 3,
        "correlation_id": "c",
        "reply_to": "r",
        "message_id": "m",
        "timestamp": 1,
        "type": "t",
        "app_id": "a",
    }

    copy = renewed(delivered(headers, delivery_mode=2, **kept))

    properties = Properties(headers=headers, delivery_mode=2, **kept)
    assert copy == OutgoingMessage("", "order.dlq", b"\xff body", properties, mandatory=True)


def test_the_copy_carries_no_header_of_a_broker_and_goes_to_no_other_queue() -> None:
    notes = {
        "x-delivery-count": 12,
        "x-acquired-count": 13,
        "x-death": [],
        "x-first-death-queue": 1,
    }

    copy = renewed(delivered({**notes, "CC": ["user"], "BCC": ["user"]}))

    assert copy.properties.headers is None


def test_what_the_broker_would_refuse_or_expire_moves_into_headers() -> None:
    copy = renewed(delivered(expiration="50", user_id="shop"))

    assert copy.properties.headers == {"orderd-expiration": "50", "orderd-user-id": "shop"}
    assert (copy.properties.expiration, copy.properties.user_id) == (None, None)
    assert copy.properties.delivery_mode == 2
