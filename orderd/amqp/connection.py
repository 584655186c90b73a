"""A connection for taking, asking and browsing: pika's BlockingConnection, used at its edge only.

pika raises some dozen kinds of exceptions, says nothing of a channel that the broker has closed,
and waits without limit. All of that ends here: users of a Connection or a Channel know
BrokerFault, and ChannelFault where the broker closed the channel and gave its reason.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Final

import pika
import pika.exceptions

from orderd.amqp.bounded import TimedOut, bounded
from orderd.amqp.endpoint import BrokerEndpoint, Target
from orderd.amqp.faults import BrokerFault, BrokerRefused, ChannelFault, NoAnswer
from orderd.amqp.refusals import LOSSES, OF_A_CHANNEL, OF_A_MESSAGE, fault_of, refusal
from orderd.amqp.resource_shortage import shortage_as_fault
from orderd.amqp.tls_refusals import tls_refusal
from orderd.amqp.wire import properties

PIKA_VERSION: Final[str] = pika.__version__
CALL_TIMEOUT_S: Final = 5.0
CLOSE_TIMEOUT_S: Final = 3.0
_LAST_WORDS_TIMEOUT_S: Final = 0.5
# Unlike the monotonic one it goes on while the machine is suspended.
_CLOCK: Final = time.CLOCK_BOOTTIME


def nothing() -> None:
    """Do nothing while a call waits."""


class Connection:
    """A connection that does nothing by itself, heartbeats included: `turn` lets it.

    Every other method waits a few seconds at most, and calls `keep_alive` once a second then.
    """

    def __init__(self, endpoint: BrokerEndpoint) -> None:
        self._endpoint = endpoint
        self._raw: Any = None
        self._loss: BrokerFault | None = None
        self._heard_s = 0.0
        self._keep_alive: Callable[[], None] = nothing
        self.call_timeout_s = CALL_TIMEOUT_S
        self.where = "not connected"
        self.user: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether the connection was up when it was last used."""
        return self._raw is not None and self._loss is None

    @property
    def loss_code(self) -> int | None:
        """The code with which the broker closed the connection, None where it did not."""
        return None if self._loss is None else self._loss.code

    @property
    def version(self) -> tuple[int, ...]:
        """The broker's version as numbers, such as (3, 10, 8); empty where it does not tell."""
        told = (self._agreed().server_properties or {}).get("version", b"")
        text = told.decode() if isinstance(told, bytes) else str(told)
        numbers = re.match(r"\d+(\.\d+)*", text)
        return tuple(map(int, numbers[0].split("."))) if numbers else ()

    @property
    def frame_max(self) -> int:
        """The size of a frame that was negotiated, in bytes."""
        return int(self._agreed().params.frame_max)

    @property
    def channels_max(self) -> int:
        """How many channels the connection may have at a time, as was negotiated; 0: any number."""
        return int(self._agreed().params.channel_max)

    @property
    def is_silent(self) -> bool:
        """Whether nothing was heard of the broker for half of the heartbeat's time."""
        heartbeat_s = self._endpoint.heartbeat_s
        return heartbeat_s > 0 and time.clock_gettime(_CLOCK) - self._heard_s > heartbeat_s / 2

    def note_heard(self) -> None:
        """Note that the broker has just shown that it knows this connection."""
        self._heard_s = time.clock_gettime(_CLOCK)

    def open(self, keep_alive: Callable[[], None] = nothing) -> None:
        """Try every URL once, or raise BrokerFault with the cause of each."""
        self.close()
        properties.register()
        self._keep_alive = keep_alive
        self.call_timeout_s = CALL_TIMEOUT_S
        faults: list[BrokerFault] = []
        for target in self._endpoint.targets():
            try:
                self._open(target)
            except BrokerFault as fault:
                faults.append(fault)
                self.abandon()
                keep_alive()
            else:
                self._endpoint.note_reached(target)
                return
        # A refusal among the faults is raised as such, because an operator can act on it.
        is_refused = any(isinstance(fault, BrokerRefused) for fault in faults)
        raise (BrokerRefused if is_refused else BrokerFault)("; ".join(map(str, faults)))

    def another(self) -> "Connection":
        """Return one like this, to the same broker, not yet open."""
        one = Connection(self._endpoint)
        one._keep_alive = self._keep_alive
        return one

    def open_channel(self) -> "Channel":
        """Return a new channel, open."""
        self.raise_if_lost()
        with self._edge("opening a channel"), self._bounded():
            raw = self._raw.channel()
        return Channel(self, raw)

    def turn(self, wait_s: float) -> None:
        """Send and read what is there; wait for the first to come, at most *wait_s* seconds.

        Deliveries are handed to their consumers' callbacks. Raises BrokerFault once it is lost.
        """
        self.raise_if_lost()
        with self._edge("reading"):
            self._raw.process_data_events(wait_s)

    def raise_if_lost(self) -> None:
        """Raise BrokerFault with the cause once the connection is lost, or before it is made."""
        if self._loss is not None:
            raise self._loss
        if self._raw is None:
            raise BrokerFault(f"{self.where}: not connected")

    def end_slices(self, limit_s: float) -> None:
        """Run no more keep-alive work, and wait at most *limit_s* seconds for an answer."""
        self._keep_alive = nothing
        self.call_timeout_s = limit_s

    def abandon(self) -> None:
        """Give the connection up as it is, without a word to the broker.

        For one that was interrupted in the middle of a step. All that is unacked goes back to its
        queue as soon as the broker notices.
        """
        if self._raw is not None:
            self._loss = self._loss or BrokerFault(f"{self.where}: interrupted")
        self._raw = None

    def close(self) -> None:
        """Close the connection, waiting a few seconds at most for the broker; never raises."""
        raw, self._raw = self._raw, None
        if raw is not None and self._loss is None:
            with suppress(TimedOut, *LOSSES), bounded(CLOSE_TIMEOUT_S, nothing):
                raw.close()
        self._loss = None
        self._keep_alive = nothing

    def call(
        self,
        function: Callable[..., Any],
        purpose: str,
        limit_s: float | None = None,
        **arguments: Any,
    ) -> Any:
        """Return what pika's *function* returns; for Channel alone.

        Raises NoAnswer naming *purpose*, and BrokerFault.
        """
        with self._edge(purpose), self._bounded(limit_s):
            return function(**arguments)

    def call_at_last(self, function: Callable[..., Any], **arguments: Any) -> None:
        """Call pika's *function* where the broker did not answer; for Channel alone.

        One that only stood still will read what is sent. Waits for nothing, and never raises.
        """
        if self._raw is not None and isinstance(self._loss, NoAnswer):
            with suppress(TimedOut, *LOSSES), bounded(_LAST_WORDS_TIMEOUT_S, nothing):
                function(**arguments)

    def _open(self, target: Target) -> None:
        self.where, self.user, self._loss = target.name, target.user, None
        try:
            with self._edge("connecting"), shortage_as_fault(self.where), self._bounded():
                self._raw = pika.BlockingConnection(target.parameters)
        except BrokerFault as fault:
            cause = fault.__cause__
            refused = refusal(cause, self.where, self.user) or tls_refusal(cause, target)
            target.end()
            raise fault if refused is None else BrokerRefused(refused) from fault
        self.note_heard()

    def _bounded(self, limit_s: float | None = None) -> AbstractContextManager[None]:
        return bounded(limit_s or self.call_timeout_s, self._keep_alive)

    @contextmanager
    def _edge(self, purpose: str) -> Iterator[None]:
        """Turn all that pika may raise of a connection into BrokerFault."""
        try:
            yield
        except OF_A_MESSAGE:
            raise
        except OF_A_CHANNEL:
            # A channel that goes with its connection says so in the same way.
            if self._raw is None or self._raw.is_open:
                raise
            self._lose(BrokerFault(f"{self.where}: {purpose}: the connection is closed"))
        except pika.exceptions.NoFreeChannels:
            # It was not asked for: the connection is well.
            raise BrokerFault(
                f"{self.where}: {purpose}: all {self.channels_max} channels are in use"
            ) from None
        except (TimedOut, *LOSSES) as error:
            self._lose(fault_of(error, self.where, purpose), error)
        except BaseException:
            # It came from a signal, in the middle of anything.
            self.abandon()
            raise

    def _lose(self, fault: BrokerFault, cause: BaseException | None = None) -> None:
        self._loss = self._loss or fault
        raise self._loss from cause

    def _agreed(self) -> Any:
        """Return where pika keeps what was agreed on with the broker: it has no public place."""
        self.raise_if_lost()
        return self._raw._impl  # noqa: SLF001 - see above


