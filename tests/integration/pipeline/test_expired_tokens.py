"""A token that expires is no reason to turn away what came before that, nor to tell a lie."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from orderd.amqp.message import Delivery, OutgoingMessage
from orderd.amqp.renewal import renewed_command
from orderd.pipeline.dead_letters import Verdict, dead_letter
from orderd.pipeline.messages import retry_message
from orderd.pipeline.results import Result
from orderd.protocol.envelope import Invalid
from orderd.shop.authorize import Expired, Scope
from orderd.shop.outcomes import Quarantined
from tests.integration.pipeline.shop import Shop
from tests.support.commands import delivery

EXPIRES_S = 1_000_000.0
TOKEN = "short.lived.token"
ANN = Scope(("*",), subject="ann")
LAMP = {"name": "lamp", "price": 5, "stock_quantity": 1}


class Verifier:
    """Knows one token, which expires."""

    def __init__(self) -> None:
        self.scope = ANN

    def verify(self, token: str, now_s: float, received_s: float) -> Scope:
        assert token == TOKEN
        assert now_s
        if received_s >= EXPIRES_S:
            raise Expired(self.scope)
        return self.scope


@pytest.fixture(autouse=True)
def verifier(shop: Shop) -> Verifier:
    verifier = Verifier()
    shop.policy.grants = {}
    shop.policy.verifier = verifier
    return verifier


def command(action: str = "create", data: Any = LAMP, request_id: str | None = "r1") -> Delivery:
    """Return a command that comes just before its token expires."""
    body = {"action": action, "data": data, "auth": TOKEN}
    if request_id is not None:
        body["id"] = request_id
    return at(EXPIRES_S - 1, delivery("product", json.dumps(body).encode()))


def at(received_s: float, one: Delivery, *, redelivered: bool = False) -> Delivery:
    return replace(one, received_s=received_s, redelivered=redelivered)


def late(one: Delivery, *, redelivered: bool = False) -> Delivery:
    return at(EXPIRES_S + 3_600, one, redelivered=redelivered)


def code(shop: Shop, one: Delivery) -> str | None:
    (result,) = shop.process([one])
    assert result.response is not None
    return result.response.code


def as_retry(shop: Shop, one: Delivery) -> OutgoingMessage:
    receipt = shop.receipts.headers(one)
    return retry_message(Result(one, None, Quarantined(1), None), 5, 1, "", receipt)


def as_renewed(shop: Shop, one: Delivery) -> OutgoingMessage:
    return renewed_command(one, shop.receipts.headers(one))


def as_dead_letter(shop: Shop, one: Delivery) -> OutgoingMessage:
    result = Result(one, None, Quarantined(1), None)
    now = shop.database.clock.now()
    return dead_letter(result, Verdict("poison", "died"), now, shop.receipts.headers(one))


def lamps(shop: Shop) -> int:
    return int(shop.query("SELECT count(*) FROM products WHERE name = 'lamp'")[0][0])


COPIES = pytest.mark.parametrize("copied", [as_retry, as_renewed, as_dead_letter])


@COPIES
def test_what_came_before_the_token_expired_is_let_in_later(
    shop: Shop, copied: Callable[[Shop, Delivery], OutgoingMessage]
) -> None:
    copy = copied(shop, command())
    back = late(replace(command(), properties=copy.properties))

    assert code(shop, back) is None
    assert shop.query("SELECT actor FROM processed_requests") == [("ann",)]


@COPIES
def test_what_came_after_that_never_is(
    shop: Shop, copied: Callable[[Shop, Delivery], OutgoingMessage]
) -> None:
    assert code(shop, late(command())) == "unauthorized"
    copy = copied(shop, late(command()))

    assert code(shop, late(replace(command(), properties=copy.properties))) == "unauthorized"


def test_the_receipt_of_one_command_lets_no_other_in(shop: Shop) -> None:
    receipt = as_retry(shop, command()).properties
    other = command(request_id="r2")

    assert code(shop, late(replace(other, properties=receipt))) == "unauthorized"
    assert lamps(shop) == 0


def test_what_was_applied_before_a_crash_is_told_so_after_the_token_has_expired(
    shop: Shop,
) -> None:
    (first,) = shop.process([command()])

    (again,) = shop.process([late(command(), redelivered=True)])

    assert again.outcome.name == "duplicate"
    assert again.response == first.response
    assert lamps(shop) == 1


def test_what_was_not_applied_before_a_crash_is_unauthorized(shop: Shop) -> None:
    (result,) = shop.process([late(command(), redelivered=True)])

    assert isinstance(result.outcome, Invalid)
    assert (result.outcome.code, result.outcome.message) == ("unauthorized", "auth has expired")
    assert (result.request_id, result.actor) == ("r1", "ann")
    assert lamps(shop) == shop.count("processed_requests") == 0


@pytest.mark.parametrize(
    "one",
    [
        command(request_id=None),
        command("get", {"id": 1}),
        command(data=7),
        command("explode"),
    ],
    ids=["without id", "query", "wrong data", "unknown action"],
)
def test_what_no_ledger_keeps_is_unauthorized_at_once(shop: Shop, one: Delivery) -> None:
    assert code(shop, late(one, redelivered=True)) == "unauthorized"


def test_the_id_of_another_request_tells_an_expired_token_nothing(shop: Shop) -> None:
    shop.process([command()])
    other = command(data=LAMP | {"name": "chair"})

    assert code(shop, late(other, redelivered=True)) == "unauthorized"
    assert code(shop, other) == "id_conflict"


def test_an_expired_token_in_a_batch_costs_its_neighbours_nothing(shop: Shop) -> None:
    first, second, third = (replace(command(request_id=f"r{n}"), tag=n) for n in (1, 2, 3))

    results = shop.process([first, late(second, redelivered=True), third])

    assert [result.outcome.name for result in results] == ["applied", "invalid", "applied"]
    assert lamps(shop) == 2
