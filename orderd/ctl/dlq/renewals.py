"""Renews the messages that a look into their queue would bring too near to its delivery limit."""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from orderd.amqp.browse import Browser
from orderd.amqp.confirmed import ConfirmedPublisher
from orderd.amqp.faults import Unpublishable
from orderd.amqp.message import Delivery
from orderd.amqp.renewal import ASSUMED_LIMIT, delivery_count, is_due, renewed
from orderd.ctl.client import endpoint_of
from orderd.ctl.interrupts import uninterrupted
from orderd.ctl.lint.delivery_limits import limits_in_force
from orderd.ctl.management import URL_VARIABLE, management_of

if TYPE_CHECKING:
    from orderd.config.settings import Settings

# A look need not wait long for an API that it can do without.
_API_TIMEOUT_S: Final = 2.0


class Renewals:
    """Knows the delivery limit of each queue, and keeps the messages of a look away from it.

    A look gives back what it took, and the broker counts that, as it counts a look that is killed.
    So a message past half of the limit is renewed as soon as it is taken, before anything else.
    """

    def __init__(
        self,
        settings: "Settings",
        publisher: ConfirmedPublisher,
        queues: Sequence[str],
        tell: Callable[[str], None],
    ) -> None:
        """Ask for the limits of *queues*, which have to exist; *tell* is given what goes wrong."""
        self._publisher = publisher
        self._tell = tell
        self.failed = 0
        self._limits: dict[str, int | None] = {}
        if not queues:
            return
        url = os.environ.get(URL_VARIABLE) or None
        management = management_of(
            endpoint_of(settings), publisher.connection.where, url, timeout_s=_API_TIMEOUT_S
        )
        self._limits = limits_in_force(publisher.connection, management, queues)

    @property
    def untouchable(self) -> list[str]:
        """The queues that drop each message that is given back: limit 0."""
        return [name for name, limit in self._limits.items() if limit == 0]

    def renew(self, browser: Browser, delivery: Delivery) -> bool:
        """Return whether a copy has taken the place of *delivery*, at the end of its queue.

        *browser* has taken *delivery*, which is acked then. Raises BrokerFault.
        """
        limit = self._limits.get(delivery.queue, ASSUMED_LIMIT)
        if limit is None or not is_due(delivery, limit):
            return False
        with uninterrupted():
            why = self._publish(delivery)
            if why is None:
                browser.ack([delivery])
                return True
        self.failed += 1
        if self.failed == 1:
            self._tell(
                f"queue {delivery.queue}: a message with {delivery_count(delivery)} deliveries of "
                f"{limit} cannot be renewed: {why}; past the limit the broker drops it"
            )
        return False

    def _publish(self, delivery: Delivery) -> str | None:
        """Return why the broker has no copy of the message, None where it has one."""
        try:
            return self._publisher.publish(renewed(delivery))
        except Unpublishable as fault:
            return f"AMQP cannot carry it: {fault}"
