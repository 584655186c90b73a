"""Commands with their deliveries, and how many of them share a transaction."""

from collections.abc import Iterator, Sequence
from typing import Final

from orderd.amqp.message import Delivery
from orderd.protocol.commands import List
from orderd.protocol.envelope import Command
from orderd.protocol.values import value
from orderd.shop.registry import SHOP

# What a portion leads to (rows, replies, events, ledger) is held in memory until it is committed.
PORTION_BYTES_MAX: Final = 4_000_000
# A full order, or another row with lines, as JSON; reply, event and ledger together hold up to four
# copies of it.
_ROW_WITH_LINES_BYTES: Final = 16_000
# The answer to a command is longer than its body: names of fields, prices, times, several copies.
_GROWTH: Final = 8


@value
class Request:
    """A command, and the delivery that brought it; `taken` is a field that another user has."""

    delivery: Delivery
    command: Command
    taken: str | None = None


def portions(requests: Sequence[Request]) -> Iterator[list[Request]]:
    """Yield *requests*, in their order, in portions that may each be one transaction.

    A list is alone: it reads the tables themselves, so what stands before it must be committed by
    then, and its answer may be large. An ordinary batch without lists is one portion.
    """
    portion: list[Request] = []
    portion_bytes = 0
    for request in requests:
        is_alone = isinstance(request.command.content, List)
        request_bytes = _bytes_of(request)
        if portion and (is_alone or portion_bytes + request_bytes > PORTION_BYTES_MAX):
            yield portion
            portion, portion_bytes = [], 0
        if is_alone:
            yield [request]
        else:
            portion.append(request)
            portion_bytes += request_bytes
    if portion:
        yield portion


def _bytes_of(request: Request) -> int:
    """Return about how much memory the request takes until it is settled."""
    command = request.command
    has_lines = SHOP.by_queue[command.queue].table.lines is not None
    row_bytes = _ROW_WITH_LINES_BYTES if has_lines and command.content.row_id is not None else 0
    return len(request.delivery.body) * _GROWTH + row_bytes
