import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from orderd.amqp.message import Properties
from orderd.db.clock import Clock
from orderd.pipeline.messages import copied_properties
from orderd.pipeline.outbound import OutboundMessages, Purpose
from orderd.pipeline.outbox.rows import OutboxRow
from orderd.pipeline.receipts import Receipts
from orderd.pipeline.report import Reporter
from orderd.pipeline.results import Result, attempt_of
from orderd.protocol.names import (
    EVENT_QUEUES,
    HEADER_ATTEMPT,
    HEADER_CODE,
    HEADER_REASON,
    QUEUES,
    UNDELIVERABLE,
    NoticeQueue,
    UnavailableCode,
    dead_letter_queue,
    delay_name,
    own_queues,
    retry_queue,
)
from orderd.protocol.replies import Response
from orderd.shop.order_changes import OrderRefusal
from orderd.shop.outcomes import Done, Duplicate, Refused, Unavailable, Undeliverable
from tests.support.commands import delivery
from tests.support.policies import policy
from tests.unit.pipeline.results import (
    ANSWERED,
    APPLIED,
    DEFERRED,
    DELAYS_S,
    OK,
    only,
    outbound,
    result,
    roles,
    spoilt,
)

REFUSED = Refused(OrderRefusal.USER_INACTIVE, "User 1 is not active")
UNAVAILABLE = Unavailable(UnavailableCode.UNAVAILABLE, "The rows are locked")
NO_ANSWER = Response.failed("unavailable", "The rows are locked")
REFUSAL = Response.failed("user_inactive", "User 1 is not active")


@pytest.mark.parametrize(
    ("outcome", "response"),
    [
        (APPLIED, OK),
        (ANSWERED, OK),
        (UNAVAILABLE, NO_ANSWER),
        (REFUSED, REFUSAL),
        (Duplicate(OK), OK),
    ],
)
def test_a_settled_command_is_answered_where_an_answer_is_wanted(
    outcome: Any, response: Response
) -> None:
    asked = result(outcome, response, reply_to="mine", correlation_id="c")

    message = only(Purpose.REPLY, asked)

    assert roles(asked) == ["REPLY"]
    assert (message.exchange, message.routing_key, message.mandatory) == ("", "mine", True)
    assert message.body == response.reply("c")
    assert message.properties == Properties(
        content_type="application/json", delivery_mode=1, correlation_id="c", app_id="orderd"
    )
    assert roles(result(outcome, response)) == []


@pytest.mark.parametrize(
    ("correlation_id", "request_id", "told"),
    [("c", "r", "c"), (None, "r", "r"), ("c", None, "c"), (None, None, None), ("", "r", "r")],
)
def test_the_property_goes_before_the_id_of_the_request(
    correlation_id: str | None, request_id: str | None, told: str | None
) -> None:
    asked = result(
        APPLIED, request_id=request_id, reply_to="mine", correlation_id=correlation_id
    )  # fmt: skip

    message = only(Purpose.REPLY, asked)

    assert message.properties.correlation_id == told
    assert json.loads(message.body)["correlation_id"] == told


@pytest.mark.parametrize(
    ("request_id", "fits"), [("x" * 255, True), ("☃" * 85, True), ("☃" * 86, False)]
)
def test_an_id_too_long_for_the_property_is_in_the_body_only(
    request_id: str, *, fits: bool
) -> None:
    message = only(Purpose.REPLY, result(APPLIED, request_id=request_id, reply_to="mine"))

    assert message.properties.correlation_id == (request_id if fits else None)
    assert json.loads(message.body)["correlation_id"] == request_id


def test_direct_reply_to_is_a_queue_like_any_other() -> None:
    name = "amq.rabbitmq.reply-to.g1h2AA5yZXBseUA.x"

    assert only(Purpose.REPLY, result(APPLIED, reply_to=name)).routing_key == name


@pytest.mark.parametrize("name", [*sorted(own_queues(DELAYS_S)), "order.retry.of-former-settings"])
def test_no_reply_goes_to_a_queue_of_orderd(name: str) -> None:
    assert roles(result(APPLIED, reply_to=name)) == []
    assert roles(spoilt(reply_to=name)) == ["DEAD_LETTER", "NOTICE"]


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (result(APPLIED, reply_to="mine", delivery_mode=2), 2),
        (result(APPLIED, reply_to="mine", delivery_mode=1), 1),
        (result(APPLIED, reply_to="mine"), 1),
        (result(ANSWERED, reply_to="mine", delivery_mode=2), 2),
        (result(ANSWERED, reply_to="mine"), 1),
        (spoilt(reply_to="mine", delivery_mode=2), 2),
        (spoilt(reply_to="mine"), 1),
    ],
)
def test_a_reply_is_as_durable_as_its_request(asked: Result, given: int) -> None:
    assert only(Purpose.REPLY, asked).properties.delivery_mode == given


