"""One thing after the other: what the books foretell of a batch in whose midst others commit."""

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from orderd.pipeline.results import Result
from orderd.shop.outcomes import Deferred
from tests.acceptance.state_machine.books import Books, Event, Request, Row, Told, timeless
from tests.acceptance.state_machine.model import tell
from tests.acceptance.state_machine.tables import Tables

TABLES: Final = ("users", "products", "orders")


class Serial:
    """The shop's books, and how they were since the batch began.

    A command's changes are decided on rows that are locked until COMMIT, so they must be what the
    books say there. Of the row of a user that an order refers to, of rows that a query reads and of
    what a refusal is about, every state is right that was there since the batch began.
    """

    def __init__(self, tables: Tables) -> None:
        self.books = _with(Books(), tables)
        self._before: list[Books] = []
        self._own: dict[str, dict[int, Row]] = {}
        self._revisions: dict[str, int] = {}
        self._note_rows()

    def begin(self) -> None:
        """Forget how the books were before."""
        self._before = []
        self._own = {table: {} for table in TABLES}

    def note_others(self, tables: Tables) -> None:
        """Take over what others have committed."""
        self._before.append(self.books)
        self.books = _with(self.books, tables)
        self._note_rows()

    def next_revision(self, table: str, row_id: int) -> int:
        """Return a revision that no row with this id has had."""
        return self._revisions.get(f"{table[:-1]}/{row_id}", 0) + 1

    def explain(self, request: Request, result: Result, *, is_rivals: bool = False) -> None:
        """Check that a result, right after its COMMIT, is what the books foretell.

        A rival's batch is committed in the midst of the other one, which sees the books before it.
        """
        assert not isinstance(result.outcome, Deferred), f"{request}: {result.outcome}"
        assert result.response is not None
        reply = json.loads(result.response.reply(None), parse_float=Decimal)
        for after, told, events in self._possible(request, reply):
            if told.is_like(reply) and list(events) == _told(result):
                self._check_stock(request, after)
                self._note_events(events)
                self._take_over(after, is_rivals=is_rivals)
                return
        _, told, events = tell(self.books, request, reply)
        raise AssertionError(f"{request} was told {reply}, not {told}; {_told(result)}, {events}")

    def _possible(
        self, request: Request, reply: Row
    ) -> Iterator[tuple[Books, Told, Sequence[Event]]]:
        """Yield what may be told, and the books after it."""
        yield tell(self.books, request, reply)
        states = [self.books, *self._before, *map(self._with_own, self._before)]
        for users, rest in itertools.product(states, states):
            read = replace(self.books, users=users.users)
            after, told, events = tell(read, request, reply)
            if request.queue == "order" and told.row is not None:
                yield replace(after, users=self.books.users), told, events
            read = replace(read, products=rest.products, orders=rest.orders)
            after, told, events = tell(read, request, reply)
            if request.is_query or told.row is None:
                yield replace(self.books, ledger=after.ledger), told, events

    def _with_own(self, earlier: Books) -> Books:
        """Return earlier books with the changes of this batch, which it sees all the time."""
        return _with(
            earlier, {table: {**getattr(earlier, table), **self._own[table]} for table in TABLES}
        )

    def _take_over(self, after: Books, *, is_rivals: bool) -> None:
        if is_rivals:
            self._before.append(self.books)
        for table in () if is_rivals else TABLES:
            before = getattr(self.books, table)
            for row_id, row in getattr(after, table).items():
                if before.get(row_id) != row:
                    self._own[table][row_id] = row
        self.books = after
        self._note_rows()

    def _check_stock(self, request: Request, after: Books) -> None:
        """Check that orders move pieces from shelves to customers and back, and lose none."""
        if request.queue == "order":
            assert pieces(after) == pieces(self.books), request

    def _note_events(self, events: Sequence[Event]) -> None:
        for kind, subject, row in events:
            if not kind.endswith(".refused"):
                self._note(subject, row["revision"])

    def _note_rows(self) -> None:
        for table in TABLES:
            for row_id, row in getattr(self.books, table).items():
                self._note(f"{table[:-1]}/{row_id}", row["revision"])

    def _note(self, subject: str, revision: int) -> None:
        last = self._revisions.get(subject, revision - 1)
        assert revision in {last, last + 1}, f"{subject} has revision {revision} after {last}"
        self._revisions[subject] = revision


def pieces(books: Books) -> Counter[int]:
    """Return what is there of each product, on its shelf and in orders that hold."""
    found = Counter({one: row["stock_quantity"] for one, row in books.products.items()})
    for order in books.orders.values():
        if order["status"] != "cancelled":
            for item in order["items"]:
                found[item["product_id"]] += item["quantity"]
    return found


def _with(books: Books, tables: Tables) -> Books:
    return Books(tables["users"], tables["products"], tables["orders"], books.ledger)


def _told(result: Result) -> list[Event]:
    """Return type, subject and content of each event, as the books have them."""
    told = []
    for event in result.events:
        document = json.loads(event.body, parse_float=Decimal)
        data = document["data"]
        if event.type.endswith(".refused"):
            content = {"action": data["action"], "code": data["code"], "id": data["request"]["id"]}
        else:
            assert document["sequence"] == str(data["revision"]), document
            content = timeless(data)
        told.append((event.type, document["subject"], content))
    return told
