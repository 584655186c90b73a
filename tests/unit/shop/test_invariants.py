"""Whatever is asked in whatever order: stock taken is stock in open orders, totals are sums."""

from collections import Counter
from decimal import Decimal
from typing import Any, get_args

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from orderd.protocol.envelope import Command
from orderd.protocol.fields import Priority
from orderd.protocol.names import Queue
from orderd.shop.decide import Decision, decide
from orderd.shop.order_rows import ORDERS
from orderd.shop.order_status import STATUSES
from orderd.shop.outcomes import Applied, Duplicate, Refused
from orderd.shop.products import PRODUCTS
from orderd.shop.registry import SHOP
from orderd.shop.tables import Table
from orderd.shop.world import World
from tests.support.commands import command
from tests.unit.shop.worlds import ATTEMPTS_MAX, FIRST_NEW_ID, world_of

Rows = dict[Table[Any], dict[int, Any]]

product_ids = st.sampled_from([1, 2, 3, FIRST_NEW_ID])
order_ids = st.integers(FIRST_NEW_ID, FIRST_NEW_ID + 3)
request_ids = st.none() | st.sampled_from(["a", "b", "c"])
baskets = st.lists(
    st.fixed_dictionaries({"product_id": product_ids, "quantity": st.integers(1, 6)}),
    min_size=1,
    max_size=4,
)


