"""orderd in a container, with a root that is read-only and no privilege, against real servers."""

import json
from typing import Any, Final

import pytest

from tests.acceptance.shop import REPLIES, Shop, command, order
from tests.acceptance.test_reference_scenario import (
    ALL_ITEMS,
    ITEMS,
    ORDERS,
    PRODUCTS,
    REFUSAL,
    STEPS,
)
from tests.container.conftest import StartContainer
from tools.waiting import wait_until

pytestmark = pytest.mark.container

COUNT: Final = 1_500
HEAVY_COUNT: Final = 1_000
MEMORY: Final = "128m"
MEMORY_BYTES: Final = 128 << 20
NONE: Final = "0000000000000000"


def test_the_reference_scenario_ends_as_the_contract_says(
    shop: Shop, container: StartContainer
) -> None:
    orderd = container()

    for number, step in enumerate(STEPS):
        body = step["body"]
        shop.send(step["queue"], body["action"], body["data"], id=f"step-{number}")
        (reply,) = shop.take(REPLIES)

    assert reply.json["error"] == REFUSAL
    assert shop.query("SELECT id, name, price, stock_quantity FROM products ORDER BY id") == (
        PRODUCTS
    )
    assert shop.query("SELECT id, status, total_amount FROM orders ORDER BY id") == ORDERS
    assert shop.query(ALL_ITEMS) == ITEMS
    assert orderd.stop() == 0


def test_orderd_notify_is_a_command_of_the_image_with_the_same_probe(
    shop: Shop, container: StartContainer
) -> None:
    channel = {"kind": "log", "for": "users"}
    notify = container(args=("orderd-notify",), notify__channel=json.dumps([channel]))
    orderd = container()
    shop.open_with(stock=10, products=1)

    shop.send_all([order({1: 1}, id="told")])

    notify.wait_for_event("notification.sent", action="order.created")
    assert notify.check_health() == "healthy"
    notify.podman_stop()
    assert notify.exit_code() == 0
    assert orderd.stop() == 0


def test_podman_stop_under_load_drains_exits_0_and_loses_nothing(
    shop: Shop, container: StartContainer
) -> None:
    shop.open_with(stock=10_000, products=3)
    shop.send_all([order({n % 3 + 1: 1}, id=f"order-{n}") for n in range(COUNT)])
    first = container(batch_max=20)
    first.wait_for_event("batch.committed")

    first.podman_stop()

    assert first.exit_code() == 0
    (draining,) = first.events("daemon.draining")
    assert "SIGTERM" in draining["message"]
    done = shop.value("SELECT count(*) FROM processed_requests")
    assert 0 < done < COUNT
    wait_until(lambda: shop.ready("order") == COUNT - done, timeout_s=10, what="the rest in queue")
    second = container()
    shop.wait_for_rows(COUNT, "processed_requests", timeout_s=60)
    second.podman_stop()
    assert second.exit_code() == 0
    assert set(shop.outcomes().values()) == {"applied"}
    assert shop.value("SELECT count(*) FROM orders") == COUNT
    assert shop.stock_mismatches() == []
    assert shop.ready("order.dlq") == 0


def test_it_is_nobody_may_nothing_and_can_write_nowhere(container: StartContainer) -> None:
    orderd = container()

    status = orderd.status()
    touched = orderd.podman.attempt("exec", orderd.name, "touch", "/x", "/opt/orderd/x")

    assert status["Uid"].split() == ["10001"] * 4
    assert status["Gid"].split() == ["10001"] * 4
    assert {status[key] for key in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {NONE}
    assert status["NoNewPrivs"] == "1"
    assert status["NSpid"].split()[-1] == "1"
    assert touched.stderr.count(b"Read-only file system") == 2


def test_128_mb_are_enough_under_load(shop: Shop, container: StartContainer) -> None:
    shop.open_with(stock=1_000_000, products=50)
    long_orders = [
        order(dict.fromkeys(range(1, 51), 1), id=f"order-{n}") for n in range(HEAVY_COUNT)
    ]
    shop.send_all(long_orders)

    orderd = container(options=[f"--memory={MEMORY}", f"--memory-swap={MEMORY}"])

    shop.wait_for_rows(HEAVY_COUNT, "processed_requests", timeout_s=120)
    limit = orderd.podman.inspect("container", orderd.name)["HostConfig"]["Memory"]
    peak_kb = int(orderd.status()["VmHWM"].split()[0])
    assert limit == MEMORY_BYTES
    assert 20_000 < peak_kb < 120_000
    assert orderd.stop() == 0
    assert not orderd.podman.inspect("container", orderd.name)["State"]["OOMKilled"]
    assert shop.stock_mismatches() == []


def test_its_stdout_is_json_without_a_prefix(shop: Shop, container: StartContainer) -> None:
    orderd = container()
    shop.send_all([command("product", "create", {"name": "ü"})])
    orderd.wait_for_event("message.dead_lettered")
    assert orderd.stop() == 0

    lines = orderd.logged().splitlines()

    events = [json.loads(line)["event"] for line in lines]
    assert events[0] == "daemon.started"
    assert "message.dead_lettered" in events
    assert events[-1] == "daemon.stopped"


def test_its_lines_have_a_priority_where_that_is_asked_for(container: StartContainer) -> None:
    orderd = container(ready=False, log_priority_prefix="always")
    wait_until(lambda: "consumer.started" in orderd.output, timeout_s=20, what="consuming")
    assert orderd.stop() == 0

    lines = orderd.logged().splitlines()

    # These servers do not sync: that is a warning.
    priorities = {json.loads(line[3:])["event"]: line[:3] for line in lines}
    assert priorities["consumer.started"] == "<6>"
    assert priorities["durability.weakened"] == "<4>"


@pytest.mark.parametrize(
    ("settings", "args", "code"),
    [
        ({"batch_max": "many"}, [], 78),
        ({}, ["--no-such-option"], 2),
        ({"rabbitmq_url": "amqp://guest:secret@127.0.0.1:1/"}, ["--no-wait"], 69),
    ],
)
def test_exit_codes_pass_through(
    container: StartContainer, settings: dict[str, Any], args: list[str], code: int
) -> None:
    orderd = container(ready=False, args=args, **settings)

    assert orderd.exit_code() == code
    assert orderd.podman.inspect("container", orderd.name)["State"]["ExitCode"] == code
    assert "secret@" not in orderd.output


def test_a_schema_that_is_not_migrated_exits_with_78(
    container: StartContainer, empty_database_url: str
) -> None:
    orderd = container(ready=False, database_url=empty_database_url)

    assert orderd.exit_code() == 78
    assert "orderctl migrate" in orderd.events("schema.outdated")[0]["message"]


def test_a_stop_while_it_waits_for_its_servers_exits_0(container: StartContainer) -> None:
    orderd = container(ready=False, database_url="postgresql://postgres@127.0.0.1:1/none")
    orderd.wait_for_event("database.disconnected")

    orderd.podman_stop()

    assert orderd.exit_code() == 0