class Channel:
    """A channel of *connection*; `raw` is pika's own."""

    def __init__(self, connection: Connection, raw: Any) -> None:
        self.connection = connection
        self.raw = raw

    @property
    def is_open(self) -> bool:
        """Whether the channel was open when its connection was last used."""
        return self.connection.is_open and bool(self.raw.is_open)

    def call(self, method: str, *, limit_s: float | None = None, **arguments: Any) -> Any:
        """Call pika's *method*, and return what the broker answers within *limit_s* seconds.

        Raises ChannelFault when it closes the channel instead, BrokerFault for all else.
        """
        answer = self._call(method, limit_s, arguments)
        self.connection.note_heard()
        return answer

    def send(self, method: str, **arguments: Any) -> None:
        """Call pika's *method*, which the broker does not answer, as `call` does.

        That it returns says nothing: what was sent has arrived once the broker answers to more.
        """
        self._call(method, None, arguments)

    def send_at_last(self, method: str, **arguments: Any) -> None:
        """Call pika's *method* on a connection that was given up for want of an answer.

        A broker that only stood still will read what is sent. Never raises.
        """
        self.connection.call_at_last(getattr(self.raw, method), **arguments)

    def raise_if_closed(self) -> None:
        """Raise BrokerFault when the connection is lost, ChannelFault when only the channel is."""
        self.connection.raise_if_lost()
        if not self.raw.is_open:
            raise self._fault()

    def close(self) -> None:
        """Close the channel, if it is still open; raises BrokerFault."""
        if self.is_open:
            with suppress(ChannelFault):
                self.call("close")

    def _call(self, method: str, limit_s: float | None, arguments: dict[str, Any]) -> Any:
        self.raise_if_closed()
        try:
            return self.connection.call(getattr(self.raw, method), method, limit_s, **arguments)
        except OF_A_CHANNEL:
            raise self._fault() from None

    def _fault(self) -> BrokerFault:
        # pika tells the reason at once or never; where it has read it before, only here.
        reason = self.raw._closing_reason  # noqa: SLF001 - see above
        if isinstance(reason, pika.exceptions.ChannelClosedByBroker):
            return ChannelFault(self.connection.where, reason.reply_code, reason.reply_text)
        return BrokerFault(f"{self.connection.where}: channel closed: {reason}")
