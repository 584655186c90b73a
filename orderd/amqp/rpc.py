"""A client for one command at a time: what orderctl publishes and calls with."""

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from orderd.amqp import topology
from orderd.amqp.confirmed import ConfirmedPublisher
from orderd.amqp.connection import Channel, Connection, nothing
from orderd.amqp.endpoint import BrokerEndpoint
from orderd.amqp.faults import BrokerFault, NoReply, NotRouted
from orderd.amqp.message import OutgoingMessage, Properties
from orderd.amqp.publish_confirms import NACKED
from orderd.amqp.reply_address import REPLY_TO
from orderd.amqp.topology import QueueDepth

_SLICE_S: Final = 0.25


class RpcClient:
    """Publishes with confirms, and calls through the broker's direct reply-to."""

    def __init__(self, endpoint: BrokerEndpoint) -> None:
        self.connection = Connection(endpoint)
        self._publisher = ConfirmedPublisher(self.connection)
        self._listening_on: Channel | None = None
        self._replies: dict[str, bytes] = {}

    def connect(self, keep_alive: Callable[[], None] = nothing) -> None:
        """Connect: one attempt over all URLs; raises BrokerFault."""
        self.connection.open(keep_alive)

    def close(self) -> None:
        """Close the connection; never raises."""
        self.connection.close()

    def publish(self, queue: str, body: bytes, properties: Properties) -> None:
        """Publish to *queue*, and return once the broker has taken it.

        Raises NotRouted when there is no such queue, BrokerFault when it was not taken.
        """
        message = OutgoingMessage("", queue, body, properties, mandatory=True)
        why = self._publisher.publish(message)
        if why == NACKED:
            raise BrokerFault(f"{self.connection.where}: queue {queue}: {why} by the broker")
        if why is not None:
            raise NotRouted(f"{self.connection.where}: queue {queue}: {why}")

    def call(self, queue: str, body: bytes, properties: Properties, timeout_s: float) -> bytes:
        """Publish to *queue*, and return the body of the reply.

        The correlation id is made up if *properties* have none. Raises NoReply after
        *timeout_s* seconds, and what `publish` raises.
        """
        self._listen()
        correlation_id = properties.correlation_id or str(uuid.uuid4())
        deadline = time.monotonic() + timeout_s
        self.publish(
            queue, body, replace(properties, reply_to=REPLY_TO, correlation_id=correlation_id)
        )
        while correlation_id not in self._replies:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise NoReply(
                    f"{self.connection.where}: queue {queue}: no reply in {timeout_s:g} s"
                )
            self.connection.turn(min(left_s, _SLICE_S))
            self._publisher.channel.raise_if_closed()
        return self._replies.pop(correlation_id)

    def queue_depth(self, queue: str) -> QueueDepth | None:
        """Return what *queue* holds, None when there is no such queue."""
        return topology.queue_depth(self.connection, queue)

    def _listen(self) -> None:
        channel = self._publisher.channel
        if channel is not self._listening_on:
            # Direct reply-to: on the channel of the publish, before it, and without acks.
            channel.call(
                "basic_consume", queue=REPLY_TO, auto_ack=True, on_message_callback=self._on_reply
            )
            self._listening_on = channel

    def _on_reply(self, _raw: Any, _method: Any, found: Any, body: bytes) -> None:
        self._replies[found.decoded.correlation_id or ""] = body
