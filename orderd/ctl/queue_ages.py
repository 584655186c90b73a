"""How long the oldest message of a queue has waited, where that can be found out without harm.

AMQP shows a message only to who takes it. To take a command and give it back counts as a delivery,
and a daemon would quarantine it; so of command queues only the management API is asked. It knows
the time that the producer wrote on the first message of a classic queue. Of any other queue it
knows how many messages were delivered: who looks again and again finds out from that how long those
that are ready have waited at most.

The first of the dead letters is looked at where it gets its old place again and nothing is counted:
in classic queues, and in quorum queues since RabbitMQ 4.3. Of others it is only known when their
queue was last seen empty.
"""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from orderd.amqp.browse import Browser
from orderd.amqp.connection import Connection
from orderd.amqp.faults import BrokerFault
from orderd.amqp.topology import QueueDepth
from orderd.ctl.client import endpoint_of
from orderd.ctl.dlq.dead_letters import DeadLetter
from orderd.ctl.lint.delivery_limits import version_of
from orderd.ctl.management import URL_VARIABLE, Management, ManagementFault, management_of
from orderd.ctl.queue_history import QueueHistory
from orderd.protocol.names import QUEUES, dead_letter_queue

if TYPE_CHECKING:
    from orderd.config.settings import Settings

_API_TIMEOUT_S: Final = 2.0
_UNCOUNTED_FROM: Final = (4, 3)

Ages = Mapping[str, float | None]


class QueueAges:
    """Looks for the ages of queues; further looks tell more than the first one."""

    def __init__(self, settings: "Settings") -> None:
        """Ask the broker of *settings*."""
        self._settings = settings
        names = (*QUEUES, *map(dead_letter_queue, QUEUES))
        self._histories = {name: QueueHistory() for name in names}

    def look(self, connection: Connection, depths: Mapping[str, QueueDepth | None]) -> Ages:
        """Return the age of each queue's oldest message in seconds: 0 without any, None if unknown.

        That of a command counts from its publishing, or else from its arrival in the queue, that of
        a dead letter from its rejection, by the clock here. Retry queues are not looked at. Raises
        nothing.
        """
        there = {queue: depth.ready for queue, depth in depths.items() if depth is not None}
        told: dict[str, Mapping[str, Any]] = {}
        ages: dict[str, float | None] = {}
        commands = [queue for queue in QUEUES if there.get(queue)]
        dead_letters = [name for name in map(dead_letter_queue, QUEUES) if there.get(name)]
        if commands or dead_letters:
            management = self._management(connection)
            with suppress(ManagementFault, BrokerFault):
                for queue in commands:
                    told[queue] = management.ask("queues", management.vhost, queue)
                    ages[queue] = _age_of_first(told[queue])
                for name in dead_letters:
                    if _is_harmless(management, connection, name):
                        ages[name] = _age_of_dead_letter(connection, name)
        for name in self._histories.keys() & there.keys():
            at_most_s = self._at_most(name, there[name], told.get(name, {}))
            if ages.get(name) is None:
                ages[name] = at_most_s
        return {name: ages.get(name) if ready else 0.0 for name, ready in there.items()}

    def _management(self, connection: Connection) -> Management:
        url = os.environ.get(URL_VARIABLE) or None
        endpoint = endpoint_of(self._settings)
        return management_of(endpoint, connection.where, url, timeout_s=_API_TIMEOUT_S)

    def _at_most(self, name: str, ready: int, told: Mapping[str, Any]) -> float | None:
        """Return the age that no ready message of *name* exceeds; *told* may be nothing."""
        return self._histories[name].note(ready, _delivered(told), time.monotonic())


def _age_of_first(told: Mapping[str, Any]) -> float | None:
    """Return the age of the first message by its own timestamp, in whole seconds."""
    moment_s = told.get("head_message_timestamp")
    if type(moment_s) is not int or moment_s <= 0:
        return None
    return _since(datetime.fromtimestamp(moment_s, UTC))


def _delivered(told: Mapping[str, Any]) -> int | None:
    """Return how many messages the queue has delivered; what it had back counts once."""
    if not told:
        return None
    # There are none before the first message, and none at all where the API keeps none.
    counts = told.get("message_stats", {})
    return int(counts.get("deliver_get", 0)) - int(counts.get("redeliver", 0))


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
