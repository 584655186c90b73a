"""A receipt tells when a message came and from whom, and nobody else can write one."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from orderd.amqp.message import Delivery, OutgoingMessage, Properties
from orderd.amqp.renewal import renewed_command
from orderd.pipeline.dead_letters import Verdict, dead_letter, without_original_headers
from orderd.pipeline.messages import retry_message
from orderd.pipeline.receipts import Receipt, Receipts
from orderd.pipeline.results import Result
from tests.unit.pipeline.results import DEFERRED, NOON

KEY = b"k" * 32
RECEIPTS = Receipts(KEY)
CAME_S = 1_700_000_000.25
CAME = Receipt(1_700_000_000_250, "shop")
BODY = b'{"action":"create","auth":"a.b.c"}'


def received(body: bytes = BODY, *, queue: str = "order", **properties: Any) -> Delivery:
    own = {"user_id": "shop", "message_id": "m1"} | properties
    return Delivery(queue, body, Properties(**own), 1, 1, redelivered=False, received_s=CAME_S)


def later(copy: OutgoingMessage) -> Delivery:
    """Return the delivery of a copy, which came back to the queue an hour later."""
    return Delivery("order", copy.body, copy.properties, 2, 1, False, CAME_S + 3_600)


def as_retry(one: Delivery) -> OutgoingMessage:
    return retry_message(Result(one, None, DEFERRED, None), 5, 1, "", RECEIPTS.headers(one))


def as_dead_letter(one: Delivery) -> OutgoingMessage:
    result = Result(one, None, DEFERRED, None)
    return dead_letter(result, Verdict("poison", "died"), NOON, RECEIPTS.headers(one))


def as_short_dead_letter(one: Delivery) -> OutgoingMessage:
    return without_original_headers(as_dead_letter(one))


def as_renewed(one: Delivery) -> OutgoingMessage:
    return renewed_command(one, RECEIPTS.headers(one))


COPIES = pytest.mark.parametrize(
    "copied", [as_retry, as_dead_letter, as_short_dead_letter, as_renewed]
)
Copied = Callable[[Delivery], OutgoingMessage]


@COPIES
def test_a_copy_of_a_copy_tells_when_the_message_first_came(copied: Copied) -> None:
    assert RECEIPTS.of(received()) == CAME

    once = later(copied(received()))
    twice = later(copied(once))

    assert once.properties.user_id is None
    assert RECEIPTS.of(once) == RECEIPTS.of(twice) == CAME


@COPIES
@pytest.mark.parametrize(
    "headers",
    [
        {"orderd-user-id": "admin"},
        {"orderd-user-id": "admin", "orderd-received": f"1.{'0' * 64}"},
        {"orderd-received": "1"},
        {"orderd-received": 1},
        {"orderd-received": f"{'9' * 30}.{'0' * 64}"},
        {"orderd-received": None, "orderd-user-id": 7},
    ],
)
@pytest.mark.parametrize("sender", ["shop", None])
def test_what_a_producer_writes_there_is_neither_believed_nor_passed_on(
    copied: Copied, headers: dict[str, Any], sender: str | None
) -> None:
    forged = received(headers=headers, user_id=sender)

    assert RECEIPTS.of(forged).received_ms == CAME.received_ms
    copy = later(copied(forged))

    found = RECEIPTS.of(copy)
    assert found.received_ms == CAME.received_ms
    assert found.user_id == sender
    assert (copy.properties.headers or {}).get("orderd-user-id") == sender


def with_headers(one: Delivery, **changed: Any) -> Delivery:
    given = {name.replace("_", "-"): value for name, value in changed.items()}
    headers = {**(one.properties.headers or {}), **given}
    return replace(one, properties=replace(one.properties, headers=headers))


def moved_forward(one: Delivery) -> Delivery:
    given = (one.properties.headers or {})["orderd-received"]
    return with_headers(one, orderd_received=f"1{given[1:]}")


@pytest.mark.parametrize(
    "changed",
    [
        lambda one: replace(one, body=BODY.replace(b"create", b"delete")),
        lambda one: replace(one, body=BODY + b" "),
        lambda one: replace(one, queue="product"),
        lambda one: replace(one, properties=replace(one.properties, message_id="m2")),
        lambda one: replace(one, properties=replace(one.properties, message_id=None)),
        lambda one: replace(one, properties=replace(one.properties, user_id="other")),
        lambda one: with_headers(one, orderd_user_id="admin"),
        lambda one: with_headers(one, orderd_user_id=None),
        lambda one: with_headers(one, orderd_received="1699999999999." + "0" * 64),
        lambda one: with_headers(one, orderd_received=b"1"),
    ],
)
def test_a_receipt_is_of_its_message_alone(changed: Callable[[Delivery], Delivery]) -> None:
    copy = later(as_retry(received()))
    assert RECEIPTS.of(copy) == CAME

    assert RECEIPTS.of(changed(copy)).received_ms == CAME.received_ms + 3_600_000


def test_a_receipt_of_another_database_or_without_a_key_is_not_believed() -> None:
    copy = later(as_retry(received()))

    for other in (Receipts(b"o" * 32), Receipts()):
        assert other.of(copy).received_ms == CAME.received_ms + 3_600_000


def test_without_a_key_the_sender_stays_in_its_header_and_nothing_is_signed() -> None:
    none = Receipts()

    assert none.headers(received()) == {"orderd-user-id": "shop"}
    noted = received(user_id=None, headers={"orderd-user-id": "shop"})
    assert none.headers(noted) == {"orderd-user-id": "shop"}
    assert none.headers(received(user_id=None)) == {}


def test_ids_in_a_header_are_told_apart_as_well() -> None:
    long = "x" * 300
    copy = later(as_retry(received(message_id=None, headers={"x-message-id": long})))

    assert RECEIPTS.of(copy) == CAME
    other = with_headers(copy)
    headers = {**(other.properties.headers or {}), "x-message-id": f"{long}y"}
    other = replace(other, properties=replace(other.properties, headers=headers))
    assert RECEIPTS.of(other).received_ms != CAME.received_ms


def test_an_operator_transfers_a_genuine_receipt_to_another_body() -> None:
    copy = later(as_dead_letter(received()))
    edited = BODY.replace(b"create", b"delete")

    headers = {**(copy.properties.headers or {}), **RECEIPTS.transferred(copy, edited)}

    changed = replace(copy, body=edited, properties=replace(copy.properties, headers=headers))
    assert RECEIPTS.of(changed) == CAME
    assert RECEIPTS.transferred(received(), edited) == {}
    assert RECEIPTS.transferred(replace(copy, body=edited), BODY) == {}


def test_a_sender_with_a_strange_name_has_a_receipt_too() -> None:
    strange = received(user_id="a\0\udcff\n☃")

    assert RECEIPTS.of(later(as_retry(strange))).user_id == "a\0\udcff\n☃"
