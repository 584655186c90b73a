"""The publisher's connection: pika's SelectConnection, turned by the thread that owns it.

It is the one exception from BlockingConnection (see connection.py), whose channel waits for the
confirm of each message before it sends the next: some 500 a second instead of 10,000.
"""

import contextlib
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import pika
import pika.exceptions

from orderd.amqp.endpoint import BrokerEndpoint, Target
from orderd.amqp.faults import BrokerFault, BrokerRefused, ChannelFault, NoAnswer
from orderd.amqp.joined_writes import Prepared, WatchedServices, publish, watched_services
from orderd.amqp.refusals import cause_of, refusal
from orderd.amqp.resource_shortage import shortage_as_fault
from orderd.amqp.tls_refusals import tls_refusal
from orderd.amqp.wire import properties

SLICE_S: Final = 1.0
CALL_TIMEOUT_S: Final = 5.0
CLOSE_TIMEOUT_S: Final = 3.0
# In which what pika has to say at the end goes to the socket, and the socket is closed.
_LAST_TURNS: Final = 4


OnFrame = Callable[[Any], None]


def no_slice() -> None:
    """Do nothing between two slices of a wait."""


class ConfirmConnection:
    """A connection whose every wait is bounded, and sliced so that `on_slice` is called often.

    Nothing happens on it, heartbeats included, outside of its methods.
    """

    def __init__(self, endpoint: BrokerEndpoint) -> None:
        self._endpoint = endpoint
        self._connection: Any = None
        self._services: WatchedServices | None = None
        self._target: Target | None = None
        self._opened = False
        self._loss: str | None = None
        self._is_refused = False
        self._stopping = False
        self._on_slice: Callable[[], None] = no_slice
        self.where = "not connected"
        self.user: str | None = None
        self.blocked = False

    @property
    def frame_max(self) -> int:
        """The size of a frame that was negotiated, in bytes."""
        return self._connection.params.frame_max

    @property
    def is_open(self) -> bool:
        """Whether the connection was up when it was last serviced."""
        return self._opened and self._loss is None

    def open(self, on_slice: Callable[[], None] = no_slice) -> None:
        """Try every URL once, or raise BrokerFault with the cause of each.

        *on_slice* is called at least once a second then, and in later waits of this link.
        """
        self.close()
        properties.register()
        self._on_slice = on_slice
        faults: list[BrokerFault] = []
        for target in self._endpoint.targets():
            try:
                with shortage_as_fault(target.name):
                    self._open(target)
            except BrokerFault as fault:
                faults.append(fault)
                self.close()
            else:
                self._endpoint.note_reached(target)
                return
        # A refusal among the faults is raised as such, because an operator can act on it.
        is_refused = any(isinstance(fault, BrokerRefused) for fault in faults)
        raise (BrokerRefused if is_refused else BrokerFault)("; ".join(map(str, faults)))

    def open_channel(self, on_confirm: OnFrame, on_return: Callable[..., None]) -> "ConfirmChannel":
        """Return a new channel, open, on which each message is confirmed."""
        channel = self.begin_channel(on_confirm, on_return)

        def is_over() -> bool:
            channel.raise_if_closed()
            return channel.is_confirming

        self.run_until(is_over, CALL_TIMEOUT_S, "opening a channel")
        return channel

    def begin_channel(
        self, on_confirm: OnFrame, on_return: Callable[..., None]
    ) -> "ConfirmChannel":
        """Return a new channel that opens while the connection is serviced."""
        self.raise_if_lost()
        return ConfirmChannel(self, self._connection, self._services, on_confirm, on_return)

    def run(self, timeout_s: float) -> None:
        """Service the connection until `wake` is called, at most *timeout_s* seconds.

        With 0, do what can be done right now. Raises BrokerFault once the connection is lost.
        """
        self.raise_if_lost()
        loop = self._connection.ioloop
        alarm = loop.call_later(timeout_s, loop.stop)
        self._stopping = False
        try:
            loop.start()
        except (pika.exceptions.AMQPError, AssertionError, OSError) as error:
            self._loss = self._loss or f"{self.where}: {cause_of(error)}"
        finally:
            loop.remove_timeout(alarm)
        self.raise_if_lost()

    def run_until(
        self,
        condition: Callable[[], bool],
        timeout_s: float,
        purpose: str,
        on_slice: Callable[[], None] | None = None,
    ) -> None:
        """Service the connection until *condition* holds, or raise NoAnswer naming *purpose*."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                blocked = ", publishers are blocked" if self.blocked else ""
                raise NoAnswer(f"{self.where}: {purpose}: no answer in {timeout_s:g} s{blocked}")
            self.run(min(left_s, SLICE_S))
            (on_slice or self._on_slice)()

    def wake(self) -> None:
        """End the current `run` once what has already been read is handled."""
        if not self._stopping:
            self._stopping = True
            self._connection.ioloop.stop()

    def raise_if_lost(self) -> None:
        """Raise BrokerFault with the cause once the connection is lost, or before it is made."""
        if self._loss is not None:
            raise (BrokerRefused if self._is_refused else BrokerFault)(self._loss)
        if self._connection is None:
            raise BrokerFault(f"{self.where}: not connected")

    def close(self) -> None:
        """Close the connection, waiting a few seconds at most for the broker; never raises."""
        connection = self._connection
        if connection is None:
            return
        # What goes wrong here concerns a connection that is given up anyway.
        with contextlib.suppress(pika.exceptions.AMQPError, AssertionError, OSError, BrokerFault):
            if not (connection.is_closed or connection.is_closing):
                connection.close()
            # No keep-alive work: the caller may be stopping, and must not be interrupted again.
            self.run_until(lambda: connection.is_closed, CLOSE_TIMEOUT_S, "closing", no_slice)
        with contextlib.suppress(AssertionError):
            connection.ioloop.close()
        self._connection = self._services = None
        self._opened = False
        self._on_slice = no_slice

    def abandon(self) -> None:
        """Give the connection up without waiting for the broker's answer; never raises."""
        connection, services, self._connection = self._connection, self._services, None
        self._services = None
        self._opened = False
        if connection is None:
            return
        # Nothing of this link is to be woken by what happens now.
        self._stopping = True
        with contextlib.suppress(pika.exceptions.AMQPError, AssertionError, OSError):
            if not (connection.is_closed or connection.is_closing):
                connection.close()
            for turn in range(_LAST_TURNS):
                if turn + 1 == _LAST_TURNS and services is not None:
                    services.abort()
                connection.ioloop.call_later(0, connection.ioloop.stop)
                connection.ioloop.start()
        with contextlib.suppress(AssertionError):
            connection.ioloop.close()

    def begin(self, target: Target) -> None:
        """Begin to connect to *target*, which goes on while the connection is serviced."""
        properties.register()
        self.where, self.user, self._target = target.name, target.user, target
        self._loss, self._opened, self.blocked = None, False, False
        self._is_refused = False
        self._services = watched_services()
        connection = pika.SelectConnection(
            target.parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_lost,
            on_close_callback=self._on_lost,
            custom_ioloop=self._services,
        )
        self._connection = connection
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)

    def _open(self, target: Target) -> None:
        self.begin(target)
        # pika's own time-out does not cover the look-up of the host's name.
        limit_s = self._endpoint.stack_timeout_s + SLICE_S
        self.run_until(lambda: self._opened, limit_s, "connecting")

    def _on_open(self, _connection: Any) -> None:
        self._opened = True
        self.wake()

    def _on_lost(self, connection: Any, error: Any) -> None:
        if connection is self._connection:
            refused = refusal(error, self.where, self.user)
            if refused is None and self._target is not None and not self._opened:
                refused = tls_refusal(error, self._target)
            self._is_refused = refused is not None
            self._loss = refused or f"{self.where}: {cause_of(error)}"
            self.wake()

    def _on_blocked(self, _connection: Any, _frame: Any) -> None:
        self.blocked = True
        self.wake()

    def _on_unblocked(self, _connection: Any, _frame: Any) -> None:
        self.blocked = False
        self.wake()


