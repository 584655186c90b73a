"""What of a broker contradicts orderd's settings, and how to mend it: pure, from facts to words."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from orderd.amqp.inspection import Kind, Needed
from orderd.amqp.renewal import ASSUMED_LIMIT
from orderd.ctl.lint.delivery_limits import DeliveryLimit
from orderd.ctl.lint.queue_facts import LENGTHS, RECREATE, QueueFacts, limit_of, refuses_when_full
from orderd.protocol.names import EVENTS_EXCHANGE, delay_name, is_retry_queue
from orderd.protocol.tenants import Binding
from orderd.protocol.values import value


@value
class Contradiction:
    """What stands against orderd: where, what comes of it, and the fix."""

    subject: str
    problem: str
    fix: str


def judge_queue(wanted: Needed, facts: QueueFacts, held_s: float) -> Iterator[Contradiction]:
    """Yield what is wrong with one queue; orderd may keep a message unacked for *held_s*."""
    # Declaring the command queues has already found such a conflict.
    is_used_as_found = not wanted.is_consumed
    if is_used_as_found and not facts.is_durable:
        yield Contradiction(facts.name, "not durable: a restart of the broker empties it", RECREATE)
    if is_used_as_found and facts.type == "stream":
        yield Contradiction(facts.name, "a stream: its messages cannot be taken out", RECREATE)
    for key, consequence in _consequences(wanted, facts):
        limit = limit_of(facts, key, wanted)
        if limit is not None:
            text = f"{limit.source}: {key} {limit.value}: {consequence}"
            yield Contradiction(facts.name, text, limit.fix)
    timeout = limit_of(facts, "consumer-timeout")
    if timeout is not None and wanted.is_consumed and timeout.value < held_s * 1000:
        problem = (
            f"{timeout.source}: consumer-timeout {timeout.value} ms: orderd may hold messages for "
            f"{held_s:g} s, and would lose its connection each time"
        )
        yield Contradiction(facts.name, problem, timeout.fix)


def judge_former(wanted: Needed, fix: str) -> Contradiction:
    """Return what is wrong with a retry queue that was declared as former versions did it."""
    problem = (
        f"declared by an earlier version: a message whose delay ends while {wanted.returns_to} "
        "is full, missing or down is lost"
    )
    return Contradiction(wanted.name, problem, fix)


def _consequences(wanted: Needed, facts: QueueFacts) -> Iterator[tuple[str, str]]:
    """Yield the keys that do harm in a queue of this kind, and which."""
    drops = not refuses_when_full(facts)
    match wanted.kind:
        case Kind.COMMANDS | Kind.NOTIFICATIONS:
            what = str(wanted.kind)
            yield "message-ttl", f"the broker drops {what} that wait longer, without an outcome"
            yield "expires", f"the broker deletes the queue and its {what} when it is unused"
            full = (
                f"the broker drops its oldest {what}"
                if drops
                else "producers are refused, and retries come back later"
            )
        case Kind.DEAD_LETTERS:
            yield "message-ttl", "dead letters are deleted before they can be examined"
            yield (
                "expires",
                "the broker deletes the queue and its dead letters: it has no consumers",
            )
            full = (
                "the broker drops its oldest dead letters"
                if drops
                else "the commands that should go there wait unacked, "
                "and dead letters cannot be renewed"
            )
        case Kind.RETRY:
            yield "expires", "the broker deletes the queue and its commands: it has no consumers"
            full = (
                "commands come back too early"
                if drops
                else "the commands that should go there wait unacked"
            )
            if (limit := limit_of(facts, "message-ttl", wanted)) is not None and _is_early(
                wanted, limit.value
            ):
                name = delay_name(wanted.delay_s or 0)
                yield "message-ttl", f"commands come back earlier than after {name}"
        case Kind.EVENTS | Kind.LOCK:
            return
    for key in LENGTHS:
        yield key, f"when it is full, {full}"
    if wanted.kind is not Kind.RETRY:
        yield "dead-letter-exchange", "the broker moves messages elsewhere without orderd noticing"


def _is_early(wanted: Needed, ttl_ms: Any) -> bool:
    return isinstance(ttl_ms, int) and ttl_ms < round((wanted.delay_s or 0) * 1000)


def judge_delivery_limit(
    wanted: Needed, facts: QueueFacts, limit: DeliveryLimit
) -> Iterator[Contradiction]:
    """Yield the *limit* in force in one queue where it is lower than renewing messages needs.

    The daemon cannot ask for it, so it renews a message early.
    """
    if wanted.kind is Kind.EVENTS or limit.value is None or limit.value >= ASSUMED_LIMIT:
        return
    exchange = limit_of(facts, "dead-letter-exchange")
    end = "drops the message" if exchange is None else "moves it to the dead letter exchange"
    problem = (
        f"{limit.source}: orderd renews a message after {ASSUMED_LIMIT // 2} deliveries, and past "
        f"the limit the broker {end}"
    )
    yield Contradiction(facts.name, problem, limit.fix)


def judge_bindings(
    queue: str, wanted: Sequence[Binding], found: Collection[tuple[str, str]]
) -> Iterator[Contradiction]:
    """Yield what *queue* of notifications is not bound to; *found* are exchanges and patterns."""
    for each in wanted:
        if (each.exchange, each.pattern) not in found:
            problem = f"not bound to {each.exchange} by {each.pattern}: none of these is told"
            fix = "orderctl topology apply --events, or restart orderd-notify"
            yield Contradiction(queue, problem, fix)


def judge_listeners(listeners: Sequence[QueueFacts]) -> Iterator[Contradiction]:
    """Yield the queues bound to the exchange of events that refuse events when they are full."""
    for facts in listeners:
        found = [(key, limit_of(facts, key)) for key in LENGTHS]
        overflow = limit_of(facts, "overflow")
        if overflow is None or not refuses_when_full(facts):
            continue
        for key, limit in found:
            if limit is not None:
                problem = (
                    f"{limit.source}: {key} {limit.value} with overflow {overflow.value}: when it "
                    "is full it refuses events, and orderd sends a refused event again, less and "
                    f"less often, to every queue bound to {EVENTS_EXCHANGE}"
                )
                fix = f"set its overflow to drop-head, or have a consumer read it; {limit.fix}"
                yield Contradiction(facts.name, problem, fix)
                break


def judge_leftovers(
    facts: Sequence[QueueFacts], retry_names: Sequence[str]
) -> Iterator[Contradiction]:
    """Yield the retry queues of delays that are not configured any more."""
    for queue in facts:
        is_retry = is_retry_queue(queue.name)
        if is_retry and queue.name not in retry_names and queue.messages:
            yield Contradiction(
                queue.name,
                f"no delay of retry_delays, and it holds {queue.messages} messages",
                "add its delay to retry_delays until they have come back, then delete the queue",
            )
