"""What the reference model predicts for a batch during which others commit."""

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from orderd.pipeline.results import Result
from orderd.shop.outcomes import Deferred
from tests.acceptance.state_machine.model import tell
from tests.acceptance.state_machine.reference_model import (
    Event,
    ReferenceModel,
    Request,
    Row,
    Told,
    timeless,
)
from tests.acceptance.state_machine.tables import Tables

TABLES: Final = ("users", "products", "orders")


class Serial:
    """The shop's model, and how they were since the batch began.

    A command's changes are decided on rows that are locked until COMMIT, so they must be what the
    model say there. Of the row of a user that an order refers to, of rows that a query reads and of
    what a refusal is about, every state is right that was there since the batch began.
    """

    def __init__(self, tables: Tables) -> None:
        self.model = _with(ReferenceModel(), tables)
        self._before: list[ReferenceModel] = []
        self._own: dict[str, dict[int, Row]] = {}
        self._revisions: dict[str, int] = {}
        self._note_rows()

    def begin(self) -> None:
        """Forget how the reference model were before."""
        self._before = []
        self._own = {table: {} for table in TABLES}

    def note_others(self, tables: Tables) -> None:
        """Take over what others have committed."""
        self._before.append(self.model)
        self.model = _with(self.model, tables)
        self._note_rows()

    def next_revision(self, table: str, row_id: int) -> int:
        """Return a revision that no row with this id has had."""
        return self._revisions.get(f"{table[:-1]}/{row_id}", 0) + 1

    def explain(self, request: Request, result: Result, *, is_rivals: bool = False) -> None:
        """Check that a result, right after its COMMIT, is what the reference model predicts.

        A rival's batch is committed during the other one, which sees the model before it.
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
        _, told, events = tell(self.model, request, reply)
        raise AssertionError(f"{request} was told {reply}, not {told}; {_told(result)}, {events}")

    def _possible(
        self, request: Request, reply: Row
    ) -> Iterator[tuple[ReferenceModel, Told, Sequence[Event]]]:
        """Yield what may be told, and the reference model after it."""
        yield tell(self.model, request, reply)
        states = [self.model, *self._before, *map(self._with_own, self._before)]
        for users, rest in itertools.product(states, states):
            read = replace(self.model, users=users.users)
            after, told, events = tell(read, request, reply)
            if request.queue == "order" and told.row is not None:
                yield replace(after, users=self.model.users), told, events
            read = replace(read, products=rest.products, orders=rest.orders)
            after, told, events = tell(read, request, reply)
            if request.is_query or told.row is None:
                yield replace(self.model, ledger=after.ledger), told, events

    def _with_own(self, earlier: ReferenceModel) -> ReferenceModel:
        """Return earlier model with the changes of this batch, which it sees all the time."""
        return _with(
            earlier, {table: {**getattr(earlier, table), **self._own[table]} for table in TABLES}
        )

    def _take_over(self, after: ReferenceModel, *, is_rivals: bool) -> None:
        if is_rivals:
            self._before.append(self.model)
        for table in () if is_rivals else TABLES:
            before = getattr(self.model, table)
            for row_id, row in getattr(after, table).items():
                if before.get(row_id) != row:
                    self._own[table][row_id] = row
        self.model = after
        self._note_rows()

    def _check_stock(self, request: Request, after: ReferenceModel) -> None:
        """Check that orders move pieces from shelves to customers and back, and lose none."""
        if request.queue == "order":
            assert pieces(after) == pieces(self.model), request

    def _note_events(self, events: Sequence[Event]) -> None:
        for kind, subject, row in events:
            if not kind.endswith(".refused"):
                self._note(subject, row["revision"])

    def _note_rows(self) -> None:
        for table in TABLES:
            for row_id, row in getattr(self.model, table).items():
                self._note(f"{table[:-1]}/{row_id}", row["revision"])

    def _note(self, subject: str, revision: int) -> None:
        last = self._revisions.get(subject, revision - 1)
        assert revision in {last, last + 1}, f"{subject} has revision {revision} after {last}"
        self._revisions[subject] = revision


def pieces(model: ReferenceModel) -> Counter[int]:
    """Return what is there of each product, on its shelf and in orders that hold."""
    found = Counter({one: row["stock_quantity"] for one, row in model.products.items()})
    for order in model.orders.values():
        if order["status"] != "cancelled":
            for item in order["items"]:
                found[item["product_id"]] += item["quantity"]
    return found


def _with(model: ReferenceModel, tables: Tables) -> ReferenceModel:
    return ReferenceModel(tables["users"], tables["products"], tables["orders"], model.ledger)


def _told(result: Result) -> list[Event]:
    """Return type, subject and content of each event, as the reference model have them."""
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
