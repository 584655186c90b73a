"""Publishes one message at a time, each confirmed before the next: what orderctl sends with."""

from typing import Final

import pika.exceptions

from orderd.amqp.connection import Channel, Connection
from orderd.amqp.message import OutgoingMessage
from orderd.amqp.publish_confirms import NACKED, returned
from orderd.amqp.wire.properties import WireProperties, prepare

CONFIRM_TIMEOUT_S: Final = 30.0


class ConfirmedPublisher:
    """A channel in confirm mode on *connection*, reopened when the broker has closed it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._channel: Channel | None = None

    @property
    def channel(self) -> Channel:
        """The channel, open; raises BrokerFault."""
        if self._channel is None or not self._channel.is_open:
            self._channel = self.connection.open_channel()
            self._channel.call("confirm_delivery")
        return self._channel

    def check(self, message: OutgoingMessage) -> WireProperties:
        """Return the properties for the wire; raise Unpublishable where AMQP cannot carry them."""
        return prepare(message, self.connection.frame_max, self.connection.user)

    def publish(self, message: OutgoingMessage) -> str | None:
        """Publish *message*, and return once it is confirmed; the reason where it is refused.

        Raises Unpublishable, and BrokerFault where there is no answer.
        """
        properties = self.check(message)
        channel = self.channel
        try:
            channel.call(
                "basic_publish",
                limit_s=CONFIRM_TIMEOUT_S,
                exchange=message.exchange,
                # A reply queue may have a name that is not UTF-8.
                routing_key=message.routing_key.encode(errors="surrogateescape"),
                body=message.body,
                properties=properties,
                mandatory=message.mandatory,
            )
        except pika.exceptions.UnroutableError as error:
            return returned(error.messages[0].method)
        except pika.exceptions.NackError:
            return NACKED
        return None
