"""`orderctl dlq replay --rate`, `--ramp` and `--stop-above`: by what became of the replayed."""

import json

import pytest

from tests.conftest import StartDaemon
from tests.integration.ctl.conftest import Orderctl
from tests.integration.ctl.letters import (
    CAUSES,
    Broker,
    Letter,
    bury_many,
    execute,
    letter_of,
    value,
)

PRODUCTS = "SELECT count(*) FROM products"
# The daemon meets a fault with every lamp whose name ends so.
BROKEN = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'no lamps today' USING ERRCODE = '22012'; END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON products
        FOR EACH ROW WHEN (NEW.name LIKE '%{ending}') EXECUTE FUNCTION refuse();
"""
SHORT = {"ORDERD_RETRY_DELAYS": "100ms"}


def lamps(count: int) -> list[Letter]:
    """Return letters that are products to create, all of one cause."""
    content = ({"name": f"lamp {n}", "price": "5.00", "stock_quantity": 1} for n in range(count))
    return [letter_of(CAUSES[0], n, each) for n, each in enumerate(content)]


@pytest.fixture
def broken(daemon: StartDaemon, broker: Broker, database_url: str) -> Broker:
    """The broker of a daemon that can create no product at all."""
    execute(database_url, BROKEN.format(ending=""))
    daemon(retry_delays="100ms", trip_after=0)
    return broker


@pytest.mark.parametrize(
    "arguments", [("--ramp",), ("--stop-above", "0"), ("--ramp", "--rate", "90")]
)
def test_all_go_while_all_do_well(
    orderctl: Orderctl, daemon: StartDaemon, database_url: str, vhost_url: str, arguments: list[str]
) -> None:
    daemon(retry_delays="100ms", trip_after=0)
    bury_many(vhost_url, lamps(150))
    [group] = orderctl("dlq", "groups", "--json").document["items"]

    done = orderctl("dlq", "replay", "--group", group["group"], *arguments, "--json", **SHORT)

    assert (done.code, done.err) == (0, "")
    assert done.document == {
        "dry_run": False,
        "looked_at": 150,
        "replayed": 150,
        "skipped": 0,
        "failed": 0,
        "applied": 150,
        "refused": 0,
        "dead_again": 0,
        "without_record": 0,
        "undecided": 0,
        "stopped": None,
    }
    assert value(database_url, PRODUCTS) == 150


@pytest.mark.parametrize(("option", "replayed_max"), [("--ramp", 10), ("--stop-above=20", 100)])
def test_a_replay_stops_after_the_first_portion_that_fails(
    orderctl: Orderctl, broken: Broker, vhost_url: str, option: str, replayed_max: int
) -> None:
    bury_many(vhost_url, lamps(300))

    done = orderctl("dlq", "replay", option, "--json", **SHORT)

    assert done.code == 1
    assert done.document["replayed"] == replayed_max
    assert done.document["dead_again"] > replayed_max * 0.1
    assert "failed again" in done.document["stopped"]
    assert "orderctl: stopped: " in done.err
    # All are there: those that were not replayed first, in their order, then the others.
    broken.wait_for("product.dlq", 300)
    ids = [json.loads(body)["id"] for body in broken.take_bodies("product.dlq")]
    assert ids[: 300 - replayed_max] == [f"letter-{n}" for n in range(replayed_max, 300)]
    assert sorted(ids) == sorted(f"letter-{n}" for n in range(300))


def test_few_that_fail_do_not_stop_it(
    orderctl: Orderctl, daemon: StartDaemon, broker: Broker, database_url: str, vhost_url: str
) -> None:
    execute(database_url, BROKEN.format(ending="7"))
    daemon(retry_delays="100ms", trip_after=0)
    bury_many(vhost_url, lamps(200))

    done = orderctl("dlq", "replay", "--stop-above", "25", **SHORT)

    assert done.code == 0
    assert done.out == "200 replayed; 200 of 200 checked\nof these: 180 applied, 20 dead again\n"
    assert value(database_url, PRODUCTS) == 180
    broker.wait_for("product.dlq", 20)


def test_refused_ones_count_as_failed(
    orderctl: Orderctl, daemon: StartDaemon, broker: Broker, vhost_url: str
) -> None:
    daemon(retry_delays="100ms", trip_after=0)
    content = {"user_id": 1, "items": [{"product_id": 1, "quantity": 1}]}
    bury_many(vhost_url, (letter_of(CAUSES[1], number, content) for number in range(120)))

    done = orderctl("dlq", "replay", "order", "--stop-above", "50", "--json", **SHORT)

    assert done.code == 1
    assert done.document["replayed"] == 100
    assert done.document["refused"] > 50
    broker.wait_for("order.dlq", 20)


def test_messages_without_a_record_are_taken_for_done_once_nothing_waits(
    orderctl: Orderctl, daemon: StartDaemon, broker: Broker, database_url: str
) -> None:
    daemon(retry_delays="100ms", trip_after=0)
    broker.wait_for("product.dlq", 0)
    content = {"name": "lamp", "price": "5.00", "stock_quantity": 1}
    for _ in range(3):
        broker.bury("product", json.dumps({"action": "create", "data": content}).encode())
    broker.bury("product", b'{"id": "q", "action": "list"}')

    done = orderctl("dlq", "replay", "--stop-above", "0", "--json", **SHORT)

    assert (done.code, done.document["replayed"], done.document["without_record"]) == (0, 4, 4)
    assert value(database_url, PRODUCTS) == 3


def test_letters_that_come_meanwhile_stay(
    orderctl: Orderctl, broken: Broker, vhost_url: str
) -> None:
    bury_many(vhost_url, lamps(3))

    done = orderctl("dlq", "replay", "--stop-above", "100", "--json", **SHORT)

    # Each died again, and was not replayed again.
    assert (done.document["replayed"], done.document["dead_again"]) == (3, 3)
    broken.wait_for("product.dlq", 3)
    assert [one.headers["orderd-replayed"] for one in broken.take_all("product.dlq")] == [1] * 3


def test_a_rate_is_told_apart_from_no_rate(orderctl: Orderctl, broker: Broker) -> None:
    broker.declare()
    broker.bury_numbered("user", range(6))

    done = orderctl("dlq", "replay", "--rate", "20/s", "--json")

    assert (done.code, done.document["replayed"]) == (0, 6)
    assert "applied" not in done.document
    assert broker.take_bodies("user") == [b"%d" % number for number in range(6)]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--rate", "fast"), "--rate: 'fast' is not a rate of up to 10000/s"),
        (("--stop-above", "120"), "--stop-above: '120' is not a percentage from 0 to 100"),
    ],
)
def test_wrong_arguments_are_named(
    orderctl: Orderctl, arguments: tuple[str, ...], why: str
) -> None:
    done = orderctl("dlq", "replay", *arguments)

    assert done.code == 2
    assert why in done.err


def test_a_watched_replay_needs_the_database(orderctl: Orderctl, broker: Broker) -> None:
    broker.declare()
    broker.bury("user", b"1")

    done = orderctl(
        "dlq", "replay", "--ramp", "--force", ORDERD_DATABASE_URL="postgresql://127.0.0.1:1/x"
    )

    assert (done.code, done.out, broker.ready("user.dlq")) == (69, "", 1)
