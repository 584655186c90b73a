"""Whatever others commit between two statements of a batch: nobody's work is lost or undone."""

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

from orderd.amqp.message import Delivery
from orderd.pipeline import commit as committer
from orderd.protocol.envelope import Command
from orderd.protocol.names import DeferralCode
from orderd.shop.outcomes import Deferred, Waiting
from tests.acceptance.state_machine.reference_model import Request, Row
from tests.acceptance.state_machine.tables import Tables, tables_of
from tests.integration.pipeline.conftest import FIGURES
from tests.integration.pipeline.requests import stocked_shop
from tests.integration.pipeline.second_session import (
    ACTS,
    MEDDLING,
    SecondSession,
    before_each_statement,
)
from tests.integration.pipeline.serial import Serial
from tests.integration.pipeline.shop import Connection, Shop
from tests.support.commands import request as delivery_of
from tools.servers import Servers

Asked = tuple[str, str, Mapping[str, Any]]
Act = tuple[str, int]
Ids = st.SearchStrategy[int]
SOME = settings(
    max_examples=max(1, settings().max_examples // 2),
    stateful_step_count=30,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
    report_multiple_bugs=False,
)

PUT = {"users": "put_user", "products": "put_product", "orders": "put_order"}
NAMED = {"id", "user_id", "order_id"}
# Rows that are there from the beginning, and those of an id that nobody has used before.
LATE = 0
FIRST_LATE = 5_000
ids = st.sampled_from([1, 2, 3, LATE, LATE])
quantities = st.integers(1, 3)
statuses = st.sampled_from(["processing", "shipped", "cancelled", "cancelled"])
usernames = st.sampled_from(["ann", "bob"])
emails = st.sampled_from(["ann@x.org", "bob@x.org", "yan@x.org"])


def asked(queue: str, action: str, **data: st.SearchStrategy[Any]) -> st.SearchStrategy[Asked]:
    return st.tuples(st.just(queue), st.just(action), st.fixed_dictionaries(data))


def items(product_ids: Ids) -> st.SearchStrategy[list[dict[str, int]]]:
    item = st.fixed_dictionaries({"product_id": product_ids, "quantity": quantities})
    return st.lists(item, min_size=1, max_size=2)


def changes_of_users(user_ids: Ids) -> st.SearchStrategy[Asked]:
    return st.one_of(
        asked("user", "update", id=user_ids, is_active=st.booleans()),
        asked("user", "update", id=user_ids, email=emails),
    )


def looks_at_users(user_ids: Ids) -> st.SearchStrategy[Asked]:
    return st.one_of(
        asked("user", "get", id=user_ids),
        asked("user", "create", username=usernames, email=emails),
        asked("order", "create", user_id=user_ids, items=items(ids)),
    )


def changes_of_products(product_ids: Ids) -> st.SearchStrategy[Asked]:
    return st.one_of(
        asked("order", "create", user_id=ids, items=items(product_ids)),
        asked("order", "update", order_id=ids, items=items(product_ids)),
        asked("product", "adjust_stock", id=product_ids, delta=st.integers(-4, 4)),
        asked("product", "update", id=product_ids, price=st.sampled_from(["1.00", "2.50"])),
        asked("product", "mark_out_of_stock", id=product_ids),
    )


def looks_at_products(product_ids: Ids) -> st.SearchStrategy[Asked]:
    return asked("product", "get", id=product_ids)


def changes_of_orders(order_ids: Ids) -> st.SearchStrategy[Asked]:
    return st.one_of(
        asked("order", "update_status", order_id=order_ids, status=statuses),
        asked("order", "update", order_id=order_ids, items=items(ids)),
        asked("order", "update", order_id=order_ids, items=items(ids), status=statuses),
        asked("order", "update", order_id=order_ids, priority=st.sampled_from(["low", "high"])),
    )


def looks_at_orders(order_ids: Ids) -> st.SearchStrategy[Asked]:
    return asked("order", "get", id=order_ids)


CHANGES = {"users": changes_of_users, "products": changes_of_products, "orders": changes_of_orders}
LOOKS = {"users": looks_at_users, "products": looks_at_products, "orders": looks_at_orders}
commands = st.one_of(*(about(ids) for about in [*CHANGES.values(), *LOOKS.values()]))
acts = st.tuples(st.sampled_from([name for names in ACTS.values() for name in names]), ids)


# Users are locked in two ways, and read in a third one.
MET = ["orders", "products", "users", "users"]
# Rows are locked by the first statements, and read by those after them.
places = st.sampled_from([1, 2, 2, 2, 3, 3, 4])


@dataclass(frozen=True, slots=True)
class Meeting:
    """A batch, and what others do: nothing before so many statements, then an act before each.

    A late one is about a row that appears in the midst of the batch.
    """

    is_late: bool
    batch: list[Asked]
    statements: int
    acts: list[Act]


@st.composite
def meetings(draw: st.DrawFn) -> Meeting:
    """Let commands and a second session meet at one row."""
    table, row_id = draw(st.sampled_from(MET)), draw(ids)
    change, look = CHANGES[table](st.just(row_id)), LOOKS[table](st.just(row_id))
    is_late = row_id == LATE
    names = [one for one in ACTS[table] if one != PUT[table]] if is_late else ACTS[table]
    meddling = [] if is_late else ACTS["meddling"]
    act = st.tuples(st.sampled_from([*names, *names, *meddling]), st.just(row_id))
    met = draw(st.lists(act, min_size=1, max_size=3))
    if is_late:
        batch = [draw(change), draw(look)]
        met.insert(0, (PUT[table], row_id))
    else:
        batch = draw(st.lists(st.one_of(change, look), min_size=1, max_size=3))
    batch += draw(st.lists(commands, max_size=2))
    return Meeting(is_late, batch, draw(places), met)


# Somebody has taken a name first; or a rival has not waited for a row.
IN_THE_WAY = re.compile("unique violation|lock not available")


@contextmanager
def reasons_to_redo() -> Iterator[list[str]]:
    """Give a list of why batches were redone or cut up in the block."""
    reasons: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(committer, "emit", lambda _event, why, **_fields: reasons.append(why))
        yield reasons


class Place:
    """A shop, a rival of it, and a session that waits for no lock; with figures of all."""

    def __init__(self, shop: Shop, rival: Shop, session: Connection) -> None:
        self.shop = shop
        self.rival = rival
        self.session = session
        self.figures = Counter[str]()


@pytest.fixture
def place(servers: Servers, template_database: str) -> Iterator[Place]:
    name = f"{template_database}_two_sessions"
    url = servers.postgres.create_database(name, template=template_database)
    with ExitStack() as stack:
        stack.callback(servers.postgres.drop_database, name)
        shop, rival = (stack.enter_context(Shop(url)) for _ in range(2))
        session = stack.enter_context(closing(psycopg2.connect(url)))
        shop.query(MEDDLING)
        with session, session.cursor() as cursor:
            cursor.execute("SET lock_timeout = '1ms'")
        yield Place(shop, rival, session)


class TwoSessions(RuleBasedStateMachine):
    """A batch after the other, and others in their midst, against model for one after the other."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self._shop = place.shop
        self._numbers = itertools.count(1)
        self._sent: list[Request] = []
        self._is_meddled_with = False
        self._deferred: set[tuple[str, int] | None] = set()
        self._late = FIRST_LATE

    @initialize()
    def open(self) -> None:
        self._shop.reset()
        self._shop.query("TRUNCATE meddling")
        self._shop.process([*stocked_shop(), someone_without_orders()])
        self.serial = Serial(self._tables())
        self._others = SecondSession(self.place.session, self.serial.next_revision)
        self.place.rival.committer = self.place.rival.new_committer()
        self.place.rival.set(lock_timeout="2ms")

    @rule(meeting=meetings(), number=st.integers(-9, 9), is_restarted=st.booleans())
    def process(self, meeting: Meeting, number: int, *, is_restarted: bool) -> None:
        if is_restarted:
            self._shop.committer = self._shop.new_committer()
        self._late += meeting.is_late
        again = self._sent[-number:][:1] if number > 0 else []
        requests = [*map(self._new, meeting.batch), *again]
        waiting = meeting.statements
        todo = list(meeting.acts)

        def act() -> None:
            nonlocal waiting
            waiting -= 1
            if waiting < 0 and todo:
                self._do(todo.pop(0))

        self._process(requests, act)

    @rule(
        batch=st.lists(commands, min_size=1, max_size=5),
        rivals=st.lists(st.lists(commands, min_size=1, max_size=2), max_size=5),
    )
    def process_beside_a_rival(self, batch: list[Asked], rivals: list[list[Asked]]) -> None:
        is_at_work = False

        def act() -> None:
            nonlocal is_at_work
            if rivals and not is_at_work:
                is_at_work = True
                rival = [self._new(one) for one in rivals.pop(0)]
                self._explain(self.place.rival, rival, is_rivals=True)
                is_at_work = False

        self._process([self._new(one) for one in batch], act)

    @rule(act=acts)
    def let_others_work(self, act: Act) -> None:
        self._do(act)

    def teardown(self) -> None:
        self.place.figures["commands"] += len(self._sent)
        self.place.figures["acts of others"] += self._others.done

    def _process(self, requests: Sequence[Request], act: Callable[[], None]) -> None:
        """Let the batch be processed, with *act* before each of its statements."""
        self.place.figures["batches"] += 1
        self._others.do("end_meddling")
        self._is_meddled_with = False
        # What is deferred does not come again here: nobody is to wait for it.
        self._shop.query("TRUNCATE deferrals")
        self._deferred.clear()
        self.serial.begin()
        with before_each_statement(act), reasons_to_redo() as reasons:
            self._explain(self._shop, requests)
        # What was locked stays as it is, so that nothing else can be in the way.
        assert self._is_meddled_with or all(map(IN_THE_WAY.match, reasons)), reasons
        self._check()

    def _explain(self, shop: Shop, requests: Sequence[Request], *, is_rivals: bool = False) -> None:
        """Let *shop* process the requests; check each result as soon as it is committed."""
        deliveries = {one.tag: (one, request) for one, request in map(_delivery, requests)}
        in_hand = [one for one, _ in deliveries.values()]
        for group in shop.groups(in_hand):
            for result in group:
                _, request = deliveries.pop(result.delivery.tag)
                outcome = result.outcome
                assert isinstance(result.command, Command)
                if isinstance(outcome, Waiting):
                    assert result.command.row in self._deferred, f"{request}: {outcome}"
                elif isinstance(outcome, Deferred):
                    is_due = is_rivals and outcome.code == DeferralCode.TRANSIENT
                    assert is_due or self._is_meddled_with, f"{request}: {outcome}"
                    self._deferred.add(result.command.row)
                else:
                    self.serial.explain(request, result, is_rivals=is_rivals)
        assert not deliveries, "requests without a result"

    def _check(self) -> None:
        """Check that the tables, and the ledger, hold what was told."""
        held, model = self._tables(), self.serial.model
        for name, rows in held.items():
            assert rows == getattr(model, name), name
        told = {key: told.code or "applied" for key, (_, told) in model.ledger.items()}
        assert told == dict(
            self._shop.query("SELECT id, coalesce(code, outcome) FROM processed_requests")
        )

    def _do(self, act: Act) -> None:
        name, row_id = act
        if self._others.do(name, row_id or self._late):
            self._is_meddled_with |= name == "begin_to_meddle"
            self.serial.note_others(self._tables())

    def _new(self, one: Asked) -> Request:
        queue, action, data = self._with_late_id(one)
        number = next(self._numbers)
        version = "v2" if {"delta", "priority"} & data.keys() else "v1"
        request = Request(f"m{number}", queue, action, data, f"r{number}", version)
        self._sent.append(request)
        return request

    def _with_late_id(self, one: Asked) -> tuple[str, str, Row]:
        queue, action, data = one
        named = {name: data[name] or self._late for name in NAMED & data.keys()}
        lines = [
            line | {"product_id": line["product_id"] or self._late}
            for line in data.get("items", ())
        ]
        return queue, action, {**data, **named, **({"items": lines} if lines else {})}

    def _tables(self) -> Tables:
        return tables_of(self._shop.query)


def someone_without_orders() -> Delivery:
    return delivery_of("user", "create", {"username": "xia", "email": "xia@x.org"})


def _delivery(request: Request) -> tuple[Delivery, Request]:
    one = delivery_of(
        request.queue,
        request.action,
        request.data,
        request_id=request.id,
        version=request.version,
    )
    return one, request


def test_whatever_others_do_between_two_statements_is_as_if_one_came_after_the_other(
    place: Place, pytestconfig: pytest.Config
) -> None:
    begin: Any = partial(TwoSessions, place)
    run_state_machine_as_test(begin, settings=SOME)
    told = ", ".join(f"{name} {count:,}" for name, count in place.figures.items())
    pytestconfig.stash[FIGURES] = f"two sessions: {told}, wrong 0"
