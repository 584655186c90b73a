"""Going through the dead letters: each once, with an end, and none nearer to a delivery limit."""

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING

from orderd.amqp.browse import Browser
from orderd.amqp.confirmed import ConfirmedPublisher
from orderd.amqp.faults import ACCESS_REFUSED, ChannelFault, HeadUndeliverable
from orderd.amqp.inspection import is_stream
from orderd.amqp.message import Delivery
from orderd.amqp.topology import queue_depth
from orderd.ctl.broker import browser_of
from orderd.ctl.console import Advance, Console
from orderd.ctl.dlq.dead_letters import DeadLetter, dead_letter_queues
from orderd.ctl.dlq.filters import Filters
from orderd.ctl.dlq.renewals import Renewals
from orderd.ctl.errors import Failure, Misconfigured
from orderd.protocol.exit_codes import ExitCode
from orderd.protocol.names import HEADER_FAILED_AT

if TYPE_CHECKING:
    from orderd.config.settings import Settings

Handle = Callable[[Browser, Iterator[DeadLetter]], None]


class DeadLetters:
    """The dead letters that are in some queues now.

    What comes while they are gone through is left out, so that it has an end even where a
    replayed message fails again. In `failing` are the queues that could not be gone through to the
    end, and why.
    """

    def __init__(
        self,
        settings: "Settings",
        publisher: ConfirmedPublisher,
        queue: str | Sequence[str] | None,
        console: Console,
        *,
        is_moving: bool = False,
    ) -> None:
        """Find the dead letters of *queue*, one or more, None for all.

        With *is_moving* they may be acked.

        Raises Failure where a look would lose them, Misconfigured for a stream.
        """
        self._publisher = publisher
        self._is_moving = is_moving
        self._depths = {
            name: depth.ready
            for name in dead_letter_queues(queue)
            if (depth := queue_depth(publisher.connection, name)) is not None
        }
        if not self._depths:
            # The virtual host may be the wrong one.
            console.note("no dead letter queues: orderd creates them when it first connects")
        for name in self._depths:
            if is_stream(publisher.connection, name):
                raise Misconfigured(
                    f"queue {name} is a stream: its dead letters can be neither read nor removed; "
                    "delete it, then run: orderctl topology apply; name another queue to see its "
                    "dead letters"
                )
        filled = [name for name, ready in self._depths.items() if ready]
        self._renewals = Renewals(settings, publisher, filled, console.note)
        if self._renewals.untouchable:
            raise Failure(
                f"queue {self._renewals.untouchable[0]}: delivery limit 0: the broker drops "
                "returned messages, so dead letters cannot be read; see: orderctl topology lint"
            )
        self.total = sum(self._depths.values())
        self.seen = 0
        self.failing: dict[str, str] = {}
        self._left: int | None = None

    def code(self, *, is_whole: bool, console: Console) -> ExitCode:
        """Name the queues that fail, and return how the command ends that is done but for them."""
        for why in self.failing.values():
            console.complain(f"broker: {why}")
        if not is_whole or not self.are_safe:
            return ExitCode.FAILED
        return ExitCode.NOT_CHECKED if self.failing else ExitCode.DONE

    @property
    def are_safe(self) -> bool:
        """Whether every dead letter that had to be renewed was."""
        return not self._renewals.failed

    def go_through(
        self, filters: Filters, limit: int | None, advance: Advance, handle: Handle
    ) -> None:
        """Have *handle* take at most *limit* matching dead letters, queue by queue, oldest first.

        None of them is kept here: those that it does not ack stay unacked with its browser until
        their queue is done. One that is renewed moves to the end of its queue. It is handed over as
        it was, and may not be acked any more; with *is_moving* its copy is instead, after the rest.

        Over a head that it cannot deliver the broker closes the connection. Of several queues that
        one is left then, as is one that the user may not read; raises HeadUndeliverable or
        ChannelFault where it is the only one.
        """
        self._left = limit
        for name in self._unfinished():
            with self._leaving(name), browser_of(self._publisher) as browser:
                handle(browser, self._matching(browser, name, filters, advance))

    def each(
        self, filters: Filters, limit: int | None, advance: Advance
    ) -> Generator[DeadLetter, None, None]:
        """Yield what `go_through` would hand over, for who only reads; to be closed after use."""
        self._left = limit
        for name in self._unfinished():
            with self._leaving(name), browser_of(self._publisher) as browser:
                yield from self._matching(browser, name, filters, advance)

    def later(self, browser: Browser, name: str) -> Iterator[DeadLetter]:
        """Yield what has come into the queue *name* since; *browser* holds it until it is done."""
        depth = queue_depth(self._publisher.connection, name)
        for _ in range(0 if depth is None else depth.ready):
            delivery = browser.take(name)
            if delivery is None:
                return
            yield DeadLetter(delivery)

    def _unfinished(self) -> Iterator[str]:
        for name in self._depths:
            if self._left == 0:
                return
            yield name

    @contextmanager
    def _leaving(self, name: str) -> Iterator[None]:
        """Leave the queue *name* where the broker cannot deliver its head, or refuses to."""
        try:
            yield
        except HeadUndeliverable as fault:
            if len(self._depths) == 1:
                raise
            self.failing[name] = str(fault)
            self._publisher.connection.open()
        except ChannelFault as fault:
            if len(self._depths) == 1 or fault.code != ACCESS_REFUSED:
                raise
            self.failing[name] = str(fault)

    def _matching(
        self, browser: Browser, name: str, filters: Filters, advance: Advance
    ) -> Iterator[DeadLetter]:
        for dead_letter in filter(filters.match, self._counted(self._walk(browser, name), advance)):
            if self._left is not None:
                self._left -= 1
            yield dead_letter
            if self._left == 0:
                return

    def _counted(self, deliveries: Iterator[Delivery], advance: Advance) -> Iterator[DeadLetter]:
        for delivery in deliveries:
            self.seen += 1
            advance()
            yield DeadLetter(delivery)

    def _walk(self, browser: Browser, name: str) -> Iterator[Delivery]:
        copies: Counter[bytes] = Counter()
        for _ in range(self._depths[name]):
            delivery = browser.take(name)
            if delivery is None:
                break
            if self._renewals.renew(browser, delivery) and self._is_moving:
                copies[_fingerprint(delivery)] += 1
            else:
                yield delivery
        if copies:
            yield from self._copies(browser, name, copies)

    def _copies(self, browser: Browser, name: str, wanted: Counter[bytes]) -> Iterator[Delivery]:
        """Yield the renewed dead letters, and leave out what came in between."""
        depth = queue_depth(self._publisher.connection, name)
        for _ in range(0 if depth is None else depth.ready):
            delivery = browser.take(name)
            if delivery is None:
                return
            key = _fingerprint(delivery)
            if wanted[key]:
                wanted[key] -= 1
                yield delivery


def _fingerprint(delivery: Delivery) -> bytes:
    """Return what a dead letter and its copy have in common, and no other dead letter has."""
    properties = delivery.properties
    said = (properties.message_id, (properties.headers or {}).get(HEADER_FAILED_AT))
    return blake2b(delivery.body + repr(said).encode(errors="surrogateescape")).digest()
