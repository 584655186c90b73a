"""Copies that take the place of deliveries which the broker, or a count, would soon give up."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orderd.amqp.consumer import Consumer
from orderd.amqp.faults import Unpublishable
from orderd.amqp.message import Delivery, OutgoingMessage
from orderd.amqp.publisher import CONFIRM_TIMEOUT_S, Publisher
from orderd.amqp.renewal import renewed_command
from orderd.pipeline.report import Reporter


class Replacement:
    """Publishes a copy of a delivery to its own queue, and acks it once the broker has the copy."""

    def __init__(
        self,
        consumer: Consumer,
        publisher: Publisher,
        reporter: Reporter,
        *,
        receipt: Callable[[Delivery], Mapping[str, Any]],
        keep_alive: Callable[[], None],
    ) -> None:
        """Publish by *publisher* what *consumer* holds; *keep_alive* is called during waits.

        *receipt* returns the headers of a delivery's receipt.
        """
        self._consumer = consumer
        self._publisher = publisher
        self._reporter = reporter
        self._receipt = receipt
        self._keep_alive = keep_alive

    def renew(self, places: Mapping[int, str]) -> None:
        """Replace the deliveries that the broker might drop after a few more deliveries.

        *places* are the keys of the places that they keep in the lines of their rows, by tag. Those
        that cannot be replaced are tried as they are. Raises `BrokerFault`.
        """
        worn = self._consumer.inbox.worn
        if worn and not self._publisher.blocked:
            deliveries = list(worn)
            worn.clear()
            copies = [
                (each, renewed_command(each, self._receipt(each), place=places.get(each.tag)))
                for each in deliveries
            ]
            kept = self._replace(copies)
            self._reporter.renewed(len(deliveries) - len(kept))
            self._consumer.inbox.put_back(kept)

    def forgive(self, deliveries: Sequence[Delivery]) -> None:
        """Note on copies of *deliveries* that a clean stop, no crash, ended their tries.

        For deliveries whose records the database cannot take back now. Raises `BrokerFault`.
        """
        held = [delivery for delivery in deliveries if self._consumer.holds(delivery)]
        if held and not self._publisher.blocked:
            self._replace(
                [
                    (each, renewed_command(each, self._receipt(each), is_clean_stop=True))
                    for each in held
                ]
            )

    def _replace(self, copies: Sequence[tuple[Delivery, OutgoingMessage]]) -> list[Delivery]:
        """Publish *copies*; ack the deliveries whose copy was confirmed, and return the others."""
        able = [(delivery, copy) for delivery, copy in copies if self._can_carry(copy)]
        confirms = self._publisher.publish([copy for _, copy in able])
        self._publisher.wait_out(confirms, CONFIRM_TIMEOUT_S, self._keep_alive)
        taken = [each for index, (each, _) in enumerate(able) if index not in confirms.failed]
        self._consumer.ack(taken)
        tags = {delivery.tag for delivery in taken}
        return [delivery for delivery, _ in copies if delivery.tag not in tags]

    def _can_carry(self, message: OutgoingMessage) -> bool:
        try:
            self._publisher.check(message)
        except Unpublishable:
            return False
        return True
