"""Replies through the broker's direct reply-to, on a connection that may be lost for them.

A caller can make up an address on which the broker closes the publisher's connection (541). So
these replies have a connection of their own: what one of them breaks is theirs alone.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from orderd.amqp.faults import BrokerFault
from orderd.amqp.publisher import Publisher
from orderd.amqp.receipt import Receipt
from orderd.amqp.reply_address import REPLY_TO
from orderd.settle.consequences import Consequence, Role
from orderd.settle.report import Reporter

CONFIRM_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class DirectSending:
    """Direct replies on their way; without a receipt, none of them is."""

    replies: Sequence[Consequence]
    receipt: Receipt | None


class DirectReplies:
    """Sends direct replies: best effort, and one of them at a time once that goes wrong."""

    def __init__(self, publisher: Publisher, reporter: Reporter) -> None:
        """Use *publisher*, which is connected when the first direct reply is due."""
        self._publisher = publisher
        self._reporter = reporter

    @staticmethod
    def is_for(consequence: Consequence) -> bool:
        """Return whether *consequence* is a reply by direct reply-to."""
        is_direct = consequence.message.routing_key.startswith(f"{REPLY_TO}.")
        return consequence.role is Role.REPLY and is_direct

    def begin(self, replies: Sequence[Consequence], on_slice: Callable[[], None]) -> DirectSending:
        """Publish *replies* without waiting."""
        if not replies:
            return DirectSending((), None)
        try:
            return DirectSending(replies, self._publish(replies, on_slice))
        except BrokerFault:
            return DirectSending(replies, None)

    def finish(self, sending: DirectSending, on_slice: Callable[[], None]) -> None:
        """Wait until the broker has the replies, or nobody is there to have them."""
        if not sending.replies:
            return
        receipt = sending.receipt
        try:
            if receipt is not None:
                self._publisher.wait_out(receipt, CONFIRM_TIMEOUT_S, on_slice)
                for index, why in receipt.failed.items():
                    self._reporter.reply_dropped(sending.replies[index].result, why)
                return
        except BrokerFault:
            self._publisher.close()
        for reply in sending.replies:
            self._send_alone(reply, on_slice)

    def pump(self) -> None:
        """Service the connection, if there is one."""
        if self._publisher.is_ready:
            with suppress(BrokerFault):
                self._publisher.pump()

    def close(self) -> None:
        """Close the connection; never raises."""
        self._publisher.close()

    def _send_alone(self, reply: Consequence, on_slice: Callable[[], None]) -> None:
        try:
            receipt = self._publish([reply], on_slice)
            self._publisher.wait_out(receipt, CONFIRM_TIMEOUT_S, on_slice)
            why = receipt.failed.get(0)
        except BrokerFault as fault:
            self._publisher.close()
            why = str(fault)
        if why is not None:
            self._reporter.reply_dropped(reply.result, why)

    def _publish(self, replies: Sequence[Consequence], on_slice: Callable[[], None]) -> Receipt:
        if not self._publisher.is_ready:
            self._publisher.connect(on_slice)
        return self._publisher.publish([reply.message for reply in replies])
