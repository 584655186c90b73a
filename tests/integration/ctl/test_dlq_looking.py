"""`orderctl dlq list` and `show`: they tell, and leave everything as it was."""

import base64
import json
import threading
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.conftest import StartDaemon
from tests.integration.ctl.conftest import Orderctl
from tests.integration.ctl.letters import Broker, broker_at


def create(name: str, **envelope: object) -> bytes:
    content = {"name": name, "price": "1.50", "stock_quantity": 1}
    return json.dumps({"action": "create", "data": content} | envelope).encode()


def test_a_real_dead_letter_is_shown_as_the_contract_has_it(
    orderctl: Orderctl, daemon: StartDaemon, broker: Broker
) -> None:
    daemon()
    orderctl("call", "product", "explode", '{"price": 2.50}', "--id", "x1")

    [line] = orderctl("dlq", "show").out.splitlines()

    letter = json.loads(line, parse_float=Decimal)
    assert list(letter) == [
        "failed_at",
        "reason",
        "code",
        "queue",
        "attempt",
        "request",
        "headers",
    ]
    assert (letter["code"], letter["queue"], letter["attempt"]) == ("unknown_action", "product", 0)
    assert letter["request"]["data"] == {"price": Decimal("2.50")}
    assert letter["request"]["id"] == "x1"
    assert letter["headers"]["orderd-queue"] == "product"
    assert datetime.fromisoformat(letter["failed_at"]).tzinfo is not None
    assert broker.ready("product.dlq") == 1


def test_a_body_that_is_no_json_is_shown_all_the_same(orderctl: Orderctl, broker: Broker) -> None:
    broker.declare()
    headers = {
        "raw": b"\xff",
        "at": datetime(2026, 1, 2, tzinfo=UTC),
        "price": Decimal("1.50"),
        "list": [None, {"deep": True}],
    }
    for body in (b"{oops", b"\xff\x00", b"NaN"):
        broker.bury("user", body, headers=headers)

    done = orderctl("dlq", "show", "user")

    letters = [json.loads(line) for line in done.out.splitlines()]
    assert [letter["request"] for letter in letters] == [
        "{oops",
        {"base64": base64.b64encode(b"\xff\x00").decode()},
        "NaN",
    ]
    shown = letters[0]["headers"]
    assert shown["raw"] == {"base64": "/w=="}
    assert (shown["price"], shown["at"]) == (1.5, "2026-01-02T00:00:00.000000Z")
    assert shown["list"] == [None, {"deep": True}]


def test_letters_are_listed_and_filtered(orderctl: Orderctl, broker: Broker) -> None:
    broker.declare()
    broker.bury("product", create("a", id="one"), code="invalid_data", age_s=7200)
    broker.bury("product", create("b", id="two"), code="poison", age_s=60)
    broker.bury("order", b'{"action": "update"}', code="poison", message_id="three")
    broker.channel.basic_publish("", "user.dlq", b"somebody else's")

    def ids(*arguments: str) -> list[str | None]:
        return [
            row["id"] for row in orderctl("dlq", "list", "--json", *arguments).document["items"]
        ]

    assert ids() == [None, "one", "two", "three"]
    assert ids("product.dlq") == ["one", "two"]
    assert ids("--code", "poison", "--code", "malformed", "--action", "update") == ["three"]
    assert ids("--newer-than", "1h", "--code", "poison", "product") == ["two"]


def test_a_list_for_people_says_where_it_stopped(orderctl: Orderctl, broker: Broker) -> None:
    broker.declare()
    broker.bury_numbered("order", range(5), code="too_large")

    done = orderctl("dlq", "list", "--limit", "3")

    assert done.code == 0
    assert len(done.out.splitlines()) == 4
    assert "too_large" in done.out
    assert done.err == "stopped at 3; 2 more not checked; raise --limit to continue\n"


def test_who_asks_for_an_id_that_is_not_there_is_told(orderctl: Orderctl, broker: Broker) -> None:
    broker.declare()
    broker.bury("order", b"1")

    done = orderctl("dlq", "show", "--id", "nobody")

    assert (done.code, done.out) == (1, "")
    assert done.err == "no match (1 dead letter checked)\n"


def test_without_any_queue_there_is_nothing_to_list(orderctl: Orderctl) -> None:
    done = orderctl("dlq", "list", "--json")

    assert (done.code, done.document) == (0, {"items": [], "looked_at": 0})


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ({"queue_type": "classic"}, ()),
        ({"queue_type": "classic"}, ("--limit", "40")),
        ({"queue_type": "quorum"}, ()),
        ({"queue_type": "quorum"}, ("--code", "poison")),
        ({"queue_type": "quorum", "delivery_limit": 20}, ("--limit", "40")),
    ],
)
def test_looking_changes_neither_the_letters_nor_their_order(
    orderctl: Orderctl, broker: Broker, kind: dict[str, Any], arguments: tuple[str, ...]
) -> None:
    broker.declare(**kind)
    for number in range(100):
        broker.bury("user", b"%d" % number, code="poison" if number % 3 else "malformed")

    for verb in ("list", "show", "list"):
        assert orderctl("dlq", verb, *arguments).code == 0

    assert broker.ready("user.dlq") == 100
    assert broker.take_bodies("user.dlq") == [b"%d" % number for number in range(100)]


def test_a_look_has_an_end_while_more_letters_arrive(
    orderctl: Orderctl, broker: Broker, vhost_url: str
) -> None:
    broker.declare()
    broker.bury_numbered("user", range(300))
    is_over = threading.Event()

    def bury_on() -> None:
        with broker_at(vhost_url) as another:
            number = 300
            while not is_over.is_set():
                another.bury("user", b"%d" % number)
                number += 1

    burying = threading.Thread(target=bury_on)
    burying.start()
    try:
        done = orderctl("dlq", "list", "--json", "--limit", "100000")
    finally:
        is_over.set()
        burying.join()

    assert done.code == 0
    assert len(done.document["items"]) >= 300
    numbers = [int(body) for body in broker.take_bodies("user.dlq")]
    assert numbers == sorted(numbers)
    assert len(numbers) > len(done.document["items"])
