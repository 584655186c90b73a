"""A client for one command at a time: what orderctl publishes and calls with."""

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from orderd.amqp import topology
from orderd.amqp.endpoint import BrokerEndpoint
from orderd.amqp.faults import BrokerFault, NoReply, NotRouted
from orderd.amqp.link import SLICE_S, Link, no_slice
from orderd.amqp.message import OutgoingMessage, Properties
from orderd.amqp.publisher import Publisher
from orderd.amqp.receipt import NACKED
from orderd.amqp.reply_address import REPLY_TO
from orderd.amqp.topology import QueueDepth

_CONFIRM_TIMEOUT_S: Final = 30.0


class RpcClient:
    """Publishes with confirms, and calls through the broker's direct reply-to."""

    def __init__(self, endpoint: BrokerEndpoint) -> None:
        self._publisher = Publisher(endpoint)
        self._listening = False
        self._replies: dict[str, bytes] = {}

    @property
    def link(self) -> Link:
        """The connection, for the functions of topology.py."""
        return self._publisher.link

    def connect(self, on_slice: Callable[[], None] = no_slice) -> None:
        """Connect: one attempt over all URLs; raises BrokerFault."""
        self._listening = False
        self._publisher.connect(on_slice)

    def close(self) -> None:
        """Close the connection; never raises."""
        self._publisher.close()

    def publish(self, queue: str, body: bytes, properties: Properties) -> None:
        """Publish to *queue*, and return once the broker has taken it.

        Raises NotRouted when there is no such queue, BrokerFault when it was not taken.
        """
        message = OutgoingMessage("", queue, body, properties, mandatory=True)
        receipt = self._publisher.publish([message])
        self._publisher.wait(receipt, _CONFIRM_TIMEOUT_S)
        why = receipt.failed.get(0)
        if why == NACKED:
            raise BrokerFault(f"{self.link.where}: queue {queue}: {why} by the broker")
        if why is not None:
            raise NotRouted(f"{self.link.where}: queue {queue}: {why}")

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
                raise NoReply(f"{self.link.where}: queue {queue}: no reply in {timeout_s:g} s")
            self.link.run(min(left_s, SLICE_S))
            self._publisher.channel.raise_if_closed()
        return self._replies.pop(correlation_id)

    def queue_depth(self, queue: str) -> QueueDepth | None:
        """Return what *queue* holds, None when there is no such queue."""
        return topology.queue_depth(self.link, queue)

    def _listen(self) -> None:
        if not self._listening:
            # Direct reply-to: on the channel of the publish, before it, and without acks.
            self._publisher.channel.call(
                "basic_consume",
                queue=REPLY_TO,
                auto_ack=True,
                on_message_callback=self._on_reply,
            )
            self._listening = True

    def _on_reply(self, _raw: Any, _method: Any, found: Any, body: bytes) -> None:
        self._replies[found.decoded.correlation_id or ""] = body
        self.link.wake()
