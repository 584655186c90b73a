"""Asks the broker all that the rules of lint_rules.py judge, by AMQP and by its management API."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from orderd.amqp.confirmed import ConfirmedPublisher
from orderd.amqp.declaration import hindrance
from orderd.amqp.faults import ChannelFault
from orderd.amqp.inspection import (
    Kind,
    Needed,
    find,
    is_former,
    locks,
    needed,
    unusable,
)
from orderd.amqp.message import OutgoingMessage, Properties
from orderd.amqp.retry_queues import FORMER_ADVICE
from orderd.ctl.lint.delivery_limits import DeliveryLimit, delivery_limit, version_of
from orderd.ctl.lint.limits import judge_frames, judge_limits, judge_permissions
from orderd.ctl.lint.queue_facts import mapping, queue_facts
from orderd.ctl.lint.rules import (
    Contradiction,
    judge_bindings,
    judge_delivery_limit,
    judge_former,
    judge_leftovers,
    judge_listeners,
    judge_queue,
)
from orderd.ctl.management import Management, ManagementFault
from orderd.protocol.names import EVENTS_EXCHANGE, dead_letter_queue
from orderd.protocol.tenants import NOTIFY

if TYPE_CHECKING:
    from orderd.config.settings import Settings

_ACCESS_REFUSED: Final = 403
# orderd takes nothing from these.
_UNREAD: Final = frozenset({Kind.EVENTS, Kind.RETRY})
# Besides an outage or a drain, an unacked message waits for the batches before it.
_HELD_MARGIN_S: Final = 60


@dataclass(slots=True)
class Lint:
    """What was found, and what could not be looked into."""

    contradictions: list[Contradiction] = field(default_factory=list)
    delivery_limits: dict[str, DeliveryLimit] = field(default_factory=dict)
    # Queues that several consume, as `consume` allows it, and how many do.
    shared: dict[str, int] = field(default_factory=dict)
    not_checked: list[str] = field(default_factory=list)
    # What works, and is not advisable.
    warnings: list[str] = field(default_factory=list)
    # What no API tells, and the way to find it out.
    by_hand: list[str] = field(default_factory=list)


def lint(settings: "Settings", publisher: ConfirmedPublisher, management: Management) -> Lint:
    """Return all that contradicts *settings*; only AMQP's own faults are raised."""
    # Loaded here, because the settings' models take longer than all the rest.
    from orderd.config.broker_tls import unencrypted_brokers  # noqa: PLC0415

    found = Lint(warnings=unencrypted_brokers(settings))
    wanted = needed(settings.retry_delays)
    found.contradictions += _judge_topology(publisher, wanted)
    found.contradictions += _judge_sharing(found, settings, publisher, wanted)
    found.contradictions += judge_frames(publisher.connection.frame_max)
    user = publisher.connection.user or ""
    held = [*wanted, *locks(settings.exclusive_queues)]
    judges: dict[str, Callable[[], list[Contradiction]]] = {
        "policies and arguments": lambda: _judge_queues(found, settings, publisher, management),
        "delivery limits": lambda: _judge_delivery_limits(found, publisher, management, wanted),
        "bindings": lambda: _judge_bindings(management, wanted),
        "listeners": lambda: _judge_listeners(management),
        "permissions": lambda: _judge_permissions(management, user, held),
        "limits": lambda: _judge_limits(management, user, held),
    }
    for what, judge in judges.items():
        try:
            found.contradictions += judge()
        except ManagementFault as fault:
            found.not_checked.append(f"{what}: {fault}")
    found.by_hand.append(
        "consumer_timeout of the broker itself (30 min by default), which no API "
        f"tells: rabbitmqctl environment should show over {held_s(settings) * 1000:.0f} ms"
    )
    # Last, because a refusal costs the channel.
    found.contradictions += _judge_body_size(settings, publisher)
    return found


def held_s(settings: "Settings") -> float:
    """Return how long the daemon may hold a message that it neither acks nor gives back."""
    return max(settings.give_back_after, settings.shutdown_timeout) + _HELD_MARGIN_S


def _judge_topology(
    publisher: ConfirmedPublisher, wanted: Sequence[Needed]
) -> Iterator[Contradiction]:
    fix_of_former: str | None = None
    for each in wanted:
        what = "exchange" if each.is_exchange else "queue"
        try:
            if find(publisher.connection, each) is None:
                if not each.is_optional:
                    fix = "orderctl topology apply"
                    yield Contradiction(each.name, f"{what} not found", fix)
            elif (reason := unusable(publisher.connection, each)) is not None:
                fix = f"delete the {what} when it is not in use, then: orderctl topology apply"
                yield Contradiction(each.name, reason, fix)
            elif is_former(publisher.connection, each):
                fix = fix_of_former or hindrance(publisher.connection) or FORMER_ADVICE
                fix_of_former = fix
                yield judge_former(each, fix)
        except ChannelFault as fault:
            if fault.code != _ACCESS_REFUSED:
                raise
            # What only orderd-notify needs, orderd's user need not declare.
            if not each.is_optional:
                yield Contradiction(each.name, fault.reason, "rabbitmqctl set_permissions")


