"""What of a broker contradicts orderd's settings, and how to mend it: pure, from facts to words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from orderd.amqp.inspection import Kind, Needed
from orderd.contract.names import Queue, delay_name

# RabbitMQ 4 gives quorum queues a limit of 20 deliveries where none is set.
_LIMITED_BY_DEFAULT_FROM: Final = 4
_RECREATE: Final = "when it is empty, delete the queue and run: orderctl topology apply"


@dataclass(frozen=True, slots=True)
class Contradiction:
    """What stands against orderd: where, what comes of it, and the fix."""

    subject: str
    problem: str
    fix: str


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """A queue as the management API tells of it; `definition` is what its policies come to."""

    name: str
    type: str
    is_durable: bool
    messages: int
    arguments: Mapping[str, Any] = field(default_factory=dict)
    definition: Mapping[str, Any] = field(default_factory=dict)
    policy: str | None = None
    operator_policy: str | None = None


@dataclass(frozen=True, slots=True)
class _Limit:
    """A key of a policy or an argument that is in force: its value, where it stands, the fix."""

    value: Any
    source: str
    fix: str


def judge_queue(
    wanted: Needed, facts: QueueFacts, version: int, held_s: float
) -> Iterator[Contradiction]:
    """Yield what is wrong with one queue.

    *version* is the broker's major one; *held_s* is how long orderd may keep a message unacked.
    """
    if not facts.is_durable:
        yield Contradiction(
            facts.name, "not durable: a restart of the broker empties it", _RECREATE
        )
    if facts.type == "stream":
        yield Contradiction(facts.name, "a stream: its messages cannot be taken out", _RECREATE)
    for key, consequence in _consequences(wanted, facts):
        limit = _limit(wanted, facts, key)
        if limit is not None:
            text = f"{limit.source}: {key} {limit.value}: {consequence}"
            yield Contradiction(facts.name, text, limit.fix)
    yield from _delivery_limit(wanted, facts, version)
    timeout = _limit(wanted, facts, "consumer-timeout")
    if timeout is not None and wanted.kind is Kind.COMMANDS and timeout.value < held_s * 1000:
        problem = (
            f"{timeout.source}: consumer-timeout {timeout.value} ms: orderd may hold messages for "
            f"{held_s:g} s, and would lose its connection each time"
        )
        yield Contradiction(facts.name, problem, timeout.fix)


def _consequences(wanted: Needed, facts: QueueFacts) -> Iterator[tuple[str, str]]:
    """Yield the keys that do harm in a queue of this kind, and which."""
    overflow = _limit(wanted, facts, "overflow")
    drops = overflow is None or overflow.value == "drop-head"
    match wanted.kind:
        case Kind.COMMANDS:
            yield "message-ttl", "commands that wait longer vanish without an outcome"
            yield "expires", "the queue vanishes with its commands when nobody uses it"
            full = "its oldest commands vanish" if drops else "commands to be tried again are lost"
        case Kind.DEAD_LETTERS:
            yield "message-ttl", "dead letters vanish before anybody looked at them"
            yield "expires", "the queue vanishes with its dead letters: nobody consumes it"
            full = (
                "its oldest letters vanish" if drops else "orderd cannot settle, and stands still"
            )
        case Kind.RETRY:
            yield "expires", "the queue vanishes with its commands: nobody consumes it"
            full = "commands come back too early" if drops else "orderd cannot settle, and waits"
            if (limit := _limit(wanted, facts, "message-ttl")) is not None and _is_early(
                wanted, limit.value
            ):
                name = delay_name(wanted.delay_s or 0)
                yield "message-ttl", f"commands come back earlier than after {name}"
        case Kind.EVENTS:
            return
    for key in ("max-length", "max-length-bytes"):
        yield key, f"when it is full, {full}"
    if wanted.kind is not Kind.RETRY:
        yield "dead-letter-exchange", "the broker moves messages away, and orderd knows nothing"


def _is_early(wanted: Needed, ttl_ms: Any) -> bool:
    return isinstance(ttl_ms, int) and ttl_ms < round((wanted.delay_s or 0) * 1000)


def _delivery_limit(wanted: Needed, facts: QueueFacts, version: int) -> Iterator[Contradiction]:
    if facts.type != "quorum" or wanted.kind not in {Kind.COMMANDS, Kind.DEAD_LETTERS}:
        return
    limit = _limit(wanted, facts, "delivery-limit")
    what = (
        "commands that restarts and outages gave back too often vanish"
        if wanted.kind is Kind.COMMANDS
        else "each look at a dead letter counts, and then it vanishes"
    )
    if limit is None:
        if version >= _LIMITED_BY_DEFAULT_FROM:
            fix = 'set a policy for it with {"delivery-limit": -1}'
            yield Contradiction(facts.name, f"delivery-limit is 20 by default: {what}", fix)
    elif isinstance(limit.value, int) and limit.value >= 0:
        text = f"{limit.source}: delivery-limit {limit.value}: {what}"
        yield Contradiction(facts.name, text, limit.fix)


def _limit(wanted: Needed, facts: QueueFacts, key: str) -> _Limit | None:
    """Return what is in force for *key*; of two numbers the broker takes the smaller one."""
    own = f"x-{key}"
    found = []
    if own in facts.arguments and own not in wanted.arguments:
        found.append(_Limit(facts.arguments[own], f"argument {own}", _RECREATE))
    if key in facts.definition:
        found.append(_Limit(facts.definition[key], *_policy(facts, key)))
    numbers = [limit for limit in found if isinstance(limit.value, int)]
    return min(numbers, key=lambda limit: limit.value) if numbers else next(iter(found), None)


def _policy(facts: QueueFacts, key: str) -> tuple[str, str]:
    """Return the name of the policy that can have set *key*, and how to be rid of it."""
    kinds = (("policy", facts.policy), ("operator policy", facts.operator_policy))
    named = [(kind, name) for kind, name in kinds if name]
    clear = [f"rabbitmqctl clear_{kind.replace(' ', '_')} {name}" for kind, name in named]
    source = " or ".join(f"{kind} {name}" for kind, name in named) or "a policy"
    fix = " or ".join(clear) or "clear the policy"
    return source, f"take {key} out of it, have its pattern spare the queue, or {fix}"


def judge_leftovers(
    facts: Sequence[QueueFacts], retry_names: Sequence[str]
) -> Iterator[Contradiction]:
    """Yield the retry queues of delays that are not configured any more."""
    for queue in facts:
        is_retry = any(queue.name.startswith(f"{command}.retry.") for command in Queue)
        if is_retry and queue.name not in retry_names and queue.messages:
            yield Contradiction(
                queue.name,
                f"no delay of retry_delays, and it holds {queue.messages} messages",
                "add its delay to retry_delays until they have come back, then delete the queue",
            )