class ConfirmChannel:
    """A channel of *link* in confirm mode; `raw` is pika's own."""

    def __init__(
        self,
        link: ConfirmConnection,
        connection: Any,
        services: WatchedServices | None,
        on_confirm: OnFrame,
        on_return: Callable[..., None],
    ) -> None:
        self._link = link
        self._services = services
        self._closed: Exception | None = None
        self._on_confirm = on_confirm
        self.is_confirming = False
        self.raw = connection.channel(on_open_callback=self._on_open)
        self.raw.add_on_close_callback(self._on_closed)
        self.raw.add_on_return_callback(on_return)

    def publish(self, messages: Iterable[Prepared]) -> None:
        """Write *messages* to the buffer of the socket, in order; raises BrokerFault."""
        try:
            publish(self.raw, self._services, messages)
        except pika.exceptions.AMQPError as error:
            raise BrokerFault(f"{self._link.where}: publish: {error}") from error

    def raise_if_closed(self) -> None:
        """Raise BrokerFault when the connection is lost, ChannelFault when only the channel is."""
        self._link.raise_if_lost()
        if isinstance(self._closed, pika.exceptions.ChannelClosedByBroker):
            raise ChannelFault(self._link.where, self._closed.reply_code, self._closed.reply_text)
        if self._closed is not None:
            raise BrokerFault(f"{self._link.where}: channel closed: {self._closed}")

    def _on_open(self, _raw: Any) -> None:
        self.raw.confirm_delivery(self._on_confirm, callback=self._on_confirming)

    def _on_confirming(self, _frame: Any) -> None:
        self.is_confirming = True
        self._link.wake()

    def _on_closed(self, _raw: Any, reason: Exception) -> None:
        self._closed = reason
        self._link.wake()
