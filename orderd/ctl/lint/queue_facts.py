"""A queue as the management API tells of it, and which of its arguments and policies applies."""

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final

from orderd.amqp.inspection import Needed
from orderd.ctl.management import Management, ManagementFault
from orderd.protocol.values import value

RECREATE: Final = "when it is empty, delete the queue and run: orderctl topology apply"
LENGTHS: Final = ("max-length", "max-length-bytes")
_REFUSING: Final = ("reject-publish",)
# With the second a quorum queue drops its oldest messages.
_REFUSING_CLASSIC: Final = ("reject-publish", "reject-publish-dlx")


@value
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


@value
class Limit:
    """A key of a policy or an argument that is in force: its value, where it stands, the fix."""

    value: Any
    source: str
    fix: str


def queue_facts(management: Management) -> dict[str, QueueFacts]:
    """Return all queues of the virtual host, by name; raises ManagementFault."""
    queues = management.ask("queues", management.vhost)
    if not isinstance(queues, list):
        raise ManagementFault(f"{management.root}: the queues are not a list")
    return {queue["name"]: _facts(queue) for queue in queues}


def mapping(value: Any) -> Mapping[str, Any]:
    """Return *value* if it is a mapping; some versions write an empty one as a list."""
    return value if isinstance(value, Mapping) else {}


def _facts(queue: Mapping[str, Any]) -> QueueFacts:
    return QueueFacts(
        queue["name"],
        queue.get("type") or "classic",
        bool(queue.get("durable")),
        queue.get("messages") or 0,
        mapping(queue.get("arguments")),
        mapping(queue.get("effective_policy_definition")),
        queue.get("policy") or None,
        queue.get("operator_policy") or None,
    )


def limits(facts: QueueFacts, key: str, wanted: Needed | None = None) -> list[Limit]:
    """Return what sets *key*: the argument, unless *wanted* has it, and what policies come to."""
    own = f"x-{key}"
    found = []
    if own in facts.arguments and (wanted is None or own not in wanted.arguments):
        found.append(Limit(facts.arguments[own], f"argument {own}", RECREATE))
    if key in facts.definition:
        found.append(Limit(facts.definition[key], *_policy(facts, key)))
    return found


def limit_of(facts: QueueFacts, key: str, wanted: Needed | None = None) -> Limit | None:
    """Return what is in force for *key*: of two numbers the smaller one."""
    found = limits(facts, key, wanted)
    numbers = [each for each in found if isinstance(each.value, int)]
    if numbers:
        return min(numbers, key=lambda each: each.value)
    # Of texts, a classic queue takes the argument, and a quorum queue the policy.
    return next(iter(found[::-1] if facts.type == "quorum" else found), None)


def refuses_when_full(facts: QueueFacts) -> bool:
    """Return whether publishers get a nack once the queue is full, if its length is limited."""
    overflow = limit_of(facts, "overflow")
    refusing = _REFUSING_CLASSIC if facts.type == "classic" else _REFUSING
    return overflow is not None and overflow.value in refusing


def _policy(facts: QueueFacts, key: str) -> tuple[str, str]:
    """Return the name of the policy that can have set *key*, and how to be rid of it."""
    kinds = (("policy", facts.policy), ("operator policy", facts.operator_policy))
    named = [(kind, name) for kind, name in kinds if name]
    clear = [f"rabbitmqctl clear_{kind.replace(' ', '_')} {name}" for kind, name in named]
    source = " or ".join(f"{kind} {name}" for kind, name in named) or "a policy"
    fix = " or ".join(clear) or "clear the policy"
    return source, f"take {key} out of it, have its pattern spare the queue, or {fix}"
