"""What a request or an event has left in database and broker."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from orderd.amqp.browse import Browser
from orderd.amqp.confirmed import ConfirmedPublisher
from orderd.amqp.faults import ACCESS_REFUSED, ChannelFault
from orderd.amqp.topology import queue_depth
from orderd.ctl.broker import browser_of
from orderd.ctl.dlq.dead_letters import DeadLetter
from orderd.ctl.dlq.renewals import Renewals
from orderd.ctl.notify.rows import read_notifications
from orderd.ctl.records import outbox_event, read_ledger
from orderd.db.transaction import Transaction
from orderd.pipeline.load import rows_by_id
from orderd.pipeline.quarantine import key_of
from orderd.protocol.names import QUEUES, NoticeQueue, Queue, dead_letter_queue, retry_queue
from orderd.protocol.rows import Row, rfc3339
from orderd.protocol.strict_json import loads, quote
from orderd.shop.registry import SHOP

if TYPE_CHECKING:
    from orderd.config.settings import Settings

# Of each queue so many are looked at, from its head on; the rest is said to be unseen.
LOOKED_AT_MAX: Final = 10_000
EVENTS_MAX: Final = 100


@dataclass(slots=True)
class Messages:
    """The messages of one request or event, and what could not be looked at, by queue."""

    retries: list[DeadLetter] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    ready: dict[str, int] = field(default_factory=dict)
    consumers: dict[str, int] = field(default_factory=dict)
    not_looked_at: dict[str, int] = field(default_factory=dict)


def in_broker(
    settings: "Settings",
    publisher: ConfirmedPublisher,
    request_id: str,
    tell: Callable[[str], None],
) -> Messages:
    """Return what waits in retry queues and dead letter queues, and how full the others are.

    A message that cannot be renewed is reported to *tell*.
    Queues that daemons consume are not searched: what is given back counts as redelivered there.
    Queues of notifications are left out where they do not exist.
    """
    retries = [retry_queue(queue, delay_s) for queue in QUEUES for delay_s in settings.retry_delays]
    dead_letters = [dead_letter_queue(queue) for queue in QUEUES]
    depths = {
        name: depth.ready
        for name in (*retries, *dead_letters)
        if (depth := queue_depth(publisher.connection, name)) is not None and depth.ready
    }
    search = _Search(publisher, Renewals(settings, publisher, list(depths), tell), request_id)
    own = {name: ready for name, ready in depths.items() if not _is_of_notices(name)}
    _look_where_allowed(search, own, tell)
    for name in filter(_is_of_notices, depths):
        _look_where_allowed(search, {name: depths[name]}, tell)
    messages = search.messages
    for queue in QUEUES:
        depth = queue_depth(publisher.connection, queue)
        if depth is not None or queue in tuple(Queue):
            messages.ready[queue] = 0 if depth is None else depth.ready
            messages.consumers[queue] = 0 if depth is None else depth.consumers
    return messages


def _look_where_allowed(
    search: "_Search", depths: Mapping[str, int], tell: Callable[[str], None]
) -> None:
    """Look into all queues at once, or one by one where the user may not read each of them."""
    try:
        search.look(depths)
    except ChannelFault as fault:
        if fault.code != ACCESS_REFUSED:
            raise
        if len(depths) > 1:
            search.forget()
            for name, ready in depths.items():
                _look_where_allowed(search, {name: ready}, tell)
            return
        search.messages.not_looked_at |= depths
        tell(f"{', '.join(depths)}: {fault.reason}")


def _is_of_notices(name: str) -> bool:
    """Return whether it is a queue of notifications."""
    return name.partition(".")[0] in tuple(NoticeQueue)


def in_database(tx: Transaction, request_id: str) -> dict[str, Any]:
    """Return its row of the ledger, the row that it made or changed, and its unsent events.

    Of an event, its notifications.
    """
    settled = read_ledger(tx, request_id)
    kind, row_id = _named(settled)
    events = tx.rows(
        "find_events",
        correlation=f'"correlationid":{quote(request_id)},',
        refusal=f'"request":{{"id":{quote(request_id)},',
        settled_at=None if settled is None else settled["created_at"],
        subject=f'"subject":{quote(f"{kind}/{row_id}")},',
        rows_max=EVENTS_MAX,
    )
    rows = _rows(tx, kind, row_id)
    return {
        "ledger": settled,
        "rows": [{"kind": kind, **loads(row.json().encode())} for row in rows],
        "events": [outbox_event(fields) for fields in events],
        "notifications": read_notifications(tx, [request_id]),
    }


def place_of(tx: Transaction, request_id: str) -> dict[str, Any] | None:
    """Return the place that it keeps in the line of its row, None where it has none."""
    found = tx.rows("find_place", id=request_id)
    if not found:
        return None
    ((queue, row_id, since, ends_at, waits_since, waits_for, ahead),) = found
    return {
        "queue": queue,
        "row_id": row_id,
        "since": rfc3339(since),
        "ends_at": rfc3339(ends_at),
        "ahead": ahead,
        "waits_since": None if waits_since is None else rfc3339(waits_since),
        "waits_for": waits_for,
    }


def tries_of(tx: Transaction, dead_letters: Sequence[DeadLetter]) -> list[dict[str, Any]]:
    """Return what is on record of crashes before the ack of one of *dead_letters*."""
    keys = {
        key_of(replace(dead_letter.delivery, queue=dead_letter.origin)): dead_letter.origin
        for dead_letter in dead_letters
    }
    if not keys:
        return []
    return [
        {"queue": keys[key], "tries": tries, "is_committed": is_committed}
        for key, tries, is_committed in tx.rows("read_tries", keys=list(keys))
    ]


class _Search:
    """Looks for the messages of one request or event; `messages` has what was found."""

    def __init__(self, publisher: ConfirmedPublisher, renewals: Renewals, request_id: str) -> None:
        self._publisher = publisher
        self._renewals = renewals
        self._request_id = request_id
        self.messages = Messages()

    def look(self, depths: Mapping[str, int]) -> None:
        """Look into the queues, which have so many messages ready, all of them held until done."""
        with browser_of(self._publisher) as browser:
            for name, ready in depths.items():
                limit = 0 if name in self._renewals.untouchable else LOOKED_AT_MAX
                if ready > limit:
                    self.messages.not_looked_at[name] = ready - limit
                self._look_into(browser, name, min(ready, limit))

    def forget(self) -> None:
        """Begin anew: what was found is given back, and will be found again."""
        self.messages = Messages()

    def _look_into(self, browser: Browser, name: str, count: int) -> None:
        is_dead = name.endswith(dead_letter_queue(""))
        found = self.messages.dead_letters if is_dead else self.messages.retries
        for _ in range(count):
            delivery = browser.take(name)
            if delivery is None:
                return
            # In a retry queue this restarts the delay.
            self._renewals.renew(browser, delivery)
            dead_letter = DeadLetter(delivery)
            wanted = self._request_id
            if dead_letter.request_id == wanted or dead_letter.was_given(wanted):
                found.append(dead_letter)


def _named(settled: dict[str, Any] | None) -> tuple[str, int]:
    """Return kind and id of the row that the answer tells of; no kind where there is none."""
    answer = settled["response"]["data"] if settled is not None else None
    if settled is None or not isinstance(answer, dict) or not isinstance(answer.get("id"), int):
        return "", 0
    return settled["queue"], answer["id"]


def _rows(tx: Transaction, kind: str, row_id: int) -> Sequence[Row]:
    entity = SHOP.by_queue.get(kind)
    return [] if entity is None else rows_by_id(tx, entity.table, [row_id])