@pytest.mark.parametrize(
    ("patterns", "name", "reason"),
    [
        (("*",), "mine", None),
        (("*",), "amq.gen-x", None),
        (("*",), "line\nbreak", None),
        (("*",), "order", "own_queue"),
        (("order",), "order", "own_queue"),
        (("product.*",), "product.dlq", "own_queue"),
        (("web.*", "replies"), "web.17", None),
        (("web.*", "replies"), "replies", None),
        (("web.*", "replies"), "replies2", "not_allowed"),
        (("web.*", "replies"), "myweb.17", "not_allowed"),
        (("web.*",), "webx", "not_allowed"),
        (("[a-z]+",), "mine", "not_allowed"),
        (("amq.gen-*",), "amq.gen-x", None),
        ((), "mine", "not_allowed"),
        ((), "amq.rabbitmq.reply-to", "not_allowed"),
        ((), "amq.rabbitmq.reply-to.g1h2AA5yZXBseUA.x", None),
    ],
)
def test_replies_go_to_the_queues_that_are_allowed(
    patterns: tuple[str, ...], name: str, reason: str | None
) -> None:
    own = replace(policy(), reply_queues=patterns)
    counted = Counter[str]()
    outbound = OutboundMessages(own, Receipts(), Reporter(counted), Clock().now)

    sent = outbound.of([result(APPLIED, reply_to=name)])

    assert [each.outgoing.routing_key for each in sent] == ([] if reason else [name])
    assert counted == ({reason: 1} if reason else {})


def test_what_a_queue_may_get_changes_at_once() -> None:
    changed = policy()

    changed.replace(replace(policy(), reply_queues=("web",)))

    assert changed.unsent("mine") == "not_allowed"
    assert changed.unsent("web") is None


def test_the_own_queues_are_all_that_orderd_declares() -> None:
    names = own_queues(DELAYS_S)

    assert {"user", "product.dlq", "order.retry.5s", "order.retry.5min", "system_events"} <= names
    assert len(names) == len(QUEUES) * (3 + len(DELAYS_S)) + len(EVENT_QUEUES)
    assert names >= {dead_letter_queue(queue) for queue in QUEUES}


def test_an_invalid_message_is_dead_lettered_and_answered() -> None:
    asked = spoilt(reply_to="mine", correlation_id="c")

    assert roles(asked) == ["DEAD_LETTER", "NOTICE", "REPLY"]
    assert json.loads(only(Purpose.REPLY, asked).body) == {
        "correlation_id": "c",
        "status": "error",
        "data": None,
        "error": "body is not JSON",
        "code": "malformed",
    }


@pytest.mark.parametrize(
    ("attempt", "queue"), [(0, "user.retry.5s"), (1, "user.retry.30s"), (2, "user.retry.5min")]
)
def test_a_deferred_message_waits_longer_each_time(attempt: int, queue: str) -> None:
    again = result(DEFERRED, None, attempt=attempt, reply_to="mine", priority=3)

    message = only(Purpose.RETRY, again)

    assert roles(again) == ["RETRY"]
    assert (message.exchange, message.routing_key, message.mandatory) == ("", queue, True)
    assert message.body == again.delivery.body
    assert message.properties == Properties(
        headers={"orderd-attempt": attempt + 1}, delivery_mode=2, reply_to="mine", priority=3
    )


@pytest.mark.parametrize("attempt", [3, 4, 2**40])
def test_after_the_last_attempt_it_is_dead_lettered_and_answered(attempt: int) -> None:
    last = result(DEFERRED, None, attempt=attempt, reply_to="mine")

    assert roles(last) == ["DEAD_LETTER", "NOTICE", "REPLY"]
    reply = json.loads(only(Purpose.REPLY, last).body)
    assert (reply["status"], reply["code"]) == ("error", "retries_exhausted")
    assert reply["error"] == "transient: lock timeout"


@pytest.mark.parametrize(
    ("headers", "attempt"),
    [
        (None, 0),
        ({}, 0),
        ({"orderd-attempt": 2}, 2),
        ({"orderd-attempt": -1}, 0),
        ({"orderd-attempt": "2"}, 0),
        ({"orderd-attempt": 2.0}, 0),
        ({"orderd-attempt": None}, 0),
        ({"orderd-attempt": [1]}, 0),
        ({"orderd-attempt": 3, "orderd-failed-at": "2024-02-29T12:00:00Z"}, 0),
        ({"x-death": [{"count": 9}]}, 0),
    ],
)
def test_only_a_count_of_ours_is_counted(headers: dict[str, Any] | None, attempt: int) -> None:
    assert attempt_of(delivery("user", b"{}", headers=headers)) == attempt