class Orders(RuleBasedStateMachine):
    """A world of rows in memory, and beside it a count of what was put on the shelves."""

    @initialize()
    def open(self) -> None:
        self.world: World = world_of(arriving=frozenset({Queue.PRODUCT}))
        self.put = Counter({n: row.stock_quantity for n, row in self.world.rows[PRODUCTS].items()})
        self.told: dict[str, Decision] = {}

    def ask(self, queue: str, action: str, arguments: dict[str, Any], request_id: str | None
            ) -> Decision:  # fmt: skip
        one = command(queue, action, arguments, request_id=request_id, version="v2")
        before = {table: dict(rows) for table, rows in self.world.rows.items()}
        needs = SHOP.needs_of([one])
        self.world.ask(needs)
        used = dict(self.world.fresh_ids.used)
        decision = decide(self.world, one, ATTEMPTS_MAX)
        self.check_told(one, decision)
        self.check_revisions(before, decision)
        if not isinstance(decision.outcome, Applied):
            assert before == self.world.rows
            assert used == self.world.fresh_ids.used
        for table, count in needs.new_rows.items():
            assert self.world.fresh_ids.used[table] - used[table] <= count
        return decision

    def check_revisions(self, before: Rows, decision: Decision) -> None:
        """Check that what is other than before has the next revision, and nothing else has."""
        told = len(decision.events) if isinstance(decision.outcome, Applied) else 0
        for table, now in self.world.rows.items():
            was = before[table]
            for row_id, row in now.items():
                if row_id not in was:
                    assert row.revision == 1
                elif row == was[row_id]:
                    assert row is was[row_id]
                else:
                    steps = told if table is ORDERS else 1
                    assert row.revision == was[row_id].revision + steps
        sequences = [event.sequence for event in decision.events if event.sequence is not None]
        assert sequences == sorted(set(sequences))

    def check_told(self, one: Command, decision: Decision) -> None:
        if isinstance(decision.outcome, Duplicate):
            assert one.request_id is not None
            assert decision.response == self.told[one.request_id].response
        elif decision.is_recorded:
            assert one.request_id is not None
            assert one.request_id not in self.told
            self.told[one.request_id] = decision

    def set_stock(self, product_id: int, decision: Decision, before: int) -> None:
        """Count what a change of the shelf itself, not of an order, put there or took away."""
        if isinstance(decision.outcome, Applied):
            self.put[product_id] += self.world.rows[PRODUCTS][product_id].stock_quantity - before

    @rule(request_id=request_ids, price=st.sampled_from(["0", "9.99"]), stock=st.integers(0, 9))
    def create_product(self, request_id: str | None, price: str, stock: int) -> None:
        arguments = {"name": "new", "price": price, "stock_quantity": stock}
        decision = self.ask("product", "create", arguments, request_id)
        if isinstance(decision.outcome, Applied):
            self.put[decision.outcome.row.id] += stock

    @rule(product_id=product_ids, request_id=request_ids, change=st.fixed_dictionaries(
        {"price": st.sampled_from(["0.01", "250"])},
        optional={"stock_quantity": st.integers(0, 9), "if_revision": st.integers(1, 3)},
    ))  # fmt: skip
    def update_product(
        self, product_id: int, request_id: str | None, change: dict[str, Any]
    ) -> None:
        before = getattr(self.world.rows[PRODUCTS].get(product_id), "stock_quantity", 0)
        decision = self.ask("product", "update", {"id": product_id, **change}, request_id)
        self.set_stock(product_id, decision, before)

    @rule(product_id=product_ids, request_id=request_ids, delta=st.integers(-9, 9))
    def adjust_stock(self, product_id: int, request_id: str | None, delta: int) -> None:
        before = getattr(self.world.rows[PRODUCTS].get(product_id), "stock_quantity", 0)
        arguments = {"id": product_id, "delta": delta}
        decision = self.ask("product", "adjust_stock", arguments, request_id)
        self.set_stock(product_id, decision, before)

    @rule(user_id=st.integers(1, 3), basket=baskets, request_id=request_ids)
    def create_order(
        self, user_id: int, basket: list[dict[str, int]], request_id: str | None
    ) -> None:
        self.ask("order", "create", {"user_id": user_id, "items": basket}, request_id)

    @rule(order_id=order_ids, status=st.sampled_from(STATUSES), request_id=request_ids)
    def update_status(self, order_id: int, status: str, request_id: str | None) -> None:
        self.ask("order", "update_status", {"order_id": order_id, "status": status}, request_id)

    @rule(order_id=order_ids, request_id=request_ids, basket=baskets, change=st.fixed_dictionaries(
        {}, optional={
            "status": st.sampled_from(STATUSES),
            "priority": st.sampled_from(get_args(Priority)),
            "if_revision": st.integers(1, 3),
        }
    ))  # fmt: skip
    def update_order(
        self,
        order_id: int,
        request_id: str | None,
        basket: list[dict[str, int]],
        change: dict[str, Any],
    ) -> None:
        arguments = {"order_id": order_id, "items": basket, **change}
        self.ask("order", "update", arguments, request_id)

    @rule(user_id=st.integers(1, 3), active=st.booleans())
    def update_user(self, user_id: int, *, active: bool) -> None:
        self.ask("user", "update", {"id": user_id, "is_active": active}, None)

    @invariant()
    def stock_is_never_negative(self) -> None:
        assert all(row.stock_quantity >= 0 for row in self.world.rows[PRODUCTS].values())

    @invariant()
    def stock_taken_is_stock_in_open_orders(self) -> None:
        held: Counter[int] = Counter()
        for order in self.world.rows[ORDERS].values():
            if order.status != "cancelled":
                held.update({item.product_id: item.quantity for item in order.items})
        left = {number: row.stock_quantity for number, row in self.world.rows[PRODUCTS].items()}
        assert {n: left[n] + held[n] for n in left} == {n: self.put[n] for n in left}

    @invariant()
    def totals_are_sums_of_lines(self) -> None:
        for order in self.world.rows[ORDERS].values():
            assert order.total_amount == sum(
                (item.quantity * item.unit_price for item in order.items), Decimal(0)
            )
            assert len({item.product_id for item in order.items}) == len(order.items)
            assert list(order.items) == sorted(order.items, key=lambda item: item.id)

    @invariant()
    def ids_are_used_once_and_without_gaps(self) -> None:
        used = self.world.fresh_ids.used
        assert sorted(self.world.rows[ORDERS]) == [FIRST_NEW_ID + n for n in range(used["orders"])]

    @invariant()
    def refusals_are_recorded_like_successes(self) -> None:
        outcomes = {type(decision.outcome) for decision in self.told.values()}
        assert outcomes <= {Applied, Refused}


TestOrders = Orders.TestCase
TestOrders.settings = settings(stateful_step_count=30)
