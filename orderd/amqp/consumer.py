"""Takes deliveries from the queues of a daemon into an inbox, at the pace of its owner."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from orderd.amqp.connection import Connection, nothing
from orderd.amqp.connection_cuts import ConnectionCuts
from orderd.amqp.declaration import Declaration
from orderd.amqp.endpoint import BrokerEndpoint
from orderd.amqp.faults import (
    NOT_FOUND,
    BrokerFault,
    BrokerRefused,
    ChannelFault,
    DeliveriesLost,
    TooFewChannels,
)
from orderd.amqp.flow import FlowControl
from orderd.amqp.holds import Holds
from orderd.amqp.in_flight import InFlight
from orderd.amqp.inbox import Inbox
from orderd.amqp.intake import Intake, Send, ack, ack_at_last, requeue
from orderd.amqp.intakes import Intakes
from orderd.amqp.message import Delivery
from orderd.amqp.topology import QueueDepth
from orderd.protocol.tenants import Tenant

_INBOX_BYTES_MAX: Final = 32 * 1024 * 1024
# Before 4.3 RabbitMQ counts a nack on a quorum queue as a delivery, and may return many messages in
# another order. Closing the connection keeps the order everywhere, but always counts.
_NACKS_ARE_FREE: Final = (4, 3)
_GIVE_BACK_TIMEOUT_S: Final = 3.0


class Consumer:
    """Consumes the queues of *tenant* with manual acks.

    Of each at most *prefetch* deliveries are unacked. Each has a channel of its own: whatever
    happens to one of them costs the others nothing, and is told in `failing`. Of those of
    *exclusive* it takes only while no other daemon does. What is needed besides them is declared
    by `declaration`; `flow` decides how much is taken at a time.

    `has_settled` tells whether anything was acked or requeued on the current connection,
    `in_flight` what was sent through retry queues. What arrives waits in `inbox`, marked with the
    time of *now_s*.
    """

    def __init__(
        self,
        endpoint: BrokerEndpoint,
        tenant: Tenant,
        prefetch: int,
        retry_delays_s: Sequence[float],
        queue_type: str,
        *,
        exclusive: Collection[str] = (),
        inbox_bytes_max: int = _INBOX_BYTES_MAX,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._now_s = now_s
        self._connection = Connection(endpoint)
        self.declaration = Declaration(self._connection, retry_delays_s, queue_type, tenant)
        self.inbox = Inbox(self.holds)
        self._intakes = Intakes(
            self._connection,
            tenant.queues,
            exclusive,
            prefetch,
            declare=self.declaration.queue,
            on_arrival=self._on_arrival,
            on_lost=self.inbox.void,
        )
        self._queues = tenant.queues
        self._program = tenant.program
        self._inbox_bytes_max = inbox_bytes_max
        self.flow = FlowControl(self._intakes, self.inbox, inbox_bytes_max)
        self._holds = Holds(self._intakes)
        self.in_flight = InFlight()
        self._has_connected = False
        self.has_settled = False
        self._cuts = ConnectionCuts()

    @property
    def is_ready(self) -> bool:
        """Whether the broker delivers from every queue that is not left to others."""
        return self._intakes.is_complete

    @property
    def unacked(self) -> int:
        """How many deliveries are not settled yet."""
        return sum(len(intake.unacked) for intake in self._intakes)

    @property
    def standing_by(self) -> Mapping[str, str]:
        """The queues that are left to others, and why."""
        return self._intakes.standing_by

    @property
    def failing(self) -> Mapping[str, str]:
        """The queues that cannot be consumed for now, and why; they are tried again."""
        return self._intakes.failing

    @property
    def consumers(self) -> Mapping[str, int]:
        """How many consumers each of the other queues had lately, this one among them."""
        return self._intakes.consumers

    def connect(self, keep_alive: Callable[[], None] = nothing) -> None:
        """Connect, declare the topology and start consuming: one attempt over all URLs.

        *keep_alive* is called at least once a second, and must not touch this consumer. Raises
        BrokerFault, and TopologyMismatch the first time.
        """
        is_cut_each_time = self._cuts.begin()
        self.close()
        self._intakes.apart.is_wanted = is_cut_each_time
        self.has_settled = False
        try:
            self._connection.open(keep_alive)
            self._look_for_channels()
            self.declaration.look(keep_alive)
            self._intakes.begin(is_first=not self._has_connected)
            self.declaration.exchange(is_first=not self._has_connected)
        except Exception:
            self._cuts.note(self._connection.loss_code)
            self.close()
            raise
        self._has_connected = True

    def poll(self, timeout_s: float) -> None:
        """Service the connection until something came into the inbox, at most *timeout_s* seconds.

        Raises BrokerFault when the connection is lost, or no queue is left to be consumed. The
        inbox is empty then: the broker delivers again what was in it.
        """
        if self.inbox.body_bytes() >= self._inbox_bytes_max:
            # The less is read, the more the broker keeps; a turn a second feeds the heartbeat.
            time.sleep(timeout_s)
            timeout_s = 0
        until_s = time.monotonic() + timeout_s
        before = self.inbox.received
        self._serve(timeout_s)
        # pika may return sooner, for less than a delivery.
        while self.inbox.received == before and (left_s := until_s - time.monotonic()) > 0:
            self._serve(left_s)

    def fill(self, count: int) -> None:
        """Read on while deliveries are there and fewer than *count* are in the inbox; never wait.

        Raises BrokerFault as `poll` does.
        """
        with self._voiding():
            self.flow.adapt()
        while self.read(count):
            pass

    def read(self, count: int) -> bool:
        """Read once what is there, where fewer than *count* are in the inbox.

        Returns whether something came, so that there may be more. Never waits. Raises BrokerFault
        as `poll` does.
        """
        if len(self.inbox) >= count or self.inbox.body_bytes() >= self._inbox_bytes_max:
            return False
        before = self.inbox.received
        self._serve(0)
        return self.inbox.received > before

    def look_around(self) -> None:
        """Take from the queues that had to be left to others, where these are gone by now; count.

        To be called freely: few of the calls do anything. Raises BrokerFault as `poll` does.
        """
        with self._voiding():
            self._intakes.look_around()

    def takes_from(self, queue: str) -> bool:
        """Return whether *queue* has a consumer of this daemon's."""
        return queue in self._intakes

    def holds(self, delivery: Delivery) -> bool:
        """Return whether *delivery* can still be settled."""
        return self._intakes.holds(delivery)

    def assert_alive(self) -> None:
        """Ask the broker, where it was silent for long, whether it still knows the connection.

        One that only stands still reads what was sent to it before, as long as the connection is
        not closed: what is acked is not delivered again. pika would close it, half a minute later.
        Raises BrokerFault as `poll` does.
        """
        with self._voiding():
            self._intakes.serve(0)
            self._intakes.assert_alive()

    def assert_held(self, deliveries: Iterable[Delivery]) -> None:
        """Look whether *deliveries* are still ours; raise DeliveriesLost where some are not.

        Asks the broker where it was silent for long. Raises BrokerFault as `poll` does.
        """
        self.assert_alive()
        lost = [delivery for delivery in deliveries if not self.holds(delivery)]
        if lost:
            queues = ", ".join(sorted({delivery.queue for delivery in lost}))
            raise DeliveriesLost(f"{len(lost)} deliveries of {queues} are no longer this daemon's")

    def ack(self, deliveries: Iterable[Delivery]) -> None:
        """Tell the broker to forget *deliveries*; those that are no longer held are left out.

        Raises BrokerFault as `poll` does; what was not acked is delivered again.
        """
        self._settle(deliveries, ack)

    def ack_at_last(self, deliveries: Iterable[Delivery]) -> None:
        """Ack *deliveries* where the connection was given up because the broker did not answer.

        A broker that was only frozen reads the acks later and does not redeliver. Never raises.
        """
        with suppress(BrokerFault):
            self._intakes.settle_at_last(deliveries, ack_at_last)

    def requeue(self, deliveries: Iterable[Delivery]) -> None:
        """Give *deliveries* back to their queues, in their order; stale ones are left out."""
        self._settle(deliveries, requeue)

    def depth(self, queue: str) -> QueueDepth:
        """Return how much is waiting in *queue*, and how many consumers it has.

        Nothing and none where there is no such queue. What arrived by then is in the inbox.
        """
        with self._voiding():
            try:
                return self._intakes.depth(queue)
            except ChannelFault as fault:
                if fault.code != NOT_FOUND:
                    raise
                return QueueDepth(ready=0, consumers=0)

    def change_prefetch(self, prefetch: int) -> None:
        """Let the broker send so many from each queue. Raises BrokerFault as `poll` does."""
        with self._voiding():
            self.flow.change_prefetch(prefetch)

    def pause(self, keep_alive: Callable[[], None]) -> int:
        """Consume nothing until `resume`; return how many waiting deliveries were given back.

        *keep_alive* is called at least once a second, and must not touch this consumer.
        """
        with self._voiding():
            return self.flow.pause(self._queues, keep_alive)

    def resume(self) -> None:
        """Consume again, one at a time first. Raises BrokerFault as `poll` does."""
        with self._voiding():
            self.flow.resume(is_slow=True)

    @property
    def held(self) -> Collection[str]:
        """The queues from which nothing is taken, though it could be."""
        return self._holds.queues

    @property
    def sampled(self) -> Collection[str]:
        """The held queues of which the broker is to deliver one message."""
        return self._holds.sampled

    def hold(self, queues: Collection[str]) -> None:
        """Take nothing from *queues*, and from all others; what was delivered stays in the inbox.

        Raises BrokerFault as `poll` does.
        """
        with self._voiding():
            self._holds.set(queues)

    def is_idle(self, queue: str) -> bool:
        """Return whether no message of *queue* is unacknowledged here."""
        return self._holds.is_idle(queue)

    def sample(self, queue: str) -> None:
        """Have the broker deliver one message of *queue*, which is held; raises as `poll` does."""
        with self._voiding():
            self._holds.sample(queue)

    def end_samples(self, overdue: Collection[str] = ()) -> None:
        """Take no more where that message has arrived, nor from *overdue*; raises as `poll` does.

        To be called before such a message is acked: the broker sends the next one then.
        """
        with self._voiding():
            self._holds.end_samples(overdue)

    def cancel(self) -> None:
        """Take no more: what the broker had sent is in the inbox then, and can still be settled."""
        with self._voiding():
            self._intakes.cancel()

    def close(self) -> None:
        """Close the connection; what is unacked goes back to its queue. Never raises."""
        self._give_back()
        self.inbox.void()
        # The connection first: nothing that was unacked is to be given back channel by channel.
        self._connection.close()
        self._intakes.clear()

    def _give_back(self) -> None:
        """Give back what is unacked, in its order, and uncounted where the broker has a way."""
        if not self._connection.is_open:
            return
        # No keep-alive work: the caller may be stopping, and must not be interrupted again.
        self._connection.end_slices(_GIVE_BACK_TIMEOUT_S)
        # Much of it may still be on its way; its bodies are not kept.
        with suppress(BrokerFault), self.inbox.giving_back(self._queues):
            self.cancel()
            if self._connection.version >= _NACKS_ARE_FREE:
                self._intakes.give_back()

    def _look_for_channels(self) -> None:
        most, needed = self._connection.channels_max, self._intakes.channels_needed
        if 0 < most < needed:
            # Later, others have changed what was enough.
            kind = BrokerRefused if self._has_connected else TooFewChannels
            raise kind(
                f"{self._connection.where}: channel_max {most}: {self._program} needs {needed} "
                "channels"
            )

    def _on_arrival(self, intake: Intake, tag: int, method: Any, found: Any, body: bytes) -> None:
        delivery = Delivery(
            intake.queue,
            body,
            found.decoded,
            tag,
            intake.generation,
            method.redelivered,
            self._now_s(),
        )
        self.inbox.put(delivery)
        self.in_flight.note_back(delivery)
        intake.opened().connection.note_heard()

    def _serve(self, timeout_s: float) -> None:
        with self._voiding():
            self._intakes.serve(timeout_s)

    def _settle(self, deliveries: Iterable[Delivery], send: Send) -> None:
        with self._voiding():
            self._intakes.settle(deliveries, send)
        self.has_settled = True

    @contextmanager
    def _voiding(self) -> Iterator[None]:
        """Forget all deliveries when the connection is lost: they can no longer be settled."""
        try:
            yield
        except BrokerFault:
            if not self._connection.is_open:
                self._cuts.note(self._connection.loss_code)
                self.inbox.void()
            raise
