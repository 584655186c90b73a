"""No look brings a dead letter nearer to the delivery limit of its queue, on any RabbitMQ."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pika
import pytest

from orderd.protocol.strict_json import loads
from tests.integration.ctl import letters
from tests.integration.ctl.letters import broker_at
from tests.support.versions import Broker
from tools.daemon import clean_environment
from tools.waiting import wait_until

LOOKS = 50
NOWHERE = "http://127.0.0.1:1"
# One program for all looks of a kind: they differ by what the broker counts, not by their start.
LOOK_OFTEN = f"""
import sys
from orderd.ctl.main import main
codes = [main(sys.argv[1:]) for _ in range({LOOKS})]
print(*sorted(set(codes)), file=sys.stderr)
"""
SENT = {
    b'{"id": "%d"}\xff' % number: {
        "orderd-failed-at": f"2026-01-0{number + 1}T00:00:00.000Z",
        "orderd-code": "poison" if number % 2 else "malformed",
        "orderd-reason": "because",
        "orderd-queue": "user",
        "orderd-attempt": 2,
        "orderd-error": "Traceback",
        "theirs": [b"\xff", {"deep": None}],
    }
    for number in range(5)
}
KINDS: tuple[tuple[str, ...], ...] = (
    ("dlq", "list"),
    ("dlq", "show"),
    ("dlq", "list", "user", "--code", "poison"),
    ("dlq", "show", "--newer-than", "1s"),
    ("dlq", "list", "--limit", "2"),
    ("dlq", "discard", "--dry-run"),
    ("dlq", "replay", "--dry-run"),
)


class Environment:
    """Letters on a node, and orderctl against it."""

    def __init__(self, broker: Broker, plain: letters.Broker, database_url: str) -> None:
        self.plain = plain
        self.broker = broker
        api = broker.rabbit.require_management()
        self.api_url = f"http://{api.host}:{api.port}"
        self._env = clean_environment() | {
            "ORDERD_RABBITMQ_URL": broker.url,
            "ORDERD_DATABASE_URL": database_url,
            "RABBITMQ_MANAGEMENT_URL": self.api_url,
        }

    def bury(self, **arguments: Any) -> None:
        self.plain.declare(queue_type="quorum", **arguments)
        for body, headers in SENT.items():
            properties = pika.BasicProperties(
                headers=headers,
                delivery_mode=2,
                message_id=headers["orderd-failed-at"],
                content_type="text/odd",
                priority=3,
            )
            self.plain.channel.basic_publish("", "user.dlq", body, properties, mandatory=True)

    def run(self, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *argv],
            env=self._env | env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def look_often(self, *arguments: str, **env: str) -> list[str]:
        """Return the exit codes of many looks, and whatever they complained of."""
        return self.run("-c", LOOK_OFTEN, *arguments, **env).stderr.splitlines()

    def orderctl(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return self.run("-m", "orderd.ctl", *arguments, **env)

    def assert_all_is_there(self) -> None:
        self.plain.wait_for("user.dlq", len(SENT))
        found = self.plain.take_all("user.dlq")
        counts = ("x-delivery-count", "x-acquired-count")
        assert {
            one.body: {name: one.headers[name] for name in one.headers if name not in counts}
            for one in found
        } == SENT
        for one in found:
            properties = one.properties
            assert (properties.content_type, properties.priority) == ("text/odd", 3)
            assert properties.message_id == SENT[one.body]["orderd-failed-at"]
            assert (properties.delivery_mode, properties.expiration) == (2, None)


@pytest.fixture
def environment(broker: Broker, database_url: str) -> Iterator[Environment]:
    with broker_at(broker.url) as plain:
        yield Environment(broker, plain, database_url)


def test_many_looks_of_each_kind_lose_nothing(environment: Environment) -> None:
    environment.bury()

    for kind in KINDS:
        assert environment.look_often(*kind)[-1:] == ["0"], kind

    environment.assert_all_is_there()


def test_many_looks_for_one_request_lose_nothing(environment: Environment) -> None:
    environment.bury()

    # It is not among them: to say so, all have to be looked at.
    assert environment.look_often("explain", "nobody") == ["1"]

    environment.assert_all_is_there()


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_a_low_limit_is_known_by_the_api_or_by_the_queues_argument(
    environment: Environment, limit: int
) -> None:
    environment.bury(delivery_limit=limit)

    assert environment.look_often("dlq", "list") == ["0"]
    assert environment.look_often("dlq", "show", RABBITMQ_MANAGEMENT_URL=NOWHERE)[-1:] == ["0"]

    environment.assert_all_is_there()


def test_a_low_limit_by_policy_is_known_by_the_api(environment: Environment) -> None:
    environment.plain.declare(queue_type="quorum")
    api, vhost = environment.broker.rabbit.require_management(), environment.broker.vhost
    policy = {"pattern": "dlq$", "definition": {"delivery-limit": 2}, "apply-to": "queues"}
    api.request("PUT", f"/api/policies/{vhost}/low", policy)

    def is_in_force() -> bool:
        return api.request("GET", f"/api/queues/{vhost}/user.dlq").get("policy") == "low"

    wait_until(is_in_force, timeout_s=20, what="the policy")
    environment.bury()

    assert environment.look_often("dlq", "list") == ["0"]

    environment.assert_all_is_there()


def test_a_replay_that_is_killed_again_and_again_loses_nothing(environment: Environment) -> None:
    environment.bury()

    for number in range(1, LOOKS + 1):
        done = environment.orderctl("dlq", "replay", ORDERD_FAILPOINT="dlq_replay_published")
        assert done.returncode == -signal.SIGKILL
        environment.plain.wait_for("user.dlq", len(SENT))
        assert environment.plain.ready("user") == number

    assert environment.orderctl("dlq", "replay").returncode == 0
    assert environment.plain.ready("user.dlq") == 0
    replayed = environment.plain.take_bodies("user")
    # Each time one message was published and not acked.
    assert len(replayed) == len(SENT) + LOOKS
    assert set(replayed) == {*SENT}


def test_letters_that_must_be_renewed_are_replayed_all_the_same(environment: Environment) -> None:
    environment.bury(delivery_limit=2)
    environment.orderctl("dlq", "list")

    done = environment.orderctl("dlq", "replay", "--json")

    assert (done.returncode, loads(done.stdout.encode())["replayed"]) == (0, len(SENT))
    assert environment.plain.take_bodies("user") == [*SENT]
    assert environment.plain.ready("user.dlq") == 0


@pytest.mark.parametrize("broker_version", ["4.0"])
def test_a_letter_that_cannot_be_renewed_is_reported(environment: Environment) -> None:
    environment.bury(delivery_limit=6, max_length=len(SENT) - 1, overflow="reject-publish")
    for _ in range(3):
        assert environment.orderctl("dlq", "list").returncode == 0

    done = environment.orderctl("dlq", "list")

    assert done.returncode == 1
    assert "user.dlq: a message with 3 deliveries of 6 cannot be renewed: nacked" in done.stderr
    environment.assert_all_is_there()


@pytest.mark.parametrize("broker_version", ["3.10", "4.0"])
def test_letters_that_cannot_be_given_back_are_not_looked_at(environment: Environment) -> None:
    environment.bury(delivery_limit=0)

    for verb in ("list", "show", "replay", "discard"):
        done = environment.orderctl("dlq", verb)
        assert (done.returncode, done.stdout) == (1, "")
        assert "queue user.dlq: delivery limit 0" in done.stderr
    assert "nothing can be searched" in environment.orderctl("explain", "0").stdout

    environment.assert_all_is_there()
