from collections.abc import Mapping
from typing import Any

import pytest

from orderd.amqp.inspection import needed
from orderd.ctl.lint.limits import judge_frames, judge_limits, judge_permissions
from orderd.ctl.lint.queue_facts import QueueFacts
from orderd.ctl.lint.rules import judge_bindings, judge_leftovers, judge_listeners, judge_queue
from orderd.protocol.names import QUEUES, Queue
from orderd.protocol.tenants import NOTIFY

HELD_S = 90.0
WANTED = needed([5.0, 300.0])
BY_NAME = {each.name: each for each in WANTED}


def problems(
    name: str,
    *,
    kind: str = "classic",
    is_durable: bool = True,
    arguments: Mapping[str, Any] | None = None,
    **keys: Any,
) -> list[str]:
    definition = {key.replace("_", "-"): keys[key] for key in keys}
    wanted = BY_NAME[name]
    facts = QueueFacts(
        name,
        kind,
        is_durable,
        0,
        {**wanted.arguments, **(arguments or {})},
        definition,
        "p" if definition else None,
    )
    return [one.problem for one in judge_queue(wanted, facts, HELD_S)]


@pytest.mark.parametrize("name", [each.name for each in WANTED if not each.is_exchange])
def test_queues_as_orderd_declares_them_contradict_nothing(name: str) -> None:
    assert problems(name) == []
    assert problems(name, kind="quorum") == []


def test_a_consumer_timeout_must_be_longer_than_messages_are_held() -> None:
    assert problems("user", consumer_timeout=90_000) == []
    [problem] = problems("user", consumer_timeout=60_000)
    assert "orderd may hold messages for 90 s" in problem
    assert problems("user.dlq", consumer_timeout=60_000) == []


def test_a_queue_that_forgets_or_cannot_be_taken_from_is_found() -> None:
    assert problems("user.dlq", is_durable=False) == [
        "not durable: a restart of the broker empties it"
    ]
    assert problems("user.dlq", kind="stream") == ["a stream: its messages cannot be taken out"]


def test_of_two_limits_the_smaller_one_is_in_force() -> None:
    [by_argument] = problems("user", arguments={"x-message-ttl": 5}, message_ttl=9)
    [by_policy] = problems("user", arguments={"x-message-ttl": 9}, message_ttl=5)

    assert by_argument.startswith("argument x-message-ttl: message-ttl 5")
    assert by_policy.startswith("policy p: message-ttl 5")


def test_a_retry_queues_own_arguments_are_no_contradiction_but_a_shorter_delay_is() -> None:
    assert problems("user.retry.5s", message_ttl=5000) == []
    [problem] = problems("user.retry.5min", message_ttl=5000)
    assert problem.endswith("commands come back earlier than after 5min")


def test_queues_of_listeners_may_be_limited() -> None:
    assert problems("system_events", message_ttl=5, max_length=5, expires=5) == []


@pytest.mark.parametrize(
    ("kind", "keys", "refuses"),
    [
        ("classic", {"max-length": 5, "overflow": "reject-publish"}, True),
        ("classic", {"max-length-bytes": 5, "overflow": "reject-publish-dlx"}, True),
        ("quorum", {"max-length": 5, "overflow": "reject-publish"}, True),
        ("quorum", {"max-length": 5, "overflow": "reject-publish-dlx"}, False),
        ("classic", {"max-length": 5, "overflow": "drop-head"}, False),
        ("classic", {"max-length": 5}, False),
        ("classic", {"overflow": "reject-publish"}, False),
        ("stream", {"max-length-bytes": 5}, False),
    ],
)
def test_a_listener_that_refuses_events_is_named(
    kind: str,
    keys: dict[str, Any],
    refuses: bool,  # noqa: FBT001 (a parameter of the test)
) -> None:
    by_policy = QueueFacts("stock", kind, is_durable=True, messages=0, definition=keys, policy="p")
    arguments = {f"x-{key}": value for key, value in keys.items()}
    by_argument = QueueFacts("stock", kind, is_durable=True, messages=0, arguments=arguments)

    found = [each.problem for each in judge_listeners([by_policy, by_argument])]

    sources = [each.partition(":")[0] for each in found]
    assert sources == ["policy p", f"argument {next(iter(arguments))}"] * refuses


def test_a_leftover_counts_only_while_it_holds_messages() -> None:
    facts = [
        QueueFacts("user.retry.1h", "classic", is_durable=True, messages=2),
        QueueFacts("user.retry.2h", "classic", is_durable=True, messages=0),
        QueueFacts("user.retry.5s", "classic", is_durable=True, messages=9),
        QueueFacts("other.retry.9s", "classic", is_durable=True, messages=9),
    ]

    [found] = judge_leftovers(facts, ["user.retry.5s"])

    assert (found.subject, "holds 2 messages" in found.problem) == ("user.retry.1h", True)


@pytest.mark.parametrize(
    ("granted", "said"),
    [
        ({"configure": ".*", "write": ".*", "read": ".*"}, []),
        (
            {"configure": "", "write": ".*", "read": ".*"},
            [f"has no permission to configure user and {4 * len(Queue)} more"],
        ),
        (
            {"configure": ".*", "write": "^(amq.default)$", "read": ".*"},
            ["has no permission to write orderd.events"],
        ),
        (
            {"configure": ".*", "write": ".*", "read": rf"^({'|'.join(Queue)})(.retry.*)?$"},
            [f"has no permission to read user.dlq and {len(Queue) - 1} more"],
        ),
        ({"configure": "(?<", "write": ".*", "read": ".*"}, []),
    ],
)
def test_permissions_that_are_missing_are_named(
    granted: Mapping[str, str], said: list[str]
) -> None:
    assert [one.problem for one in judge_permissions(granted, "u", WANTED)] == said


def test_limits_must_leave_room_for_a_daemon() -> None:
    def said(**limits: int) -> list[str]:
        named = {key.replace("_", "-"): limits[key] for key in limits}
        return [one.problem for one in judge_limits(named, "virtual host x", WANTED)]

    queues = 4 * len(Queue)
    assert said(max_connections=-1, max_queues=queues, max_channels=100) == []
    need = f"max-queues {queues - 1}: a daemon and an orderctl need {queues}"
    assert said(max_queues=queues - 1) == [need]
    assert len(said(max_connections=0, max_channels=1)) == 2


def test_a_connection_needs_frames_that_hold_the_headers_of_a_dead_letter() -> None:
    assert [one.problem.split(":")[0] for one in judge_frames(8192)] == ["frame_max 8192"]
    assert list(judge_frames(131_072)) == []


def test_what_is_needed_has_no_arguments_but_in_retry_queues() -> None:
    assert [each.name for each in WANTED if each.arguments] == [
        f"{queue}.retry.{delay}" for queue in QUEUES for delay in ("5s", "5min")
    ]


def test_bindings_that_are_missing_are_named() -> None:
    wanted = NOTIFY.bindings_of("user_notifications")
    bound = {(each.exchange, each.pattern) for each in wanted}

    assert list(judge_bindings("user_notifications", wanted, bound)) == []
    (found,) = judge_bindings("user_notifications", wanted, bound - {("notifications", "user.*")})
    assert "not bound to notifications by user.*" in found.problem


def test_rights_and_room_for_what_only_orderd_notify_needs_are_not_asked_for() -> None:
    own = r"^(user|product|order|orderd)(\..+)?$"
    granted = {"configure": own, "write": r"^(amq\.default|orderd\.events)$", "read": own}

    assert list(judge_permissions(granted, "orderd", WANTED)) == []