def _judge_sharing(
    lint: Lint, settings: "Settings", publisher: ConfirmedPublisher, wanted: Sequence[Needed]
) -> Iterator[Contradiction]:
    for each in wanted:
        if not each.is_consumed:
            continue
        # Who may not ask has been told so.
        with suppress(ChannelFault):
            found = find(publisher.connection, each)
            consumers = 0 if found is None else found.consumers or 0
            if consumers > 1 and each.name in settings.exclusive_queues:
                problem = f"{consumers} consumers, although consume is exclusive: order is not kept"
                fix = "set the same consume on all daemons, and stop any other consumer"
                yield Contradiction(each.name, problem, fix)
            elif consumers > 1:
                lint.shared[each.name] = consumers


def _judge_queues(
    lint: Lint, settings: "Settings", publisher: ConfirmedPublisher, management: Management
) -> list[Contradiction]:
    facts = queue_facts(management)
    wanted = needed(settings.retry_delays)
    found: list[Contradiction] = []
    for each in wanted:
        if each.is_exchange:
            continue
        if each.name in facts:
            found += judge_queue(each, facts[each.name], held_s(settings))
        elif _is_there(publisher, each):
            lint.not_checked.append(f"{each.name}: the management API does not show this queue")
    retry_names = [each.name for each in wanted if each.kind is Kind.RETRY]
    return [*found, *judge_leftovers(list(facts.values()), retry_names)]


def _is_there(publisher: ConfirmedPublisher, wanted: Needed) -> bool:
    # Who may not ask has been told so.
    with suppress(ChannelFault):
        return find(publisher.connection, wanted) is not None
    return False


def _judge_delivery_limits(
    lint: Lint, publisher: ConfirmedPublisher, management: Management, wanted: Sequence[Needed]
) -> list[Contradiction]:
    facts = queue_facts(management)
    version = version_of(publisher.connection)
    found: list[Contradiction] = []
    for each in wanted:
        queue = facts.get(each.name)
        if queue is not None and queue.type == "quorum" and each.kind not in _UNREAD:
            limit = delivery_limit(queue, version)
            lint.delivery_limits[each.name] = limit
            found += judge_delivery_limit(each, queue, limit)
    return found


def _judge_bindings(management: Management, wanted: Sequence[Needed]) -> list[Contradiction]:
    """Judge the queues that orderd-notify has made: with a queue for dead letters."""
    there = queue_facts(management)
    found: list[Contradiction] = []
    for each in wanted:
        if each.kind is Kind.NOTIFICATIONS and dead_letter_queue(each.name) in there:
            told = management.ask("queues", management.vhost, each.name, "bindings")
            bound = {(row["source"], row["routing_key"]) for row in told}
            found += judge_bindings(each.name, NOTIFY.bindings_of(each.name), bound)
    return found


def _judge_listeners(management: Management) -> list[Contradiction]:
    facts = queue_facts(management)
    return list(judge_listeners([facts[name] for name in _listeners(management) if name in facts]))


def _listeners(management: Management) -> list[str]:
    """Return the queues that get events, also those behind further exchanges."""
    exchanges = [EVENTS_EXCHANGE]
    queues: dict[str, None] = {}
    for exchange in exchanges:
        bindings = management.ask("exchanges", management.vhost, exchange, "bindings", "source")
        for binding in bindings:
            name = binding["destination"]
            if binding["destination_type"] == "queue":
                queues[name] = None
            elif name not in exchanges:
                # The loop goes through it in its turn.
                exchanges.append(name)
    return list(queues)


def _judge_permissions(
    management: Management, user: str, wanted: Sequence[Needed]
) -> list[Contradiction]:
    granted = management.ask("permissions", management.vhost, user)
    return list(judge_permissions(mapping(granted), user, wanted))


def _judge_limits(
    management: Management, user: str, wanted: Sequence[Needed]
) -> list[Contradiction]:
    found: list[Contradiction] = []
    for kind, name, what in (
        ("vhost-limits", management.vhost, "virtual host"),
        ("user-limits", user, "user"),
    ):
        for row in management.ask(kind, name):
            found += judge_limits(mapping(row.get("value")), f"{what} {name}", wanted)
    return found


def _judge_body_size(
    settings: "Settings", publisher: ConfirmedPublisher
) -> Iterator[Contradiction]:
    """Publish the largest body to no queue: the broker checks its size before it routes it."""
    no_queue = f"orderctl.lint.{uuid.uuid4()}"
    body = bytes(settings.body_bytes_max)
    message = OutgoingMessage("", no_queue, body, Properties(), mandatory=False)
    try:
        publisher.publish(message)
    except ChannelFault as fault:
        fix = "raise max_message_size in rabbitmq.conf, or lower body_bytes_max"
        if fault.code == _ACCESS_REFUSED:
            fix = "rabbitmqctl set_permissions: let the write pattern match amq.default"
        yield Contradiction(
            "default exchange", f"takes no message of {len(body)} bytes: {fault.reason}", fix
        )
