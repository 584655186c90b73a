"""The permissions of each role match what the code names, and nothing else."""

import re
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderd.amqp.inspection import locks, needed
from orderd.amqp.permissions import permissions_of
from orderd.ctl.lint.limits import judge_permissions
from orderd.protocol.cloud_events import SystemEvent
from orderd.protocol.names import (
    EVENT_QUEUES,
    EVENTS_EXCHANGE,
    NOTIFICATIONS_EXCHANGE,
    QUEUES,
    NoticeQueue,
    Queue,
    own_queues,
    retry_queue,
)
from orderd.protocol.roles import Role
from orderd.protocol.tenants import NOTIFY, ORDERD, Tenant

DELAYS_S = (5.0, 30.0, 300.0)
EVERY_NAME = sorted(
    {
        *own_queues(DELAYS_S),
        *EVENT_QUEUES,
        *(each.name for each in needed(DELAYS_S)),
        *("amq.default", "amq.topic", "amq.rabbitmq.reply-to", "replies", "billing"),
        *(f"{queue}{ending}" for queue in QUEUES for ending in ("s", ".", ".dlq.other", ".retry.")),
        *(f"other.{queue}" for queue in QUEUES),
    }
)


def matching(pattern: str, names: Iterable[str] = EVERY_NAME) -> set[str]:
    return {name for name in names if re.search(pattern, name)}


def of(queues: Iterable[str], *, is_locked: bool = False) -> set[str]:
    """Return the queues with those for retries and dead letters, and their locks."""
    endings = ["", ".dlq", ".retry.5s", ".retry.30s", ".retry.5min", *([".lock"] * is_locked)]
    return {f"{queue}{ending}" for queue in queues for ending in endings}


DEAD_LETTERS = {f"{queue}.dlq" for queue in QUEUES}
NOTICE_DEAD_LETTERS = {f"{queue}.dlq" for queue in NoticeQueue}
RETRIES = {name for name in of(QUEUES) if ".retry." in name}
EXCHANGES = {EVENTS_EXCHANGE, NOTIFICATIONS_EXCHANGE}


@pytest.mark.parametrize(
    ("role", "kind", "names"),
    [
        (Role.DAEMON, "configure", of(Queue, is_locked=True) | {EVENTS_EXCHANGE}),
        (Role.DAEMON, "write", {"amq.default", EVENTS_EXCHANGE}),
        (Role.DAEMON, "read", of(Queue, is_locked=True) | NOTICE_DEAD_LETTERS),
        (Role.NOTIFY, "configure", of(NoticeQueue) | EXCHANGES),
        (Role.NOTIFY, "write", {*NoticeQueue, "amq.default", EVENTS_EXCHANGE}),
        (Role.NOTIFY, "read", of(NoticeQueue) | EXCHANGES),
        (Role.OWNER, "configure", of(QUEUES) | EXCHANGES | set(EVENT_QUEUES)),
        (Role.OWNER, "write", {*NoticeQueue, *EVENT_QUEUES, "amq.default"}),
        (Role.OWNER, "read", RETRIES | EXCHANGES),
        (Role.READER, "configure", set()),
        (Role.READER, "write", set()),
        (Role.READER, "read", DEAD_LETTERS),
    ],
)
def test_a_pattern_matches_these_names_and_no_others(
    role: Role, kind: str, names: set[str]
) -> None:
    assert matching(getattr(permissions_of(role), kind)) == names


def test_lint_finds_nothing_missing() -> None:
    own = permissions_of(Role.DAEMON)
    granted = {"configure": own.configure, "write": own.write, "read": own.read}

    wanted = [*needed(DELAYS_S), *locks(list(Queue))]

    assert list(judge_permissions(granted, "orderd", wanted)) == []


@given(st.floats(0.1, 86_400))
def test_retry_queues_of_any_delay_match(delay_s: float) -> None:
    for tenant, role in ((ORDERD, Role.DAEMON), (NOTIFY, Role.NOTIFY)):
        name = retry_queue(tenant.queues[0], delay_s)
        assert matching(permissions_of(role).configure, [name]) == {name}


@pytest.mark.parametrize("tenant", [NOTIFY])
def test_every_binding_may_be_made(tenant: Tenant) -> None:
    topics = {topic.exchange: topic for topic in permissions_of(Role.NOTIFY).topics}

    for binding in tenant.bindings:
        assert matching(topics[binding.exchange].read, [binding.pattern])
    assert matching(topics[EVENTS_EXCHANGE].read, ["#", "order.*", "user.created"]) == set()
    assert matching(topics[EVENTS_EXCHANGE].write, SystemEvent) == set(SystemEvent)
    assert matching(topics[EVENTS_EXCHANGE].write, ["order.created", "system.x.y"]) == set()
