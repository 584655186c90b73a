from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from orderd.amqp.message import Delivery, Properties
from orderd.amqp.wire.field_reader import Epoch
from orderd.ctl.dlq.dead_letters import DeadLetter, dead_letter_queues
from orderd.ctl.dlq.filters import WINDOW_BYTES_MAX, WINDOW_LETTERS, Filters, windows
from orderd.protocol.names import QUEUES
from orderd.protocol.strict_json import dumps

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
PLAIN = Properties()


def letter(
    body: bytes = b"{}", headers: Mapping[str, Any] | None = None, **properties: Any
) -> DeadLetter:
    filled = replace(PLAIN, headers=headers, **properties)
    return DeadLetter(Delivery("product.dlq", body, filled, 1, 0, redelivered=False))


@pytest.mark.parametrize(
    ("body", "message_id", "request_id"),
    [
        (b'{"id": "a"}', "m", "a"),
        (b'{"action": "create"}', "m", "m"),
        (b"not json", "m", "m"),
        (b"[1]", None, None),
        (b'{"id": 7}', "m", None),
        (b'{"id": ""}', None, None),
        (b'{"id": "a\\u0000"}', None, None),
        (b'{"id": "\\ud800"}', None, None),
        (b'{"id": null}', "m", None),
    ],
)
def test_the_request_id_is_what_the_daemon_would_take_for_it(
    body: bytes, message_id: str | None, request_id: str | None
) -> None:
    assert letter(body, message_id=message_id).request_id == request_id


@pytest.mark.parametrize(
    ("header", "origin"), [("order", "order"), ("amq.topic", "product"), (7, "product")]
)
def test_a_letter_goes_only_to_a_queue_of_commands(header: object, origin: str) -> None:
    assert letter(headers={"orderd-queue": header}).origin == origin
    assert letter(headers={"orderd-queue": header}).original("guest").routing_key == origin


def test_a_letter_without_headers_has_a_document_too() -> None:
    document = letter(b"\xff").document()

    assert document["request"] == {"base64": "/w=="}
    assert document["queue"] == "product"
    assert [document[name] for name in ("failed_at", "reason", "code", "attempt")] == [None] * 4
    assert document["headers"] == {}


def test_headers_of_every_type_have_a_form_in_json() -> None:
    headers = {
        "half": 0.1,
        "endless": float("inf"),
        "nothing": float("nan"),
        "price": Decimal("1.50"),
        "late": Epoch(10**12),
        "at": NOW,
        "list": [b"\0", [None]],
        "table": {"deep": True},
    }

    assert dumps(letter(headers=headers).document()["headers"]) == (
        '{"half":0.1,"endless":"inf","nothing":"nan","price":1.50,"late":1000000000000,'
        '"at":"2026-05-01T12:00:00.000000Z","list":[{"base64":"AA=="},[null]],"table":{"deep":true}}'
    )


@pytest.mark.parametrize("expiration", ["", "-1", "1.5", "4294967296", "9" * 30, "²", 5])
def test_an_expiration_that_the_broker_would_not_take_stays_a_header(expiration: object) -> None:
    properties = letter(headers={"orderd-expiration": expiration}).original("guest").properties

    assert properties.expiration is None
    assert properties.headers == {"orderd-expiration": expiration, "orderd-replayed": 1}


def test_what_the_broker_noted_in_the_dead_letter_queue_does_not_go_along() -> None:
    noted = {"x-delivery-count": 3, "x-death": [{}], "x-acquired-count": 1, "x-own": 1}

    headers = letter(headers=noted).original("guest").properties.headers

    assert headers == {"x-own": 1, "orderd-replayed": 1}


def test_a_message_of_somebody_else_keeps_its_properties() -> None:
    own: dict[str, Any] = {"content_type": "x", "expiration": "5", "delivery_mode": 1}

    given = replace(PLAIN, headers={"orderd-replayed": 1}, **own)
    assert letter(**own).original("guest").properties == given


@pytest.mark.parametrize(
    ("header", "count"), [(None, 0), (1, 1), (7, 7), ("7", 0), (-1, 0), (2**40, 0), (True, 0)]
)
def test_replays_are_counted_in_a_header(header: object, count: int) -> None:
    one = letter(headers={"orderd-replayed": header})

    assert one.replayed == count
    headers = one.original("guest").properties.headers or {}
    assert headers["orderd-replayed"] == count + 1


def test_filters_are_anded_and_their_values_are_ored() -> None:
    one = letter(b'{"id": "a", "action": "create"}', {"orderd-code": "poison"})

    assert Filters().match(one)
    assert Filters(codes=["poison", "other"], actions=["create"], ids=["a"]).match(one)
    assert not Filters(codes=["poison"], actions=["update"]).match(one)
    assert not Filters(codes=["poison"], ids=["b"]).match(one)


@pytest.mark.parametrize(
    "failed_at", ["2026-05-01T12:00:00.000000Z", "2026-05-01T14:00:00+02:00", "2026-05-01T12:00:00"]
)
def test_an_age_is_counted_from_the_time_of_failing(failed_at: str) -> None:
    one = letter(headers={"orderd-failed-at": failed_at})
    second = timedelta(seconds=1)

    assert Filters(before=NOW).match(one)
    assert Filters(after=NOW).match(one)
    assert not Filters(before=NOW - second).match(one)
    assert not Filters(after=NOW + second).match(one)


@pytest.mark.parametrize("failed_at", [None, "yesterday", 7])
def test_a_letter_without_a_time_has_no_age(failed_at: object) -> None:
    one = letter(headers={"orderd-failed-at": failed_at})

    assert Filters().match(one)
    assert not Filters(before=NOW).match(one)
    assert not Filters(after=NOW).match(one)


def test_letters_are_moved_in_windows_that_fit_into_memory() -> None:
    small = [letter() for _ in range(WINDOW_LETTERS + 1)]
    big = [letter(bytes(WINDOW_BYTES_MAX)) for _ in range(2)]

    assert [len(window) for window in windows(iter(small))] == [WINDOW_LETTERS, 1]
    assert [len(window) for window in windows(iter([*big, small[0]]))] == [1, 1, 1]
    assert list(windows(iter([]))) == []


def test_a_queue_is_named_with_or_without_its_ending() -> None:
    assert dead_letter_queues("user") == dead_letter_queues("user.dlq") == ["user.dlq"]
    assert dead_letter_queues(None) == [f"{queue}.dlq" for queue in QUEUES]


def test_a_document_has_marks_in_place_of_tokens_and_all_else_as_it_is() -> None:
    body = dumps({"id": "a", "auth": "s3cret", "data": {"name": "auth"}}).encode()
    headers = {"Authorization": "Bearer s3cret", "orderd-reason": "got Bearer s3cret", "n": 1}

    shown = letter(body, headers).document()

    mark = "<token sha256=1ec1c26b>"
    assert shown["request"] == {"id": "a", "auth": mark, "data": {"name": "auth"}}
    assert shown["headers"]["Authorization"] == f"Bearer {mark}"
    assert shown["headers"]["orderd-reason"] == f"got Bearer {mark}"
    assert shown["headers"]["n"] == 1
    assert letter(b'{"auth":"s3cret",}').document()["request"] == f'{{"auth":"{mark}",}}'
    assert letter(body).delivery.body == body
