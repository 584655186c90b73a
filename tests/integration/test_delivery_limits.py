"""`orderctl topology lint` tells the delivery limit that each RabbitMQ really has."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from orderd.protocol.names import Queue
from tests.integration.ctl import letters
from tests.integration.ctl.letters import broker_at
from tests.support.versions import Broker
from tools.daemon import clean_environment
from tools.management import ManagementFault
from tools.waiting import NotObserved, wait_until

DEFAULTS = {"3.10": None, "4.0": 20, "4.3": 20}


@pytest.fixture
def plain(broker: Broker) -> Iterator[letters.Broker]:
    with broker_at(broker.url) as plain:
        yield plain


def lint(broker: Broker) -> tuple[int, dict[str, Any]]:
    """Return the exit code and the document."""
    api = broker.rabbit.require_management()
    env = {
        "ORDERD_RABBITMQ_URL": broker.url,
        "RABBITMQ_MANAGEMENT_URL": f"http://{api.host}:{api.port}",
    }
    base = [sys.executable, "-m", "orderd.ctl", "topology"]
    subprocess.run([*base, "apply"], env=clean_environment() | env, check=True, capture_output=True)
    done = subprocess.run(
        [*base, "lint", "--json"],
        env=clean_environment() | env,
        check=False,
        capture_output=True,
        timeout=60,
    )
    return done.returncode, json.loads(done.stdout)


def limits(document: dict[str, Any]) -> dict[str, int | None]:
    return {one["queue"]: one["limit"] for one in document["delivery_limits"]}


def deliveries_before_it_is_dropped(plain: letters.Broker, queue: str, tries: int) -> int | None:
    """Return how often the broker delivers a message that is refused each time; None: no end."""
    plain.channel.basic_publish("", queue, b"1", mandatory=True)
    for number in range(tries):
        try:
            wait_until(lambda: plain.ready(queue) == 1, timeout_s=2, what="the message")
        except NotObserved:
            return number
        method, _, _ = plain.channel.basic_get(queue)
        plain.channel.basic_reject(method.delivery_tag, requeue=True)
    return None


def test_queues_that_a_producer_made_without_arguments_have_the_default(
    broker: Broker, plain: letters.Broker
) -> None:
    plain.declare(queue_type="quorum")

    code, found = lint(broker)

    default = DEFAULTS[broker.version]
    assert (code, found["items"]) == (0, [])
    told = limits(found)
    assert {told[queue] for queue in Queue} == {default}
    expected = None if default is None else default + 1
    assert deliveries_before_it_is_dropped(plain, "user.dlq", 25) == expected


@pytest.mark.parametrize(("argument", "policy"), [(3, 9), (9, 3), (-1, 5), (None, -1), (None, 2)])
def test_of_argument_and_policy_the_limit_in_force_is_told(
    broker: Broker, plain: letters.Broker, argument: int | None, policy: int
) -> None:
    plain.declare(queue_type="quorum", **({} if argument is None else {"delivery_limit": argument}))
    api = broker.rabbit.require_management()
    body = {"pattern": ".*", "definition": {"delivery-limit": policy}, "apply-to": "queues"}
    try:
        api.request("PUT", f"/api/policies/{broker.vhost}/p", body)
    except ManagementFault:
        assert (broker.version, policy) == ("3.10", -1)
        return

    def is_shown() -> bool:
        return api.request("GET", f"/api/queues/{broker.vhost}/user.dlq").get("policy") == "p"

    wait_until(is_shown, timeout_s=20, what="the policy")

    code, found = lint(broker)

    limit = limits(found)["user.dlq"]
    assert code == (0 if limit is None else 1)
    expected = None if limit is None else limit + 1
    assert deliveries_before_it_is_dropped(plain, "user.dlq", 25) == expected
