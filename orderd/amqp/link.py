"""One connection to the broker, serviced by the thread that owns it and only while it says so."""

import contextlib
import re
import time
from collections.abc import Callable
from typing import Any, Final

import pika
import pika.exceptions

from orderd.amqp import properties
from orderd.amqp.channel import CALL_TIMEOUT_S, Channel
from orderd.amqp.endpoint import BrokerEndpoint, Target
from orderd.amqp.faults import BrokerFault, BrokerRefused, NoAnswer
from orderd.amqp.refusals import refusal
from orderd.amqp.shortage import shortage_as_fault

SLICE_S: Final = 1.0
# Unlike the monotonic one it goes on while the machine is suspended.
_CLOCK: Final = time.CLOCK_BOOTTIME
CLOSE_TIMEOUT_S: Final = 3.0


def no_slice() -> None:
    """Do nothing between two slices of a wait."""


class Link:
    """A connection whose every wait is bounded, and sliced so that `on_slice` is called often.

    Nothing happens on it, heartbeats included, outside of its methods.
    """

    def __init__(self, endpoint: BrokerEndpoint) -> None:
        self._endpoint = endpoint
        self._connection: Any = None
        self._opened = False
        self._loss: str | None = None
        self._is_refused = False
        self._stopping = False
        self._served_s = self._heard_s = 0.0
        self._gap_s = 0.0
        self._bytes_received = 0
        self._on_slice: Callable[[], None] = no_slice
        self.call_timeout_s = CALL_TIMEOUT_S
        self.where = "not connected"
        self.user: str | None = None
        self.blocked = False

    @property
    def frame_max(self) -> int:
        """The size of a frame that was negotiated, in bytes."""
        return self._connection.params.frame_max

    @property
    def doubt(self) -> str | None:
        """Why the broker may have given this connection up without a word of that getting here.

        It was once not served, or nothing has come, for longer than the heartbeat.
        """
        heartbeat_s = self._connection.params.heartbeat
        if heartbeat_s and self._gap_s > heartbeat_s:
            return f"not served for {self._gap_s:.0f} s, with a heartbeat of {heartbeat_s} s"
        silent_s = time.clock_gettime(_CLOCK) - self._heard_s
        if heartbeat_s and silent_s > heartbeat_s:
            return f"nothing came for {silent_s:.0f} s, with a heartbeat of {heartbeat_s} s"
        return None

    @property
    def version(self) -> tuple[int, ...]:
        """The broker's version as numbers, such as (3, 10, 8); empty where it does not tell."""
        told = (self._connection.server_properties or {}).get("version", b"")
        text = told.decode() if isinstance(told, bytes) else str(told)
        numbers = re.match(r"\d+(\.\d+)*", text)
        return tuple(map(int, numbers[0].split("."))) if numbers else ()

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
                return
        # A refusal among them is what somebody can do something about.
        is_refused = any(isinstance(fault, BrokerRefused) for fault in faults)
        raise (BrokerRefused if is_refused else BrokerFault)("; ".join(map(str, faults)))

    def open_channel(self) -> Channel:
        """Return a new channel, open."""
        self.raise_if_lost()
        channel = Channel(self, self._connection)
        self.run_until(lambda: channel.is_open, self.call_timeout_s, "opening a channel")
        return channel

    def run(self, timeout_s: float) -> None:
        """Service the connection until `wake` is called, at most *timeout_s* seconds.

        With 0, do what can be done right now. Raises BrokerFault once the connection is lost.
        """
        self.raise_if_lost()
        self._gap_s = max(self._gap_s, time.clock_gettime(_CLOCK) - self._served_s)
        loop = self._connection.ioloop
        alarm = loop.call_later(timeout_s, loop.stop)
        self._stopping = False
        try:
            loop.start()
        except (pika.exceptions.AMQPError, AssertionError, OSError) as error:
            self._loss = self._loss or f"{self.where}: {cause_of(error)}"
        except KeyboardInterrupt:
            self.abandon()
            raise
        finally:
            loop.remove_timeout(alarm)
        self._served_s = time.clock_gettime(_CLOCK)
        if self._connection.bytes_received != self._bytes_received:
            self._bytes_received = self._connection.bytes_received
            self._heard_s = self._served_s
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

    def end_slices(self, limit_s: float) -> None:
        """Call `on_slice` no more, and wait for an answer for at most *limit_s* seconds."""
        self._on_slice = no_slice
        self.call_timeout_s = limit_s

    def abandon(self) -> None:
        """Give the connection up as it is: an interrupt may have left pika in the middle of a step.

        All that is unacked goes back to its queue as soon as the broker notices.
        """
        if self._connection is not None:
            self._loss = self._loss or f"{self.where}: interrupted"
            self._connection = None

    def close(self) -> None:
        """Close the connection, waiting a few seconds at most for the broker; never raises."""
        connection = self._connection
        if connection is None:
            return
        # What goes wrong here concerns a connection that is given up anyway.
        with contextlib.suppress(pika.exceptions.AMQPError, AssertionError, OSError, BrokerFault):
            if not (connection.is_closed or connection.is_closing):
                connection.close()
            # Nobody's slices: who closes has often given up, and must not be told so once more.
            self.run_until(lambda: connection.is_closed, CLOSE_TIMEOUT_S, "closing", no_slice)
        with contextlib.suppress(AssertionError):
            connection.ioloop.close()
        self._connection = None
        self._opened = False
        self._on_slice = no_slice

    def _open(self, target: Target) -> None:
        self.where, self.user = target.name, target.user
        self._loss, self._opened, self.blocked = None, False, False
        self._served_s = self._heard_s = time.clock_gettime(_CLOCK)
        self._gap_s, self._bytes_received = 0.0, 0
        self._is_refused = False
        self.call_timeout_s = CALL_TIMEOUT_S
        connection = pika.SelectConnection(
            target.parameters,
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_lost,
            on_close_callback=self._on_lost,
        )
        self._connection = connection
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)
        # pika's own time-out does not cover the look-up of the host's name.
        limit_s = self._endpoint.stack_timeout_s + SLICE_S
        self.run_until(lambda: self._opened, limit_s, "connecting")

    def _on_open(self, _connection: Any) -> None:
        self._opened = True
        self.wake()

    def _on_lost(self, connection: Any, error: Any) -> None:
        if connection is self._connection:
            refused = refusal(error, self.where, self.user)
            self._is_refused = refused is not None
            self._loss = refused or f"{self.where}: {cause_of(error)}"
            self.wake()

    def _on_blocked(self, _connection: Any, _frame: Any) -> None:
        self.blocked = True
        self.wake()

    def _on_unblocked(self, _connection: Any, _frame: Any) -> None:
        self.blocked = False
        self.wake()


def cause_of(error: Any) -> str:
    """Return the innermost cause that pika gives, in words."""
    while (inner := _inner(error)) is not None:
        error = inner
    if isinstance(error, pika.exceptions.ConnectionClosed):
        return f"{error.reply_code} {error.reply_text}"
    return f"{type(error).__name__}: {error}"


def _inner(error: Any) -> BaseException | None:
    several = getattr(error, "exceptions", None) or [None]
    for inner in (several[-1], getattr(error, "exception", None), *getattr(error, "args", ())[:1]):
        if isinstance(inner, BaseException):
            return inner
    return None
