"""Several daemons on one database: nothing twice, nothing lost, no deadlock among them."""

import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from orderd.amqp.message import Delivery
from orderd.pipeline import commit as committer
from orderd.pipeline.results import Result
from orderd.shop.outcomes import Applied, Deferred, Duplicate, Invalid, Refused
from tests.integration.pipeline.shop import Connection, Shop
from tests.support.commands import again, command, request

ROUNDS = 8
BATCH_SIZE = 10


def create_user(name: str, request_id: str | None = None) -> Delivery:
    arguments = {"username": name, "email": f"{name}@x.org"}
    return request("user", "create", arguments, request_id=request_id)


def random_orders(count: int) -> list[Delivery]:
    """Orders for the same three products, and changes of the same two orders."""
    chance = random.Random(7)
    deliveries = []
    for number in range(count):
        wanted = chance.sample((1, 2, 3), k=2)
        items = [{"product_id": product_id, "quantity": 1} for product_id in wanted]
        order_id = chance.choice((1, 2))
        action, arguments = chance.choice(
            [
                ("create", {"user_id": order_id, "items": items}),
                ("update", {"order_id": order_id, "items": items}),
                ("update_status", {"order_id": order_id + 2, "status": "cancelled"}),
            ]
        )
        deliveries.append(request("order", action, arguments, request_id=f"r{number}"))
    return deliveries


def process_all(shop: Shop, deliveries: Sequence[Delivery]) -> list[Result]:
    """Return the results of all, tried again until none is deferred any more."""
    done: list[Result] = []
    waiting = list(deliveries)
    while waiting:
        results = shop.process(waiting[:BATCH_SIZE])
        done += [result for result in results if not isinstance(result.outcome, Deferred)]
        again_later = [r.delivery for r in results if isinstance(r.outcome, Deferred)]
        waiting = waiting[BATCH_SIZE:] + again_later
    return done


