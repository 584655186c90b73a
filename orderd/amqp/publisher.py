"""Publishes many messages at once, and collects the broker's confirms for them in bulk."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import pika.exceptions
from pika import spec

from orderd.amqp.endpoint import BrokerEndpoint
from orderd.amqp.faults import BrokerFault, NoAnswer, Unpublishable
from orderd.amqp.link import ConfirmChannel, Link, no_slice
from orderd.amqp.message import OutgoingMessage, Properties
from orderd.amqp.properties import WireProperties, prepare
from orderd.amqp.receipt import Receipt, returned

_ALARM_WAIT_S: Final = 5.0
# No queue can have this name.
_TO_NOWHERE: Final = OutgoingMessage("", "", b"", Properties(), mandatory=False)


class Publisher:
    """A connection of its own for publishing, with one channel in confirm mode.

    It is apart from the consumer's so that acks flow while the broker blocks publishers.
    """

    def __init__(self, endpoint: BrokerEndpoint) -> None:
        self.link = Link(endpoint)
        self._channel: ConfirmChannel | None = None
        self._next_tag = 1
        self._unanswered: list[Receipt] = []

    @property
    def channel(self) -> ConfirmChannel:
        """The channel of the current connection, or BrokerFault."""
        if self._channel is None:
            raise BrokerFault(f"{self.link.where}: not connected")
        return self._channel

    @property
    def is_ready(self) -> bool:
        """Whether messages can be published on the current channel."""
        return self.link.is_open and self._channel is not None and self._channel.raw.is_open

    @property
    def where(self) -> str:
        """The broker that is connected, as host, port and virtual host."""
        return self.link.where

    @property
    def blocked(self) -> bool:
        """Whether the broker said that it takes nothing for now (memory or disk alarm)."""
        return self.link.is_open and self.link.blocked

    def connect(self, on_slice: Callable[[], None] = no_slice) -> None:
        """Connect: one attempt over all URLs; *on_slice* is called at least once a second."""
        self.close()
        try:
            self.link.open(on_slice)
            self._channel = self.link.open_channel(self._on_confirm, self._on_return)
        except Exception:
            self.close()
            raise

    def publish(self, messages: Sequence[OutgoingMessage]) -> Receipt:
        """Hand *messages* over to the socket, in order, and return where their answers gather.

        Raises BrokerFault when the connection is lost, and Unpublishable, with nothing sent,
        when one of them cannot be encoded.
        """
        channel = self.channel
        channel.raise_if_closed()
        prepared = [self._prepare(index, message) for index, message in enumerate(messages)]
        self._send(channel, messages, prepared)
        receipt = Receipt(messages, self._next_tag)
        self._next_tag += len(messages)
        if not receipt.done:
            self._unanswered.append(receipt)
            # pika only buffers: this turn hands it to the socket.
            self.pump()
        return receipt

    def check(self, message: OutgoingMessage) -> None:
        """Raise Unpublishable where AMQP cannot carry *message* on this connection."""
        prepare(message, self.link.frame_max, self.link.user)

    def wait(
        self, receipt: Receipt, timeout_s: float, on_slice: Callable[[], None] = no_slice
    ) -> None:
        """Service the connection until *receipt* is done; *on_slice* is called once a second.

        Raises BrokerFault when the connection is lost or *timeout_s* seconds are over: what
        `receipt` calls unanswered may or may not have been taken by the broker.
        """
        channel = self.channel

        def is_over() -> bool:
            channel.raise_if_closed()
            return receipt.done

        purpose = f"confirms of {receipt.outstanding} messages"
        self.link.run_until(is_over, timeout_s, purpose, on_slice)

    def wait_out(self, receipt: Receipt, timeout_s: float, on_slice: Callable[[], None]) -> None:
        """Do as `wait`, but the time in which the broker blocks publishers does not count.

        To connect anew would not help against its alarm, and cost every message a delivery.
        """
        while not receipt.done:
            try:
                self.wait(receipt, timeout_s, on_slice)
            except NoAnswer:
                # Nothing else: a consumer that is gone comes by the same way.
                if not self.blocked:
                    raise

    def find_alarm(self) -> None:
        """Learn whether the broker takes messages: it says `blocked` only once one was published.

        The message goes to no queue, so that none can keep the answer back. Raises BrokerFault.
        """
        receipt = self.publish([_TO_NOWHERE])
        channel = self.channel

        def is_known() -> bool:
            channel.raise_if_closed()
            return receipt.done or self.blocked

        # A broker that takes its time is no alarm.
        with suppress(NoAnswer):
            self.link.run_until(is_known, _ALARM_WAIT_S, "finding out about alarms")

    def pump(self) -> None:
        """Do what the connection needs right now, without waiting; raise BrokerFault if lost."""
        channel = self.channel
        self.link.run(0)
        channel.raise_if_closed()

    def close(self) -> None:
        """Close the connection; never raises."""
        self._channel = None
        self._next_tag = 1
        self._unanswered = []
        self.link.close()

    def _prepare(self, index: int, message: OutgoingMessage) -> WireProperties:
        try:
            return prepare(message, self.link.frame_max, self.link.user)
        except Unpublishable as fault:
            raise Unpublishable(f"message {index} to {message.routing_key!r}: {fault}") from fault

    def _send(
        self,
        channel: ConfirmChannel,
        messages: Sequence[OutgoingMessage],
        prepared: Sequence[WireProperties],
    ) -> None:
        basic_publish = channel.raw.basic_publish
        try:
            for message, properties in zip(messages, prepared, strict=True):
                basic_publish(
                    message.exchange,
                    # A reply queue may have a name that is not UTF-8.
                    message.routing_key.encode(errors="surrogateescape"),
                    message.body,
                    properties,
                    message.mandatory,
                )
        except pika.exceptions.AMQPError as error:
            raise BrokerFault(f"{self.link.where}: publish: {error}") from error

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        nacked = isinstance(method, spec.Basic.Nack)
        done = False
        for receipt in self._unanswered:
            receipt.settle(method.delivery_tag, multiple=method.multiple, nacked=nacked)
            done = done or receipt.done
        if done:
            self._unanswered = [receipt for receipt in self._unanswered if not receipt.done]
            self.link.wake()

    def _on_return(self, _raw: Any, method: Any, found: Any, body: bytes) -> None:
        message = OutgoingMessage(
            method.exchange, method.routing_key, body, found.decoded, mandatory=True
        )
        for receipt in self._unanswered:
            if receipt.note_return(message, returned(method)):
                return
