"""Which delivery limit a queue has, as its version of RabbitMQ understands arguments and policies.

A quorum queue drops a message that was given back more often than its limit, or dead-letters it.
Measured on 3.10.8, 4.0.5 and 4.3.6: of argument and policies the smaller number is in force, and a
policy takes effect at once, also for the messages that are there already.
"""

from collections.abc import Sequence
from typing import Final

from orderd.amqp.connection import Connection
from orderd.amqp.inspection import declared_delivery_limit
from orderd.amqp.renewal import ASSUMED_LIMIT
from orderd.ctl.lint.queue_facts import RECREATE, Limit, QueueFacts, limits, queue_facts
from orderd.ctl.management import Management, ManagementFault
from orderd.protocol.values import value

Version = tuple[int, int]

_KEY: Final = "delivery-limit"
_LIMITED_BY_DEFAULT_FROM: Final[Version] = (4, 0)
_DEFAULT: Final = 20
# There a negative number leaves the default in force; before 4.0 it means 0, else no limit.
_IGNORE_NEGATIVE: Final[Sequence[Version]] = ((4, 1), (4, 2))


@value
class DeliveryLimit:
    """The limit in force, None for no limit; where it comes from, and how to raise it."""

    value: int | None
    source: str
    fix: str = ""


def version_of(connection: Connection) -> Version:
    """Return major and minor version of the broker; one that it does not tell has a limit."""
    major, minor, *_ = (*connection.version, 0, 0)
    return (major, minor) if connection.version else _LIMITED_BY_DEFAULT_FROM


def delivery_limit(facts: QueueFacts, version: Version) -> DeliveryLimit:
    """Return the limit of one queue, on RabbitMQ *version*."""
    if facts.type != "quorum":
        return DeliveryLimit(None, f"{facts.type} queues have none")
    default = _default(version)
    ignored = ""
    found: list[DeliveryLimit] = []
    for each in limits(facts, _KEY):
        if not isinstance(each.value, int):
            continue
        if each.value < 0 and version in _IGNORE_NEGATIVE:
            ignored = f"; {each.source}: {_KEY} {each.value} has no effect there"
        else:
            found.append(_meant(each, version))
    numbers = [each for each in found if each.value is not None]
    if numbers:
        return min(numbers, key=lambda each: each.value or 0)
    return found[0] if found else DeliveryLimit(default.value, default.source + ignored)


def _default(version: Version) -> DeliveryLimit:
    number = _DEFAULT if version >= _LIMITED_BY_DEFAULT_FROM else None
    return DeliveryLimit(number, f"default of RabbitMQ {version[0]}.{version[1]}")


def _meant(each: Limit, version: Version) -> DeliveryLimit:
    said = f"{each.source}: {_KEY} {each.value}"
    is_default_limited = version >= _LIMITED_BY_DEFAULT_FROM
    if each.value < 0 and is_default_limited:
        return DeliveryLimit(None, said)
    if each.value < 0:
        said = f"{said}, which means 0 on RabbitMQ {version[0]}.{version[1]}"
    # An argument cannot be raised: the smaller number counts. What is taken away leaves the default
    # of the version, which orderd can work with.
    fix = each.fix
    if fix != RECREATE:
        fix = f"raise it to {_DEFAULT} or more; or {fix}"
    return DeliveryLimit(max(each.value, 0), said, fix)


def limits_in_force(
    connection: Connection, management: Management, names: Sequence[str]
) -> dict[str, int | None]:
    """Return the delivery limit of each queue in *names*, which have to exist; None for no limit.

    Where the management API does not tell, a limit is assumed with which all that is usual is
    safe, or what the queue was declared with, if that is less.
    """
    version = version_of(connection)
    try:
        facts = queue_facts(management)
    except ManagementFault:
        facts = {}
    return {
        name: delivery_limit(facts[name], version).value
        if name in facts
        else _assumed(connection, name, version)
        for name in names
    }


def _assumed(connection: Connection, name: str, version: Version) -> int:
    declared = declared_delivery_limit(connection, name)
    arguments = {} if declared is None else {f"x-{_KEY}": declared}
    facts = QueueFacts(name, "quorum", is_durable=True, messages=0, arguments=arguments)
    known = delivery_limit(facts, version).value
    return ASSUMED_LIMIT if known is None else min(known, ASSUMED_LIMIT)
