"""What a batch hands on to be settled."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from orderd.amqp.message import Delivery
from orderd.pipeline.outbox.rows import OutboxRow
from orderd.pipeline.requests import PORTION_BYTES_MAX
from orderd.protocol.names import HEADER_ATTEMPT, HEADER_FAILED_AT
from orderd.protocol.replies import Response
from orderd.protocol.values import value
from orderd.shop.outcomes import Outcome


class Task(Protocol):
    """What a message asks for: a command, or a notification to send."""

    @property
    def action(self) -> str:
        """What is to be done, as log and metrics name it."""

    @property
    def request_id(self) -> str | None:
        """What its sender calls it."""

    @property
    def actor(self) -> str | None:
        """Who has sent it, as far as that is known."""

    @property
    def is_query(self) -> bool:
        """Whether it changes nothing, and is worth nothing without its answer."""

    @property
    def is_recorded(self) -> bool:
        """Whether a record keeps it from taking effect twice."""


@value
class Result:
    """A delivery with its outcome, durable where it needs to be.

    `command` is None where the message was none; `response` is None where it is tried again.
    """

    delivery: Delivery
    command: Task | None
    outcome: Outcome
    response: Response | None
    events: tuple[OutboxRow, ...] = ()

    @property
    def request_id(self) -> str | None:
        """Return the request's id, where it has one that could be read."""
        if self.command is not None:
            return self.command.request_id
        return getattr(self.outcome, "request_id", None)

    @property
    def actor(self) -> str | None:
        """Return who has sent the message, as far as that is known."""
        return getattr(self.outcome if self.command is None else self.command, "actor", None)

    @property
    def correlation_id(self) -> str | None:
        """Return what the caller knows the request by: the property, else the request's id."""
        return correlation_of(self.delivery, self.request_id)

    @property
    def attempt(self) -> int:
        """Return how many times the message was tried before this time."""
        return attempt_of(self.delivery)


def correlation_of(delivery: Delivery, request_id: str | None) -> str | None:
    """Return what the caller knows the request by, as JSON can say it.

    A property may hold bytes that are not UTF-8; they are spelled out.
    """
    property_ = delivery.properties.correlation_id
    if not property_:
        return request_id
    return property_.encode(errors="backslashreplace").decode()


def attempt_of(delivery: Delivery) -> int:
    """Return the attempt that the message's header counts; 0 for anything but a count.

    A client can set the header to anything; the worst it gains is fewer attempts. A dead letter
    that was moved back to its queue starts again from 0.
    """
    headers = delivery.properties.headers
    if not headers or HEADER_FAILED_AT in headers:
        return 0
    attempt = headers.get(HEADER_ATTEMPT)
    return attempt if type(attempt) is int and attempt > 0 else 0


def in_portions(results: Sequence[Result]) -> Iterator[Sequence[Result]]:
    """Yield *results* in portions, so that the copies of big bodies do not add up in memory."""
    start, portion_bytes = 0, 0
    for end, result in enumerate(results, 1):
        portion_bytes += 0 if result.command else len(result.delivery.body)
        if portion_bytes > PORTION_BYTES_MAX:
            yield results[start:end]
            start, portion_bytes = end, 0
    if start < len(results):
        yield results[start:]
