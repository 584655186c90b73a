"""One AMQP channel, with calls that wait for the broker's answer."""

from typing import TYPE_CHECKING, Any, Final

import pika.exceptions

from orderd.amqp.faults import BrokerFault, ChannelFault

if TYPE_CHECKING:
    from orderd.amqp.link import Link

CALL_TIMEOUT_S: Final = 10.0


class Channel:
    """A channel of *link*; `raw` is pika's own, for what needs no answer."""

    def __init__(self, link: "Link", connection: Any) -> None:
        self._link = link
        self._closed: Exception | None = None
        self.raw = connection.channel(on_open_callback=lambda _: link.wake())
        self.raw.add_on_close_callback(self._on_closed)

    @property
    def is_open(self) -> bool:
        """Whether the channel was open when its connection was last serviced."""
        return self.raw.is_open

    def call(self, method: str, **arguments: Any) -> Any:
        """Call pika's *method*, and return what the broker answers.

        Raises ChannelFault when it closes the channel instead, BrokerFault for all else.
        """
        answers: list[Any] = []

        def on_answer(frame: Any) -> None:
            answers.append(frame.method)
            self._link.wake()

        try:
            getattr(self.raw, method)(callback=on_answer, **arguments)
        except pika.exceptions.AMQPError as error:
            self.raise_if_closed()
            raise BrokerFault(f"{self._link.where}: {method}: {error}") from error
        # Or pika would reject what comes before the broker confirms that a consumer is cancelled:
        # it may count against the message, and RabbitMQ 3.10 puts it behind all others.
        getattr(self.raw, "_cancelled", set()).clear()
        limit_s = self._link.call_timeout_s
        self._link.run_until(lambda: bool(answers or self._closed), limit_s, method)
        self.raise_if_closed()
        return answers[0]

    def close(self) -> None:
        """Close the channel, if it is still open."""
        if self.raw.is_open:
            self.raw.close()
            self._link.run_until(lambda: self.raw.is_closed, CALL_TIMEOUT_S, "closing a channel")

    def raise_if_closed(self) -> None:
        """Raise BrokerFault when the connection is lost, ChannelFault when only the channel is."""
        self._link.raise_if_lost()
        if isinstance(self._closed, pika.exceptions.ChannelClosedByBroker):
            raise ChannelFault(self._link.where, self._closed.reply_code, self._closed.reply_text)
        if self._closed is not None:
            raise BrokerFault(f"{self._link.where}: channel closed: {self._closed}")

    def _on_closed(self, _channel: Any, reason: Exception) -> None:
        self._closed = reason
        self._link.wake()