@contextmanager
def redone(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Give a list of why batches were redone or cut up in the block."""
    reasons: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(committer, "emit", lambda _event, why, **_fields: reasons.append(why))
        yield reasons


def test_the_same_ids_at_two_daemons_take_effect_once(
    shop: Shop, rival: Shop, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = shop.query("SELECT sum(stock_quantity) FROM products")
    taken_before = shop.query("SELECT sum(quantity) FROM order_items")
    theirs = random_orders(ROUNDS * BATCH_SIZE)
    others = [again(one) for one in theirs]
    random.Random(8).shuffle(others)

    with redone(monkeypatch) as reasons:
        results = [
            result
            for done in threads.map(process_all, (shop, rival), (theirs, others))
            for result in done
        ]

    first = [result for result in results if isinstance(result.outcome, Applied | Refused)]
    assert Counter(result.request_id for result in first).most_common(1)[0][1] == 1
    assert len(first) == len(theirs)
    told = {result.request_id: result.response for result in first}
    for result in results:
        if isinstance(result.outcome, Duplicate):
            assert result.response == told[result.request_id]
    assert_shelves_and_orders_agree(shop, int(before[0][0]) + int(taken_before[0][0]))
    assert [why for why in reasons if "deadlock" in why] == []


def assert_shelves_and_orders_agree(shop: Shop, pieces: int) -> None:
    assert shop.query("SELECT count(*) FROM products WHERE stock_quantity < 0") == [(0,)]
    (taken,) = shop.query("""
        SELECT sum(quantity) FROM order_items JOIN orders ON orders.id = order_id
        WHERE status <> 'cancelled'
    """)
    (left,) = shop.query("SELECT sum(stock_quantity) FROM products")
    assert taken[0] + left[0] == pieces
    assert shop.broken_promises() == []


def test_a_username_taken_by_another_daemon_meanwhile_is_refused(
    shop: Shop, session: Connection, threads: ThreadPoolExecutor
) -> None:
    with session, session.cursor() as cursor:
        cursor.execute("INSERT INTO users (username, email) VALUES ('ann', 'other@x.org')")
        waiting = threads.submit(shop.process, [create_user("bob"), create_user("ann")])
        shop.wait_until_blocked()
    bob, ann = waiting.result()

    assert isinstance(bob.outcome, Applied)
    assert isinstance(ann.outcome, Refused)
    assert ann.outcome.code == "duplicate_username"


def test_an_email_taken_by_another_daemon_meanwhile_is_refused(
    shop: Shop, session: Connection, threads: ThreadPoolExecutor
) -> None:
    update = request("user", "update", {"id": 1, "email": "ann@x.org"})
    with session, session.cursor() as cursor:
        cursor.execute("INSERT INTO users (username, email) VALUES ('other', 'ann@x.org')")
        waiting = threads.submit(shop.process, [update, create_user("bob")])
        shop.wait_until_blocked()
    refused, bob = waiting.result()

    assert isinstance(refused.outcome, Refused)
    assert refused.outcome.code == "duplicate_email"
    assert isinstance(bob.outcome, Applied)


@pytest.mark.parametrize("is_same", [True, False])
def test_an_id_settled_by_another_daemon_meanwhile_is_found(
    shop: Shop, session: Connection, threads: ThreadPoolExecutor, *, is_same: bool
) -> None:
    arguments = {"name": "lamp", "price": 1, "stock_quantity": 1}
    fingerprint = command("product", "create", arguments).fingerprint if is_same else "another"
    response = {"status": "ok", "data": None, "error": None}
    with session, session.cursor() as cursor:
        cursor.execute(
            "INSERT INTO processed_requests (id, queue, action, outcome, response, fingerprint)"
            " VALUES ('r', 'product', 'create', 'applied', %s, %s)",
            (json.dumps(response), fingerprint),
        )
        one = request("product", "create", arguments, request_id="r")
        neighbour = request("product", "create", arguments, request_id="s")
        waiting = threads.submit(shop.process, [one, neighbour])
        shop.wait_until_blocked()
    found, applied = waiting.result()

    assert isinstance(found.outcome, Duplicate if is_same else Invalid)
    assert isinstance(applied.outcome, Applied)
    assert shop.query("SELECT id FROM products WHERE id > 3") == [(4,)]


def start_together(
    shops: tuple[Shop, Shop],
    batches: tuple[list[Delivery], list[Delivery]],
    session: Connection,
    threads: ThreadPoolExecutor,
) -> list[list[Result]]:
    """Return both results; both have read, and neither has written the ledger, when they go on."""
    with session, session.cursor() as cursor:
        cursor.execute("LOCK TABLE processed_requests IN SHARE MODE")
        waiting = [
            threads.submit(shop.process, batch) for shop, batch in zip(shops, batches, strict=True)
        ]
        shops[0].wait_until_blocked(2)
    return [one.result() for one in waiting]


def test_the_same_new_user_at_two_daemons_makes_no_deadlock(
    shop: Shop,
    rival: Shop,
    session: Connection,
    threads: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    news = [create_user(f"ann{n}", f"r{n}") for n in range(5)]

    with redone(monkeypatch) as reasons:
        results = [
            start_together((shop, rival), ([one], [again(one)]), session, threads) for one in news
        ]

    kinds = [{type(result.outcome) for (result,) in both} for both in results]
    assert kinds == [{Applied, Duplicate}] * len(news)
    assert [why for why in reasons if "deadlock" in why] == []


def test_the_same_ids_in_another_order_at_two_daemons_make_no_deadlock(
    shop: Shop, session: Connection, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.set(deadlock_timeout="200ms")
    arguments = {"name": "lamp", "price": 1, "stock_quantity": 1}
    batch = [request("product", "create", arguments, request_id=name) for name in ("b", "a")]
    insert = (
        "INSERT INTO processed_requests (id, queue, action, outcome, response, fingerprint)"
        " VALUES (%s, 'product', 'create', 'applied', 'null', '')"
    )

    with redone(monkeypatch) as reasons, session, session.cursor() as cursor:
        cursor.execute("SET deadlock_timeout = '20s'")
        # Another daemon writes its ledger row by row, too: by id, so that nobody meets crosswise.
        cursor.execute(insert, ("a",))
        waiting = threads.submit(shop.process, batch)
        shop.wait_until_blocked()
        cursor.execute(insert, ("b",))
        session.rollback()
        results = waiting.result()

    assert {type(result.outcome) for result in results} == {Applied}
    assert [why for why in reasons if "deadlock" in why] == []
