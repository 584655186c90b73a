"""How long messages wait: what `orderctl status` and `orderctl metrics` say, and when nothing."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pika
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import StartDaemon
from tests.integration.ctl.conftest import Ended, Orderctl
from tests.integration.ctl.letters import Broker
from tests.integration.ctl.test_metrics import get
from tests.support.exporter import serving
from tools.management import Management
from tools.waiting import wait_until

HOUR_S = 3600
OLDEST = "orderd_queue_oldest_seconds"


@pytest.fixture
def api(management: Management) -> dict[str, str]:
    return {"RABBITMQ_MANAGEMENT_URL": f"http://{management.host}:{management.port}"}


def publish(broker: Broker, queue: str, age_s: float | None) -> None:
    moment = None if age_s is None else int(time.time() - age_s)
    properties = pika.BasicProperties(timestamp=moment, delivery_mode=2)
    broker.channel.basic_publish("", queue, b"{}", properties)


def ages(orderctl: Orderctl, env: dict[str, str]) -> dict[str, Any]:
    document = orderctl("status", "--json", "--timeout", "30", **env).document
    return {row["queue"]: row["oldest_s"] for row in document["queues"]["queues"]}


def samples(done: Ended) -> dict[tuple[str, str], float]:
    return samples_in(done.out)


def samples_in(text: str) -> dict[tuple[str, str], float]:
    return {
        (sample.name, sample.labels.get("queue", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def oldest(url: str) -> dict[str, float]:
    """Return the age by queue that the exporter at *url* tells now."""
    _, _, text = get(url)
    found = samples_in(text)
    return {queue: found[name, queue] for name, queue in found if name == OLDEST}


def test_the_age_of_a_command_is_that_of_the_first_in_a_classic_queue(
    orderctl: Orderctl, broker: Broker, api: dict[str, str]
) -> None:
    broker.declare(queue_type="classic")
    for age_s in (HOUR_S, 60):
        publish(broker, "order", age_s)
    publish(broker, "user", None)

    # The API tells of messages with a delay of some seconds.
    wait_until(lambda: ages(orderctl, api)["order"], timeout_s=60, what="the age")

    found = ages(orderctl, api)
    assert HOUR_S - 5 <= found["order"] <= HOUR_S + 300
    # Its producer wrote no time.
    assert found["user"] is None
    assert found["product"] == Decimal(0)
    told = samples(orderctl("metrics", **api))
    assert told[OLDEST, "order"] >= HOUR_S - 5
    assert told[OLDEST, "product"] == 0
    assert (OLDEST, "user") not in told


def test_an_age_that_cannot_be_known_is_said_to_be_unknown(
    orderctl: Orderctl, broker: Broker, api: dict[str, str]
) -> None:
    broker.declare(queue_type="quorum")
    publish(broker, "order", HOUR_S)
    nowhere = {"RABBITMQ_MANAGEMENT_URL": "http://127.0.0.1:1"}

    assert ages(orderctl, api)["order"] is None
    assert ages(orderctl, nowhere)["order"] is None
    line = orderctl("status", "--nagios", "--crit", "age=1d", **nowhere).out
    assert "age of the oldest waiting command: unknown" in line
    assert "age=U;;86400;0" in line


def test_an_answer_through_each_queue_bounds_the_ages_of_a_quorum_queue(
    orderctl: Orderctl, broker: Broker, api: dict[str, str], daemon: StartDaemon
) -> None:
    broker.declare(queue_type="quorum")
    orderd = daemon(prefetch=1, batch_max=1)
    orderd.send(signal.SIGSTOP)
    for queue, count in (("order", 5), ("user", 20), ("product", 20)):
        for _ in range(count):
            publish(broker, queue, HOUR_S)
        # The daemon has one of them.
        broker.wait_for(queue, count - 1)

    with ThreadPoolExecutor() as threads:
        found = threads.submit(ages, orderctl, api)
        try:
            # Asked first through the queue in which least waits, once all have been looked at.
            broker.wait_for("order", 5)
        finally:
            orderd.send(signal.SIGCONT)
        told = found.result()

    # What waits since then: nothing of what is an hour old.
    asked = [told[queue] for queue in ("order", "user", "product")]
    assert None not in asked
    assert max(asked) < HOUR_S


def test_who_looks_again_finds_an_age_in_a_quorum_queue_too(
    broker: Broker, api: dict[str, str], database_url: str, vhost_url: str, tmp_path: Path
) -> None:
    broker.declare(queue_type="quorum")
    for _ in range(3):
        publish(broker, "order", None)
    broker.wait_for("order", 3)
    env = {"ORDERD_DATABASE_URL": database_url, "ORDERD_RABBITMQ_URL": vhost_url, **api}
    with serving(tmp_path / "none", env) as url:
        first = oldest(url)
        publish(broker, "user", None)
        broker.wait_for("user", 1)
        second = oldest(url)

        def is_known() -> bool:
            # The queue moves and is never empty.
            publish(broker, "order", None)
            taken, _, _ = broker.channel.basic_get("order")
            broker.channel.basic_ack(taken.delivery_tag)
            return "order" in oldest(url)

        wait_until(is_known, timeout_s=60, what="the age", poll_s=1)
        third = oldest(url)

    # Nothing is known of those that were there at the first look.
    assert first == {"user": 0, "product": 0}
    assert 0 < second["user"] < third["user"]
    # Those that wait in the other queue are no older: at the first look they had not come yet.
    assert 0 < third["order"] <= third["user"]
    # No look has taken a command.
    taken = broker.take_all("order")
    assert len(taken) == 3
    assert not any(one.headers.get("x-delivery-count") for one in taken)


def test_who_has_seen_no_dead_letters_knows_how_old_they_are_at_most(
    broker: Broker, api: dict[str, str], database_url: str, vhost_url: str, tmp_path: Path
) -> None:
    broker.declare(queue_type="quorum")
    env = {"ORDERD_DATABASE_URL": database_url, "ORDERD_RABBITMQ_URL": vhost_url, **api}
    with serving(tmp_path / "none", env) as url:
        assert samples_in(get(url)[2])["orderd_dead_letter_oldest_seconds", ""] == 0
        broker.bury("order", b"0")
        broker.wait_for("order.dlq", 1)

        assert samples_in(get(url)[2])["orderd_dead_letter_oldest_seconds", ""] > 0

    [taken] = broker.take_all("order.dlq")
    assert not taken.headers.get("x-delivery-count")


def test_the_age_of_dead_letters_counts_from_their_rejection(
    orderctl: Orderctl, broker: Broker, api: dict[str, str]
) -> None:
    broker.declare(queue_type="classic")
    assert samples(orderctl("metrics", **api))["orderd_dead_letter_oldest_seconds", ""] == 0
    for queue, age_s in (("order", 60), ("order", 10), ("user", HOUR_S)):
        broker.bury(queue, b"%d" % age_s, age_s=age_s)

    told = samples(orderctl("metrics", **api))
    found = ages(orderctl, api)

    assert told["orderd_dead_letter_oldest_seconds", ""] >= HOUR_S
    assert found["user.dlq"] >= HOUR_S
    assert 60 <= found["order.dlq"] < HOUR_S
    assert [taken.body for taken in broker.take_all("order.dlq")] == [b"60", b"10"]


def test_dead_letters_are_left_alone_where_a_look_is_counted(
    orderctl: Orderctl, broker: Broker, api: dict[str, str], management: Management
) -> None:
    version = management.request("GET", "/api/overview")["rabbitmq_version"]
    is_counted = tuple(map(int, version.split(".")[:2])) < (4, 3)
    broker.declare(queue_type="quorum")
    for number in range(3):
        broker.bury("order", b"%d" % number)

    told = samples(orderctl("metrics", **api))

    assert (("orderd_dead_letter_oldest_seconds", "") not in told) == is_counted
    taken = broker.take_all("order.dlq")
    assert [one.body for one in taken] == [b"0", b"1", b"2"]
    assert not any(one.headers.get("x-delivery-count") for one in taken)