def test_a_message_that_was_moved_back_begins_anew() -> None:
    dead = only(Purpose.DEAD_LETTER, result(DEFERRED, None, attempt=3))
    moved_back = result(DEFERRED, None, headers=dead.properties.headers)

    message = only(Purpose.RETRY, moved_back)

    assert message.routing_key == "user.retry.5s"
    assert message.properties.headers == {"orderd-attempt": 1}


def test_a_retry_goes_to_one_queue_and_does_not_expire() -> None:
    again = result(
        DEFERRED, None, headers={"CC": ["a"], "BCC": ["b"], "mine": 1}, expiration="5",
        user_id="producer", delivery_mode=1,
    )  # fmt: skip

    properties = only(Purpose.RETRY, again).properties

    ends_at_ms = round(again.delivery.received_s * 1000) + 5
    assert properties.headers == {
        "mine": 1,
        "orderd-attempt": 1,
        "orderd-expiration": "5",
        "orderd-expires-at": ends_at_ms,
        "orderd-user-id": "producer",
    }
    assert (properties.expiration, properties.user_id, properties.delivery_mode) == (None, None, 2)
    kept = {"orderd-expires-at": ends_at_ms, "orderd-user-id": "producer"}
    assert copied_properties(properties, kept).headers == properties.headers


def test_events_go_first_in_the_order_of_commit() -> None:
    rows = [OutboxRow(n, f"id-{n}", "user.created", f'{{"n":{n}}}') for n in (1, 2, 3)]
    first = result(APPLIED, reply_to="mine")
    first = type(first)(first.delivery, first.command, first.outcome, first.response,
                        tuple(rows[:2]))  # fmt: skip
    second = type(first)(first.delivery, first.command, first.outcome, first.response, (rows[2],))

    found = outbound(first, spoilt(), second)

    assert [one.purpose.name for one in found] == [
        *("EVENT", "EVENT", "EVENT"),
        *("REPLY", "DEAD_LETTER", "NOTICE", "REPLY"),
    ]
    assert [one.row_id for one in found[:3]] == [1, 2, 3]
    event = found[0].outgoing
    assert (event.exchange, event.routing_key) == ("orderd.events", "user.created")
    assert not event.mandatory
    assert event.body == b'{"n":1}'
    assert event.properties == Properties(
        content_type="application/cloudevents+json",
        delivery_mode=2,
        message_id="id-1",
        type="user.created",
        app_id="orderd",
    )


@pytest.mark.parametrize(
    ("delay_s", "name"),
    [
        (0.5, "500ms"),
        (1, "1s"),
        (5, "5s"),
        (90, "90s"),
        (300, "5min"),
        (3600, "1h"),
        (1.5, "1500ms"),
    ],
)
def test_a_retry_queue_is_named_by_its_delay(delay_s: float, name: str) -> None:
    assert delay_name(delay_s) == name
    assert retry_queue("order", delay_s) == f"order.retry.{name}"


def test_what_is_done_leads_to_nothing() -> None:
    assert roles(result(Done(("mail",)), None, reply_to="mine")) == []


def test_what_is_undeliverable_is_dead_lettered_with_the_answer() -> None:
    refused = result(Undeliverable(UNDELIVERABLE, "channel mail: 550 no such user"), None)

    headers = only(Purpose.DEAD_LETTER, refused).properties.headers or {}

    assert headers[HEADER_CODE] == "undeliverable"
    assert headers[HEADER_REASON] == "channel mail: 550 no such user"


def test_no_event_tells_administrators_that_they_cannot_be_told() -> None:
    refused = result(Undeliverable(UNDELIVERABLE, "550"), None)
    to_admins = replace(refused, delivery=replace(refused.delivery, queue=NoticeQueue.ADMIN))

    assert roles(refused) == ["DEAD_LETTER", "NOTICE"]
    assert roles(to_admins) == ["DEAD_LETTER"]


@pytest.mark.parametrize(
    ("wanted_s", "delay_s", "attempt"),
    [(0, DELAYS_S[0], 1), (DELAYS_S[0] + 1, DELAYS_S[1], 2), (10**6, DELAYS_S[-1], len(DELAYS_S))],
)
def test_a_retry_is_not_before_the_server_wants_it(
    wanted_s: float, delay_s: float, attempt: int
) -> None:
    (retry,) = outbound(result(replace(DEFERRED, delay_s=wanted_s), None))

    assert retry.delay_s == delay_s
    assert (retry.outgoing.properties.headers or {})[HEADER_ATTEMPT] == attempt
