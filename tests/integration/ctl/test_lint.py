"""`orderctl topology lint`: what in the broker contradicts the settings."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.ctl.conftest import Orderctl
from tests.integration.ctl.letters import Broker
from tools.management import EVERYTHING, Management
from tools.rabbitmq import PrivateRabbit
from tools.waiting import wait_until

FULL = "when it is full"
WAITING = "the commands that should go there wait unacked"


@pytest.fixture
def plant(management: Management, vhost: str) -> Callable[..., None]:
    """Set a policy `planted-QUEUE` for each queue; returns when the broker shows them all."""

    def put(policies: dict[str, dict[str, Any]], kind: str = "policies") -> None:
        for queue, definition in policies.items():
            body = {"pattern": f"^{queue}$", "definition": definition, "apply-to": "queues"}
            management.request("PUT", f"/api/{kind}/{vhost}/planted-{queue}", body)
        member = "policy" if kind == "policies" else "operator_policy"

        def are_shown() -> bool:
            shown = {one["name"]: one for one in management.request("GET", f"/api/queues/{vhost}")}
            return all(shown[queue].get(member) == f"planted-{queue}" for queue in policies)

        wait_until(are_shown, timeout_s=20, what=f"policies on {list(policies)}")

    return put


def test_a_fresh_virtual_host_is_as_orderd_needs_it(topology: Any) -> None:
    topology("apply", "--events")

    done = topology("lint")

    assert (done.code, done.out) == (0, "nothing in the broker contradicts the settings\n")
    assert done.err.startswith("to check by hand: consumer_timeout")


def test_what_is_missing_is_found(topology: Any) -> None:
    done = topology("lint", "--json")

    found = {one["subject"]: one for one in done.document["items"]}
    assert done.code == 1
    assert len(found) == 16
    assert found["user.dlq"]["fix"] == "orderctl topology apply"


@pytest.mark.parametrize(
    ("definition", "said"),
    [
        (
            {
                "message-ttl": 1000,
                "expires": 600_000,
                "max-length": 5,
                "dead-letter-exchange": "elsewhere",
            },
            {
                ("user", "the broker drops commands that wait longer, without an outcome"),
                ("user", "the broker deletes the queue and its commands when it is unused"),
                ("user", "when it is full, the broker drops its oldest commands"),
                ("user", "the broker moves messages elsewhere without orderd noticing"),
                ("order.dlq", "dead letters are deleted before they can be examined"),
                (
                    "order.dlq",
                    "the broker deletes the queue and its dead letters: it has no consumers",
                ),
                ("order.dlq", "when it is full, the broker drops its oldest dead letters"),
                ("order.dlq", "the broker moves messages elsewhere without orderd noticing"),
                ("order.retry.5s", "commands come back earlier than after 5s"),
                (
                    "order.retry.5s",
                    "the broker deletes the queue and its commands: it has no consumers",
                ),
                ("order.retry.5s", f"{FULL}, {WAITING}"),
            },
        ),
        (
            {"max-length-bytes": 5000, "overflow": "reject-publish"},
            {
                ("user", f"{FULL}, producers are refused, and retries come back later"),
                ("order.dlq", f"{FULL}, {WAITING}, and dead letters cannot be renewed"),
                ("order.retry.5s", f"{FULL}, {WAITING}"),
            },
        ),
    ],
)
def test_policies_that_contradict_are_found(
    topology: Any, plant: Any, definition: dict[str, Any], said: set[tuple[str, str]]
) -> None:
    topology("apply")
    plant(dict.fromkeys(("user", "order.dlq", "order.retry.5s"), definition))

    done = topology("lint", "--json")

    found = done.document["items"]
    assert done.code == 1
    assert {(one["subject"], one["problem"].split(": ", 2)[2]) for one in found} == said
    for one in found:
        assert one["problem"].startswith(f"policy planted-{one['subject']}: ")
        assert f"rabbitmqctl clear_policy planted-{one['subject']}" in one["fix"]


def test_an_operator_policy_is_found_too(topology: Any, plant: Any) -> None:
    topology("apply")
    plant({"order.dlq": {"message-ttl": 1000}}, kind="operator-policies")

    done = topology("lint")

    assert done.code == 1
    assert "clear_operator_policy planted-order.dlq" in done.out


def test_a_listener_that_can_refuse_is_named_also_behind_another_exchange(
    topology: Any, broker: Broker
) -> None:
    topology("apply", "--events")
    full = {"x-max-length": 2, "x-overflow": "reject-publish"}
    broker.channel.exchange_declare("behind", "fanout", durable=True)
    broker.channel.exchange_bind("behind", "orderd.events", "order.#")
    # A ring of exchanges has an end, too.
    broker.channel.exchange_bind("behind", "behind")
    for queue, arguments in {
        "stock": full,
        "roomy": {"x-max-length": 2},
        "bystander": full,
    }.items():
        broker.channel.queue_declare(queue, durable=True, arguments=arguments)
    for queue in ("stock", "roomy"):
        broker.channel.queue_bind(queue, "behind")

    done = topology("lint", "--json")

    [found] = done.document["items"]
    assert (done.code, found["subject"]) == (1, "stock")
    assert found["problem"] == (
        "argument x-max-length: max-length 2 with overflow reject-publish: when it is full it "
        "refuses events, and orderd sends a refused event again, less and less often, to every "
        "queue bound to orderd.events"
    )


def test_the_delivery_limits_in_force_are_shown(topology: Any, broker: Broker, plant: Any) -> None:
    broker.declare(queue_type="quorum")
    topology("apply")
    plant({"order": {"delivery-limit": 25}, "order.dlq": {"delivery-limit": 5}})

    shown, table = topology("lint", "--json"), topology("lint").out

    limits = {one["queue"]: one for one in shown.document["delivery_limits"]}
    assert set(limits) == {"user", "user.dlq", "product", "product.dlq", "order", "order.dlq"}
    assert limits["order"]["limit"] == 25
    assert limits["order"]["source"] == "policy planted-order: delivery-limit 25"
    assert limits["user"]["source"].startswith("default of RabbitMQ ")
    [found] = shown.document["items"]
    assert (shown.code, found["subject"]) == (1, "order.dlq")
    assert "raise it to 20 or more" in found["fix"]
    assert "policy planted-order: delivery-limit 25" in table


def test_harmless_policies_are_none(topology: Any, plant: Any) -> None:
    topology("apply")
    plant({"user": {"queue-mode": "lazy"}, "order.retry.30s": {"message-ttl": 60_000}})

    assert topology("lint").code == 0


def test_arguments_of_a_queue_count_as_well(topology: Any, broker: Broker) -> None:
    topology("apply")
    for queue in ("order", "user", "product", "order.dlq"):
        broker.channel.queue_delete(queue)
    arguments = {"x-queue-type": "quorum", "x-delivery-limit": 3}
    broker.channel.queue_declare("order", durable=True, arguments=arguments)
    broker.channel.queue_declare("user", durable=True, auto_delete=True)
    broker.channel.queue_declare("product", durable=True, arguments={"x-message-ttl": 9})
    broker.channel.queue_declare("order.dlq", durable=False)

    done = topology("lint", "--json")

    problems = {one["subject"]: one["problem"] for one in done.document["items"]}
    assert done.code == 1
    assert set(problems) == {"order", "user", "product", "order.dlq"}
    assert problems["order"].startswith("argument x-delivery-limit: delivery-limit 3: ")
    assert "inequivalent arg 'auto_delete'" in problems["user"]
    assert problems["product"].startswith("argument x-message-ttl: message-ttl 9: ")
    assert problems["order.dlq"].startswith("not durable")


def test_a_retry_queue_of_an_earlier_setting_that_holds_messages_is_found(
    topology: Any, broker: Broker
) -> None:
    topology("apply", ORDERD_RETRY_DELAYS="1h,5s,30s,5min")
    assert topology("lint").code == 0
    broker.channel.basic_publish("", "user.retry.1h", b"{}")

    def is_found() -> bool:
        done = topology("lint")
        return done.code == 1 and "user.retry.1h" in done.out

    # The API tells of messages with a delay of some seconds.
    wait_until(is_found, timeout_s=20, what="the leftover")


def test_limits_and_permissions_are_looked_at(
    topology: Any, management: Management, vhost: str
) -> None:
    topology("apply")
    management.request("PUT", f"/api/vhost-limits/{vhost}/max-connections", {"value": 3})
    permissions = EVERYTHING | {"write": "^amq", "read": ""}
    path = f"/api/permissions/{vhost}/{management.user}"
    management.request("PUT", path, permissions)

    done = topology("lint", "--json")

    problems = [(one["subject"], one["problem"]) for one in done.document["items"]]
    assert done.code == 1
    assert (f"virtual host {vhost}", "max-connections 3: a daemon and an orderctl need 4") in (
        problems
    )
    assert ("user guest", "has no permission to write orderd.events") in problems
    assert ("user guest", "has no permission to read user and 14 more") in problems


def test_a_message_size_below_the_largest_body_is_found(
    topology: Any, private_rabbit: PrivateRabbit
) -> None:
    topology("apply")
    size = private_rabbit.ctl("eval", "element(2, application:get_env(rabbit, max_message_size)).")
    set_max_message_size(private_rabbit, 1_000_000)
    try:
        done = topology("lint")
    finally:
        set_max_message_size(private_rabbit, int(size))

    assert done.code == 1
    assert "takes no message of 1048576 bytes" in done.out
    assert "max_message_size" in done.out


def set_max_message_size(rabbit: PrivateRabbit, size_bytes: int) -> None:
    # RabbitMQ 4 looks at the copy that it has made of it.
    setting = f"application:set_env(rabbit, max_message_size, {size_bytes})"
    rabbit.ctl("eval", f"{setting}, persistent_term:put(max_message_size, {size_bytes}).")


def test_a_user_without_access_to_the_api_is_told_so(
    topology: Any, management: Management, vhost: str, vhost_url: str
) -> None:
    topology("apply")
    name = f"plain_{vhost}"
    management.request("PUT", f"/api/users/{name}", {"password": "secret1", "tags": ""})
    try:
        management.request("PUT", f"/api/permissions/{vhost}/{name}", EVERYTHING)
        url = vhost_url.replace("guest:guest", f"{name}:secret1")

        done = topology("lint", ORDERD_RABBITMQ_URL=url)
    finally:
        management.request("DELETE", f"/api/users/{name}")

    assert done.code == 3
    assert done.out == "nothing in what was checked contradicts the settings\n"
    assert "not checked: policies and arguments" in done.err
    assert "401" in done.err
    assert "secret1" not in done.out + done.err


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://user:hunter2@[x", "hunter2"])
def test_a_url_that_cannot_be_used_is_refused_and_not_quoted(orderctl: Orderctl, url: str) -> None:
    done = orderctl("topology", "lint", "--management-url", url)

    assert done.code == 2
    assert "hunter2" not in done.err
