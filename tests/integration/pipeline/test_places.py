"""Commands that change one row take effect in the order in which they came, deferred or not."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from orderd.amqp.message import Delivery, Properties
from orderd.amqp.renewal import renewed_command
from orderd.pipeline.results import Result
from orderd.protocol.names import HEADER_ATTEMPT, HEADER_PLACE, Queue
from orderd.shop.outcomes import Answered, Applied, Deferred, Invalid, Refused, Waiting
from tests.integration.pipeline.shop import ATTEMPTS_MAX, Connection, Shop

PRODUCT = 1


def change(
    tag: int, action: tuple[str, str], data: dict[str, object], request_id: str | None = None
) -> Delivery:
    queue, name = action
    body = {"action": name, "data": data} | ({"id": request_id} if request_id else {})
    return Delivery(queue, json.dumps(body).encode(), Properties(), tag, 1, redelivered=False)


def price(tag: int, price: str, request_id: str | None) -> Delivery:
    return change(tag, ("product", "update"), {"id": PRODUCT, "price": price}, request_id)


def again(result: Result, tag: int) -> Delivery:
    """Return the copy of a deferred message, as it comes from its retry queue."""
    outcome = result.outcome
    assert isinstance(outcome, Deferred | Waiting)
    attempt = result.attempt + (isinstance(outcome, Deferred) and not outcome.lock)
    headers = {HEADER_ATTEMPT: attempt, HEADER_PLACE: outcome.place}
    return replace(result.delivery, tag=tag, properties=Properties(headers=headers))


@contextmanager
def locked(session: Connection, table: str = "products", row_id: int = PRODUCT) -> Iterator[None]:
    """Hold the row."""
    with session.cursor() as cursor:
        cursor.execute(f"SELECT FROM {table} WHERE id = %s FOR UPDATE", [row_id])
        yield
        session.rollback()


@pytest.fixture(autouse=True)
def _impatient(shop: Shop) -> None:
    shop.set(lock_timeout="100ms")


def price_of(shop: Shop) -> str:
    return str(shop.query("SELECT price FROM products WHERE id = %s", PRODUCT)[0][0])


def places(shop: Shop) -> int:
    return shop.count("deferrals")


@pytest.mark.parametrize("ids", [("a", "b"), (None, None)], ids=["with ids", "without"])
def test_a_later_command_of_the_row_waits_and_the_last_one_sent_counts(
    shop: Shop, session: Connection, ids: tuple[str | None, str | None]
) -> None:
    with locked(session):
        (first,) = shop.process([price(1, "10.00", ids[0])])
    (second,) = shop.process([price(2, "20.00", ids[1])])

    assert isinstance(first.outcome, Deferred)
    assert isinstance(second.outcome, Waiting)
    assert places(shop) == 2

    (first,) = shop.process([again(first, 3)])
    (second,) = shop.process([again(second, 4)])

    assert isinstance(first.outcome, Applied)
    assert isinstance(second.outcome, Applied)
    assert price_of(shop) == "20.00"
    assert places(shop) == 0


def test_who_waits_keeps_its_place_before_those_that_come_later(
    shop: Shop, session: Connection
) -> None:
    with locked(session):
        (first,) = shop.process([price(1, "10.00", "a")])
    second, third = shop.process([price(2, "20.00", "b"), price(3, "30.00", "c")])
    (first,) = shop.process([again(first, 4)])

    (third,) = shop.process([again(third, 5)])
    (second,) = shop.process([again(second, 6)])
    assert isinstance(third.outcome, Waiting)
    assert isinstance(second.outcome, Applied)

    (third,) = shop.process([again(third, 7)])

    assert isinstance(third.outcome, Applied)
    assert price_of(shop) == "30.00"


def test_waiting_locks_no_row_and_waits_for_none(shop: Shop, session: Connection) -> None:
    with locked(session):
        (first,) = shop.process([price(1, "10.00", "a")])
        # Else the lock would make it a Deferred one, which costs an attempt.
        (second,) = shop.process([price(2, "20.00", "b")])

    assert isinstance(first.outcome, Deferred)
    assert isinstance(second.outcome, Waiting)


def test_one_batch_lets_all_have_their_turns(shop: Shop, session: Connection) -> None:
    with locked(session):
        first, second = shop.process([price(1, "10.00", "a"), price(2, "20.00", "b")])
    assert isinstance(first.outcome, Deferred)
    assert isinstance(second.outcome, Waiting)

    results = shop.process([again(first, 3), again(second, 4), price(5, "30.00", "c")])

    assert all(isinstance(result.outcome, Applied) for result in results)
    assert price_of(shop) == "30.00"
    assert places(shop) == 0


def test_one_batch_that_is_out_of_order_waits(shop: Shop, session: Connection) -> None:
    with locked(session):
        first, second = shop.process([price(1, "10.00", "a"), price(2, "20.00", "b")])

    second, first = shop.process([again(second, 3), again(first, 4)])

    assert isinstance(second.outcome, Waiting)
    assert isinstance(first.outcome, Applied)
    assert price_of(shop) == "10.00"


def test_other_rows_and_queries_do_not_wait(shop: Shop, session: Connection) -> None:
    with locked(session):
        shop.process([price(1, "10.00", "a")])
    other, query, order = shop.process(
        [
            change(2, ("product", "update"), {"id": 2, "price": "5.00"}, "b"),
            change(3, ("product", "get"), {"id": PRODUCT}),
            change(
                4,
                ("order", "create"),
                {"user_id": 1, "items": [{"product_id": PRODUCT, "quantity": 1}]},
                "c",
            ),
        ]
    )

    assert isinstance(other.outcome, Applied)
    assert isinstance(query.outcome, Answered)
    assert isinstance(order.outcome, Applied)


def test_a_locked_table_keeps_the_order_too(shop: Shop, session: Connection) -> None:
    with session.cursor() as cursor:
        cursor.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        first, second = shop.process(
            [
                change(1, ("user", "update"), {"id": 1, "is_active": False}, "a"),
                change(2, ("user", "update"), {"id": 1, "is_active": True}, "b"),
            ]
        )
        session.rollback()
    assert isinstance(first.outcome, Deferred)
    assert isinstance(second.outcome, Waiting)


def test_a_duplicate_of_the_deferred_one_takes_its_turn(shop: Shop, session: Connection) -> None:
    with locked(session):
        (first,) = shop.process([price(1, "10.00", "a")])

    (twin,) = shop.process([price(2, "10.00", "a")])

    assert isinstance(first.outcome, Deferred)
    assert isinstance(twin.outcome, Applied)
    assert places(shop) == 0


def test_a_twin_without_id_has_a_place_of_its_own(shop: Shop, session: Connection) -> None:
    with locked(session):
        (first,) = shop.process([price(1, "10.00", None)])
    second, third = shop.process([price(2, "20.00", None), price(3, "10.00", None)])

    assert isinstance(first.outcome, Deferred)
    assert isinstance(second.outcome, Waiting)
    assert isinstance(third.outcome, Waiting)
    assert places(shop) == 3


def test_a_message_that_came_back_before_its_copy_was_out_is_not_behind_itself(
    shop: Shop, session: Connection
) -> None:
    with locked(session):
        shop.process([price(1, "10.00", None)])

    (result,) = shop.process([replace(price(1, "10.00", None), redelivered=True)])

    assert isinstance(result.outcome, Applied)
    assert places(shop) == 0


def test_the_last_attempt_keeps_its_place_until_it_is_said_to_be_gone(
    shop: Shop, session: Connection
) -> None:
    with locked(session):
        (first,) = shop.process([price(1, "10.00", "a")])
        shop.policy.lock_patience_s = 0
        first = replace(first, delivery=again(first, 2))
        headers = {HEADER_ATTEMPT: ATTEMPTS_MAX, HEADER_PLACE: "=a"}
        last = replace(first.delivery, properties=Properties(headers=headers))
        (given_up,) = shop.process([last])
    (second,) = shop.process([price(3, "20.00", "b")])
    assert isinstance(given_up.outcome, Deferred)
    assert isinstance(second.outcome, Waiting)

    shop.deferrals.note_gone([given_up])

    (second,) = shop.process([again(second, 4)])
    assert isinstance(second.outcome, Applied)
    shop.deferrals.forget_ended()
    assert places(shop) == 0


@pytest.mark.parametrize("odd", ["\udc91", "a\0b", "~" + "\udc91" * 9])
def test_properties_that_no_database_can_hold_harm_nobody(shop: Shop, odd: str) -> None:
    properties = Properties(message_id=odd, headers={HEADER_PLACE: odd})
    body = b'{"action": "update", "data": {"id": 1, "price": "7.00"}, "id": "a"}'
    command = Delivery("product", body, properties, 1, 1, redelivered=False)
    unidentified = replace(command, body=body.replace(b', "id": "a"', b""), tag=2)
    nothing = replace(command, body=b"", tag=3)

    results = shop.process([command, unidentified, nothing])
    shop.deferrals.note_gone(results)
    shop.deferrals.forget_ended()

    assert isinstance(results[0].outcome, Applied)
    assert isinstance(results[2].outcome, Invalid)
    assert places(shop) == 0


def test_a_refusal_ends_its_place(shop: Shop, session: Connection) -> None:
    with locked(session):
        (first,) = shop.process(
            [
                change(
                    1,
                    ("product", "update"),
                    {"id": PRODUCT, "price": "1.00", "if_revision": 9},
                    "a",
                )
            ]
        )
    (second,) = shop.process([price(2, "20.00", "b")])

    first, second = shop.process([again(first, 3), again(second, 4)])

    assert isinstance(first.outcome, Refused)
    assert isinstance(second.outcome, Applied)


def test_a_place_that_nobody_asks_for_ends(shop: Shop, session: Connection) -> None:
    with locked(session):
        shop.process([price(1, "10.00", "purged")])
    shop.query("UPDATE deferrals SET ends_at = now() - interval '1 s'")

    (second,) = shop.process([price(2, "20.00", "b")])

    assert isinstance(second.outcome, Applied)
    shop.deferrals.forget_ended()
    assert places(shop) == 0


def test_a_place_lasts_longer_than_the_longest_delay(shop: Shop, session: Connection) -> None:
    with locked(session):
        shop.process([price(1, "10.00", "a")])

    ((seconds,),) = shop.query("SELECT extract(epoch FROM ends_at - since) FROM deferrals")
    assert seconds == 86_400 + 300


def test_all_daemons_obey(shop: Shop, rival: Shop, session: Connection) -> None:
    with locked(session):
        (first,) = shop.process([price(1, "10.00", "a")])

    (second,) = rival.process([price(1, "20.00", "b")])
    assert isinstance(second.outcome, Waiting)
    (first,) = rival.process([again(first, 2)])
    (second,) = shop.process([again(second, 2)])

    assert isinstance(first.outcome, Applied)
    assert isinstance(second.outcome, Applied)
    assert price_of(shop) == "20.00"


def test_a_missing_reference_keeps_the_place_of_its_order(shop: Shop) -> None:
    missing = {"order_id": 1, "items": [{"product_id": 999, "quantity": 1}]}
    update, status = shop.process(
        [
            change(1, ("order", "update"), missing, "a"),
            change(2, ("order", "update_status"), {"order_id": 1, "status": "cancelled"}, "b"),
        ],
        arriving=frozenset({Queue.PRODUCT}),
    )

    assert isinstance(update.outcome, Deferred)
    assert isinstance(status.outcome, Waiting)


@pytest.mark.parametrize("request_id", ["a", None], ids=["with id", "without"])
def test_what_is_renewed_keeps_its_place(shop: Shop, request_id: str | None) -> None:
    first = replace(price(1, "10.00", request_id), redelivered=True)
    places = shop.deferrals.renew([first], shop.decoder.decode_one)
    copy = renewed_command(first, {}, place=places[first.tag])

    (second,) = shop.process([price(2, "20.00", "b")])
    renewed = Delivery("product", copy.body, copy.properties, 3, 1, redelivered=False)
    (result,) = shop.process([renewed])

    assert isinstance(second.outcome, Waiting)
    assert isinstance(result.outcome, Applied)
