"""How long the oldest message of a queue has waited, where that can be found out without harm.

AMQP shows a message only to who takes it. To take a command and give it back counts as a delivery,
and a daemon would quarantine it; so of command queues only the management API is asked, which knows
the time that the producer wrote on the first message of a classic queue, and of no other queue.
The first of the dead letters is looked at where it gets its old place again and nothing is counted:
in classic queues, and in quorum queues since RabbitMQ 4.3.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from orderd.amqp.browse import Browser
from orderd.amqp.connection import Connection
from orderd.amqp.faults import BrokerFault
from orderd.amqp.topology import QueueDepth
from orderd.ctl.client import endpoint_of
from orderd.ctl.dlq.dead_letters import DeadLetter
from orderd.ctl.lint.delivery_limits import version_of
from orderd.ctl.management import URL_VARIABLE, Management, ManagementFault, management_of
from orderd.protocol.names import Queue, dead_letter_queue

if TYPE_CHECKING:
    from orderd.config.settings import Settings

_API_TIMEOUT_S: Final = 2.0
_UNCOUNTED_FROM: Final = (4, 3)

Ages = Mapping[str, float | None]


def ages_of(
    settings: "Settings", connection: Connection, depths: Mapping[str, QueueDepth | None]
) -> Ages:
    """Return the age of each queue's oldest message in seconds: 0 without any, None if unknown.

    That of a command counts from its publishing, that of a dead letter from its rejection, by the
    clock here. Retry queues are not looked at. Raises nothing.
    """
    there = {queue: depth.ready for queue, depth in depths.items() if depth is not None}
    ages: dict[str, float | None] = {
        queue: None if ready else 0.0 for queue, ready in there.items()
    }
    commands = [queue for queue in Queue if there.get(queue)]
    dead_letters = [name for name in map(dead_letter_queue, Queue) if there.get(name)]
    if commands or dead_letters:
        url = os.environ.get(URL_VARIABLE) or None
        management = management_of(
            endpoint_of(settings), connection.where, url, timeout_s=_API_TIMEOUT_S
        )
        with suppress(ManagementFault, BrokerFault):
            for queue in commands:
                ages[queue] = _age_of_command(management, queue)
            for name in dead_letters:
                if _is_harmless(management, connection, name):
                    ages[name] = _age_of_dead_letter(connection, name)
    return ages


def _age_of_command(management: Management, queue: str) -> float | None:
    """Return the age of the first message by its own timestamp, in whole seconds."""
    told = management.ask("queues", management.vhost, queue).get("head_message_timestamp")
    return _since(datetime.fromtimestamp(told, UTC)) if type(told) is int and told > 0 else None


def _is_harmless(management: Management, connection: Connection, name: str) -> bool:
    kind = management.ask("queues", management.vhost, name).get("type")
    return kind == "classic" or (kind == "quorum" and version_of(connection) >= _UNCOUNTED_FROM)


def _age_of_dead_letter(connection: Connection, name: str) -> float | None:
    browser = Browser(connection)
    try:
        delivery = browser.take(name)
    finally:
        browser.give_back()
    failed_at = None if delivery is None else DeadLetter(delivery).failed_at
    return None if failed_at is None else _since(failed_at)


def _since(moment: datetime) -> float:
    # Clocks differ: nothing waits since the future.
    return max(0.0, (datetime.now(UTC) - moment).total_seconds())
