"""Publishes many messages at once, and collects the broker's confirms for them in bulk."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from pika import spec

from orderd.amqp.confirm_connection import ConfirmChannel, ConfirmConnection, no_slice
from orderd.amqp.confirm_patience import ConfirmPatience
from orderd.amqp.endpoint import BrokerEndpoint
from orderd.amqp.faults import (
    ACCESS_REFUSED,
    NOT_FOUND,
    BrokerFault,
    ChannelFault,
    NoAnswer,
    Unpublishable,
)
from orderd.amqp.message import OutgoingMessage, Properties
from orderd.amqp.publish_confirms import UNANSWERED, PublishConfirms, returned
from orderd.amqp.refused_targets import RefusedTargets
from orderd.amqp.reply_address import REPLY_TO, AddressFamily, family_of
from orderd.amqp.wire.properties import encode_for

CONFIRM_TIMEOUT_S: Final = 15.0
_ALARM_WAIT_S: Final = 5.0
# A refusal comes at once.
_ALONE_WAIT_S: Final = 5.0
# What concerns the target of a message, and not its size or content.
_OF_TARGETS: Final = (ACCESS_REFUSED, NOT_FOUND)
# No queue can have this name: the broker returns it, with the reply address of the channel.
TO_NOWHERE: Final = OutgoingMessage("", "", b"", Properties(reply_to=REPLY_TO), mandatory=True)


class Publisher:
    """A connection of its own for publishing, with one channel in confirm mode.

    It is apart from the consumer's so that acks flow while the broker blocks publishers. Where the
    broker closes the channel over a message, that one is found and has failed; the others go.
    """

    def __init__(self, endpoint: BrokerEndpoint) -> None:
        self.connection = ConfirmConnection(endpoint)
        self.patience = ConfirmPatience()
        # Of the channel's own reply address: those of callers on the same node have the same.
        self.own_family: AddressFamily | None = None
        self._channel: ConfirmChannel | None = None
        self._next_tag = 1
        self._unanswered: list[PublishConfirms] = []
        self._refused = RefusedTargets()
        self._is_mending = False

    @property
    def channel(self) -> ConfirmChannel:
        """The channel of the current connection, or BrokerFault."""
        if self._channel is None:
            raise BrokerFault(f"{self.connection.where}: not connected")
        return self._channel

    @property
    def is_ready(self) -> bool:
        """Whether messages can be published: the connection was up when it was last serviced."""
        return self.connection.is_open and self._channel is not None

    @property
    def is_whole(self) -> bool:
        """Whether messages can be published without a wait: the channel is open as well."""
        return self.is_ready and self.channel.raw.is_open

    @property
    def where(self) -> str:
        """The broker that is connected, as host, port and virtual host."""
        return self.connection.where

    @property
    def blocked(self) -> bool:
        """Whether the broker said that it takes nothing for now (memory or disk alarm)."""
        return self.connection.is_open and self.connection.blocked

    def connect(self, on_slice: Callable[[], None] = no_slice) -> None:
        """Connect: one attempt over all URLs; *on_slice* is called at least once a second."""
        self.close()
        try:
            self.connection.open(on_slice)
            self._open_channel()
            self._listen_for_replies()
        except Exception:
            self.close()
            raise

    def publish(self, messages: Sequence[OutgoingMessage]) -> PublishConfirms:
        """Hand *messages* over to the socket, in order, and return where their answers gather.

        Raises BrokerFault when the connection is lost, and Unpublishable, with nothing sent,
        when one of them cannot be encoded.
        """
        self._mend_if_closed()
        prepared = [self._prepare(index, message) for index, message in enumerate(messages)]
        confirms = self._send(messages, prepared)
        if not confirms.done:
            self._unanswered.append(confirms)
            # pika only buffers: this turn hands it to the socket.
            self.turn()
        return confirms

    def check(self, message: OutgoingMessage) -> None:
        """Raise Unpublishable where AMQP cannot carry *message* on this connection."""
        encode_for(message, self.connection.frame_max, self.connection.user)

    def wait(
        self, confirms: PublishConfirms, timeout_s: float, on_slice: Callable[[], None] = no_slice
    ) -> None:
        """Service the connection until *confirms* is done; *on_slice* is called once a second.

        Raises BrokerFault when the connection is lost or *timeout_s* seconds are over: what
        `confirms` calls unanswered may or may not have been taken by the broker.
        """

        def is_over() -> bool:
            self._mend_if_closed()
            return confirms.done

        purpose = f"confirms of {confirms.outstanding} messages"
        self.connection.run_until(is_over, timeout_s, purpose, on_slice)

    def wait_out(
        self, confirms: PublishConfirms, timeout_s: float, on_slice: Callable[[], None]
    ) -> None:
        """Do as `wait`, but the time in which the broker blocks publishers does not count.

        Reconnecting would not end its alarm, and would cost every message a delivery. Nor
        would it help against a queue that confirms nothing: what has no answer by then has failed.
        """
        while not confirms.done:
            try:
                self.wait(confirms, timeout_s, on_slice)
            except NoAnswer:
                # Nothing else: a consumer that is gone comes by the same way.
                if not self.blocked:
                    self.patience.note_unanswered()
                    confirms.close_all(UNANSWERED)

    def find_alarm(self) -> None:
        """Learn whether the broker takes messages: it says `blocked` only once one was published.

        The message goes to no queue, so no queue can delay the confirm. Its return brings
        `own_family`. Raises BrokerFault.
        """
        confirms = self.publish([TO_NOWHERE])

        def is_known() -> bool:
            self._mend_if_closed()
            return confirms.done or self.blocked

        # A broker that takes its time is no alarm.
        with suppress(NoAnswer):
            self.connection.run_until(is_known, _ALARM_WAIT_S, "checking for alarms")

    def turn(self) -> None:
        """Do what the connection needs right now, without waiting; raise BrokerFault if lost."""
        self.connection.run(0)

    def pump(self) -> None:
        """Do as `turn`, and find the message over which the broker has closed the channel."""
        self._mend_if_closed()
        self.turn()
        self._mend_if_closed()

    def close(self) -> None:
        """Close the connection; never raises."""
        self._channel = None
        self._next_tag = 1
        self._unanswered = []
        self.connection.close()

    def _prepare(self, index: int, message: OutgoingMessage) -> bytes:
        try:
            return encode_for(message, self.connection.frame_max, self.connection.user)
        except Unpublishable as fault:
            raise Unpublishable(f"message {index} to {message.routing_key!r}: {fault}") from fault

    def _send(
        self, messages: Sequence[OutgoingMessage], prepared: Sequence[bytes]
    ) -> PublishConfirms:
        refused: dict[int, str] = {}
        if self._refused:
            reasons = ((index, self._refused.reason(one)) for index, one in enumerate(messages))
            refused = {index: why for index, why in reasons if why is not None}
        pairs = enumerate(zip(messages, prepared, strict=True))
        self.channel.publish(pair for index, pair in pairs if index not in refused)
        confirms = PublishConfirms(messages, self._next_tag, refused)
        self._next_tag += confirms.outstanding
        return confirms

    def _open_channel(self) -> None:
        self._next_tag = 1
        self._channel = self.connection.open_channel(self._on_confirm, self._on_return)

    def _listen_for_replies(self) -> None:
        """Give the channel a reply address; without one, what needs it is refused, nothing else."""
        self.channel.raw.basic_consume(REPLY_TO, lambda *_: None, auto_ack=True)

    def _mend_if_closed(self) -> None:
        """Find the message over which the broker closed the channel, where it has done so.

        All that has no answer yet is published again, one by one: it may come twice.
        """
        channel = self.channel
        self.connection.raise_if_lost()
        # Keep-alive work done during this wait may call this method again.
        if self._is_mending or channel.raw.is_open:
            return
        self._is_mending = True
        try:
            doubtful, self._unanswered = self._unanswered, []
            self._open_channel()
            for confirms in doubtful:
                for index in confirms.unanswered:
                    message = confirms.message(index)
                    # In an alarm there is no answer to wait for.
                    why = UNANSWERED if self.blocked else self._refused.reason(message)
                    confirms.close(index, why or self._fate(message))
        finally:
            self._is_mending = False

    def _fate(self, message: OutgoingMessage) -> str | None:
        """Publish *message* alone; return why it was refused, None where it was taken."""
        confirms = self._send([message], [self._prepare(0, message)])
        self._unanswered.append(confirms)
        channel = self.channel

        def is_over() -> bool:
            channel.raise_if_closed()
            return confirms.done

        try:
            self.connection.run_until(is_over, _ALONE_WAIT_S, "the confirm of a message")
        except ChannelFault as fault:
            why = f"{fault.code} {fault.reason}"
            if fault.code in _OF_TARGETS:
                self._refused.note(message, why)
            self._unanswered.clear()
            self._open_channel()
            return why
        except NoAnswer:
            self._unanswered.remove(confirms)
            return UNANSWERED
        self._refused.accept(message)
        return confirms.failed.get(0)

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        nacked = isinstance(method, spec.Basic.Nack)
        done = False
        for confirms in self._unanswered:
            confirms.settle(method.delivery_tag, multiple=method.multiple, nacked=nacked)
            done = done or confirms.done
        if done:
            self._unanswered = [confirms for confirms in self._unanswered if not confirms.done]
            self.connection.wake()

    def _on_return(self, _raw: Any, method: Any, found: Any, body: bytes) -> None:
        if not method.routing_key and found.decoded.reply_to:
            self.own_family = family_of(found.decoded.reply_to)
        message = OutgoingMessage(
            method.exchange, method.routing_key, body, found.decoded, mandatory=True
        )
        for confirms in self._unanswered:
            if confirms.note_return(message, returned(method)):
                return
