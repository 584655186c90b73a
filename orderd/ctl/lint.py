"""Asks the broker all that the rules of lint_rules.py judge, by AMQP and by its management API."""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from orderd.amqp.faults import ChannelFault
from orderd.amqp.inspection import Kind, Needed, find, frame_bytes_max, needed, unusable
from orderd.amqp.message import OutgoingMessage, Properties
from orderd.amqp.publisher import Publisher
from orderd.ctl.lint_limits import judge_frames, judge_limits, judge_permissions
from orderd.ctl.lint_rules import Contradiction, QueueFacts, judge_leftovers, judge_queue
from orderd.ctl.management import Management, ManagementFault

if TYPE_CHECKING:
    from orderd.ops.settings import Settings

_ACCESS_REFUSED: Final = 403
_CONFIRM_TIMEOUT_S: Final = 30.0
# Besides an outage or a drain, a message in hand waits for the batches before it.
_HELD_MARGIN_S: Final = 60


@dataclass(slots=True)
class Lint:
    """What was found, and what could not be looked into."""

    contradictions: list[Contradiction] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)


def lint(settings: "Settings", publisher: Publisher, management: Management) -> Lint:
    """Return all that contradicts *settings*; only AMQP's own faults are raised."""
    found = Lint()
    wanted = needed(settings.retry_delays)
    found.contradictions += _judge_topology(publisher, wanted)
    found.contradictions += judge_frames(frame_bytes_max(publisher.link))
    user = publisher.link.user or ""
    judges: dict[str, Callable[[], list[Contradiction]]] = {
        "policies and arguments": lambda: _judge_queues(settings, management, wanted),
        "permissions": lambda: _judge_permissions(management, user, wanted),
        "limits": lambda: _judge_limits(management, user, wanted),
    }
    for what, judge in judges.items():
        try:
            found.contradictions += judge()
        except ManagementFault as fault:
            found.not_checked.append(f"{what}: {fault}")
    found.not_checked.append(
        "consumer_timeout of the broker itself (30 min where nobody changed it), which no API "
        f"tells: rabbitmqctl environment should show over {held_s(settings) * 1000:.0f} ms"
    )
    # Last, because a refusal costs the channel.
    found.contradictions += _judge_body_size(settings, publisher)
    return found


def held_s(settings: "Settings") -> float:
    """Return how long the daemon may hold a message that it neither acks nor gives back."""
    return max(settings.give_back_after, settings.shutdown_timeout) + _HELD_MARGIN_S


def queue_facts(management: Management) -> dict[str, QueueFacts]:
    """Return all queues of the virtual host, by name; raises ManagementFault."""
    queues = management.ask("queues", management.vhost)
    if not isinstance(queues, list):
        raise ManagementFault(f"{management.root}: the queues are not a list")
    return {queue["name"]: _facts(queue) for queue in queues}


def _facts(queue: Mapping[str, Any]) -> QueueFacts:
    return QueueFacts(
        queue["name"],
        queue.get("type") or "classic",
        bool(queue.get("durable")),
        queue.get("messages") or 0,
        _mapping(queue.get("arguments")),
        _mapping(queue.get("effective_policy_definition")),
        queue.get("policy") or None,
        queue.get("operator_policy") or None,
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    # Some versions write an empty one as a list.
    return value if isinstance(value, Mapping) else {}


def _judge_topology(publisher: Publisher, wanted: Sequence[Needed]) -> Iterator[Contradiction]:
    for each in wanted:
        what = "exchange" if each.is_exchange else "queue"
        try:
            if find(publisher.link, each) is None:
                if not each.is_optional:
                    fix = "orderctl topology apply"
                    yield Contradiction(each.name, f"there is no such {what}", fix)
            elif (reason := unusable(publisher.link, each)) is not None:
                fix = f"delete the {what} when it is not in use, then: orderctl topology apply"
                yield Contradiction(each.name, reason, fix)
        except ChannelFault as fault:
            if fault.code != _ACCESS_REFUSED:
                raise
            yield Contradiction(each.name, fault.reason, "rabbitmqctl set_permissions")


def _judge_queues(
    settings: "Settings", management: Management, wanted: Sequence[Needed]
) -> list[Contradiction]:
    facts = queue_facts(management)
    version = str(management.ask("overview").get("rabbitmq_version", ""))
    major = version.partition(".")[0]
    found: list[Contradiction] = []
    for each in wanted:
        if each.name in facts and not each.is_exchange:
            version_major = int(major) if major.isdecimal() else 0
            found += judge_queue(each, facts[each.name], version_major, held_s(settings))
    retry_names = [each.name for each in wanted if each.kind is Kind.RETRY]
    return [*found, *judge_leftovers(list(facts.values()), retry_names)]


def _judge_permissions(
    management: Management, user: str, wanted: Sequence[Needed]
) -> list[Contradiction]:
    granted = management.ask("permissions", management.vhost, user)
    return list(judge_permissions(_mapping(granted), user, wanted))


def _judge_limits(
    management: Management, user: str, wanted: Sequence[Needed]
) -> list[Contradiction]:
    found: list[Contradiction] = []
    for kind, name, what in (
        ("vhost-limits", management.vhost, "virtual host"),
        ("user-limits", user, "user"),
    ):
        for row in management.ask(kind, name):
            found += judge_limits(_mapping(row.get("value")), f"{what} {name}", wanted)
    return found


def _judge_body_size(settings: "Settings", publisher: Publisher) -> Iterator[Contradiction]:
    """Publish the largest body to nobody: the broker measures it before it looks for a queue."""
    nobody = f"orderctl.lint.{uuid.uuid4()}"
    body = bytes(settings.body_bytes_max)
    message = OutgoingMessage("", nobody, body, Properties(), mandatory=False)
    try:
        publisher.wait(publisher.publish([message]), _CONFIRM_TIMEOUT_S)
    except ChannelFault as fault:
        fix = "raise max_message_size in rabbitmq.conf, or lower body_bytes_max"
        if fault.code == _ACCESS_REFUSED:
            fix = "rabbitmqctl set_permissions: let the write pattern match amq.default"
        yield Contradiction(
            "default exchange", f"takes no message of {len(body)} bytes: {fault.reason}", fix
        )
