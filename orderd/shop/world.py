"""The rows that a batch works on."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeVar, cast

from orderd.protocol.names import Queue
from orderd.protocol.replies import Response
from orderd.protocol.rows import Order, Product, Row, User
from orderd.shop.outcomes import Applied
from orderd.shop.turns import Turns

R = TypeVar("R", User, Product, Order)


class Table(StrEnum):
    """The tables whose rows take their ids from a sequence."""

    USERS = "users"
    PRODUCTS = "products"
    ORDERS = "orders"
    ORDER_ITEMS = "order_items"
    OUTBOX = "outbox"


@dataclass(slots=True)
class FreshIds:
    """Ids of rows to come, taken from the sequences ahead of time; what is not used stays free."""

    free: Mapping[Table, Sequence[int]]
    used: dict[Table, int] = field(default_factory=lambda: dict.fromkeys(Table, 0))

    def peek(self, table: Table, count: int = 1) -> Sequence[int]:
        """Return the next *count* free ids, ascending, without using them."""
        first = self.used[table]
        ids = self.free[table][first : first + count]
        if len(ids) < count:
            raise LookupError(f"{table}: {count} ids wanted, {len(ids)} left")
        return ids

    def use(self, table: Table, count: int = 1) -> Sequence[int]:
        """Return the next *count* free ids and use them."""
        ids = self.peek(table, count)
        self.used[table] += count
        return ids


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What is known of a request that was settled before."""

    fingerprint: str
    response: Response


@dataclass(slots=True)
class World:
    """The rows a batch names, as they are after each of its commands in turn.

    `arriving` are the queues that may still bring users or products, None where nobody has asked;
    `has_asked_for_arrivals` tells that a decision depends on them.
    `is_flawed` tells whether a row has a value that cannot be told, None where nobody has looked.
    """

    now: datetime
    fresh_ids: FreshIds
    users: dict[int, User] = field(default_factory=dict)
    products: dict[int, Product] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    ledger: dict[str, LedgerEntry] = field(default_factory=dict)
    turns: Turns = field(default_factory=Turns)
    arriving: frozenset[Queue] | None = None
    has_asked_for_arrivals: bool = False
    is_flawed: bool | None = None
    usernames: dict[str, int] = field(default_factory=dict)
    emails: dict[str, int] = field(default_factory=dict)
    stored: dict[tuple[type, int], Row] = field(default_factory=dict)

    def load(self, rows: Iterable[Row], *, without: AbstractSet[int] = frozenset()) -> None:
        """Add rows as the database holds them; a row that is here already stays as it is.

        *without* are ids of rows that were not there to be locked: they stay unknown, for nobody
        keeps others from changing them.
        """
        for row in rows:
            if row.id not in without and (type(row), row.id) not in self.stored:
                self.stored[type(row), row.id] = row
                self._put(row)

    def apply(self, applied: Applied) -> None:
        """Take over what a command changed."""
        for row in applied.changes:
            self._use_ids(row)
            self._put(row)

    def new_rows(self, rows: Mapping[int, R]) -> list[R]:
        """Return those of *rows* that the database does not hold yet."""
        return [row for row in rows.values() if (type(row), row.id) not in self.stored]

    def changed_rows(self, rows: Mapping[int, R]) -> list[tuple[R, R]]:
        """Return what the database holds in another form, each as it was and as it is."""
        stored = [(self.stored.get((type(row), row.id), row), row) for row in rows.values()]
        return [(cast("R", was), row) for was, row in stored if was is not row]

    def _put(self, row: Row) -> None:
        match row:
            case User():
                before = self.users.get(row.id)
                if before is not None and before.email != row.email:
                    del self.emails[before.email]
                self.users[row.id] = row
                self.usernames[row.username] = row.id
                self.emails[row.email] = row.id
            case Product():
                self.products[row.id] = row
            case Order():
                self.orders[row.id] = row

    def _use_ids(self, row: Row) -> None:
        match row:
            case User():
                if row.id not in self.users:
                    self.fresh_ids.use(Table.USERS)
            case Product():
                if row.id not in self.products:
                    self.fresh_ids.use(Table.PRODUCTS)
            case Order():
                before = self.orders.get(row.id)
                if before is None:
                    self.fresh_ids.use(Table.ORDERS)
                known = () if before is None else {item.id for item in before.items}
                new_items = sum(item.id not in known for item in row.items)
                self.fresh_ids.use(Table.ORDER_ITEMS, new_items)
