"""Whatever fails, and whenever it comes again: each row is changed in the order of sending."""

from collections import deque
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderd.amqp.message import Delivery, Properties
from orderd.pipeline.results import Result
from orderd.protocol.envelope import Command
from orderd.protocol.names import HEADER_ATTEMPT, HEADER_PLACE
from orderd.shop.outcomes import Applied, Deferred, Waiting
from orderd.shop.products import ProductUpdate
from tests.integration.pipeline.requests import stocked_shop
from tests.integration.pipeline.shop import ATTEMPTS_MAX, Shop
from tests.support.commands import request
from tools.servers import Servers

# Whoever fails more often than that is given up.
FAILURES_MAX = ATTEMPTS_MAX + 1
CURSED = """
    CREATE TABLE curses (price numeric PRIMARY KEY);
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS (SELECT FROM curses WHERE price = NEW.price) THEN
                RAISE EXCEPTION 'cursed' USING ERRCODE = '22012';
            END IF;
            RETURN NEW;
        END
    $$;
    CREATE TRIGGER refuse BEFORE UPDATE ON products FOR EACH ROW EXECUTE FUNCTION refuse();
"""
rows = st.integers(1, 3)
commands = st.lists(st.tuples(rows, st.integers(0, FAILURES_MAX), st.booleans()), max_size=8)


@pytest.fixture(scope="module")
def cursed_shop(servers: Servers, template_database: str) -> Iterator[Shop]:
    """A shop that updates no product to a price that is cursed."""
    name = f"{template_database}_any_course"
    url = servers.postgres.create_database(name, template=template_database)
    with Shop(url) as shop:
        shop.query(CURSED)
        yield shop
    servers.postgres.drop_database(name)


class Course:
    """The messages of one example on their ways: in the queue, in hand, waiting for a retry."""

    def __init__(self, shop: Shop, sent: list[tuple[int, int, bool]]) -> None:
        self.shop = shop
        self.queue = deque(
            self._sent(number, row_id, has_id=has_id)
            for number, (row_id, _, has_id) in enumerate(sent, 100)
        )
        self.failures = {number: failures for number, (_, failures, _) in enumerate(sent, 100)}
        self.retries: list[Delivery] = []
        self.applied: dict[int, list[int]] = {}

    def batch(self, count: int, retried: list[Delivery]) -> list[Delivery]:
        """Take the next *count* of the queue, and *retried*."""
        for one in retried:
            self.retries.remove(one)
        return [self.queue.popleft() for _ in range(min(count, len(self.queue)))] + retried

    def process(self, batch: list[Delivery]) -> None:
        self.shop.query("TRUNCATE curses")
        for number, failures in self.failures.items():
            if failures:
                self.shop.query("INSERT INTO curses VALUES (%s)", number)
        for result in self.shop.process(batch):
            self._follow(result)

    def _follow(self, result: Result) -> None:
        assert isinstance(result.command, Command)
        row = result.command.row
        content = result.command.content
        assert isinstance(content, ProductUpdate)
        number = int(content.price)
        outcome = result.outcome
        if isinstance(outcome, Applied):
            assert row is not None
            self.applied.setdefault(row[1], []).append(number)
            return
        assert isinstance(outcome, Deferred | Waiting)
        attempt = result.attempt
        if isinstance(outcome, Deferred):
            self.failures[number] -= 1
            attempt += 1
        if attempt > ATTEMPTS_MAX:
            self.shop.deferrals.note_gone([result])
            return
        headers = {HEADER_ATTEMPT: attempt, HEADER_PLACE: outcome.place}
        copy = request("product", "get")
        self.retries.append(
            replace(copy, body=result.delivery.body, properties=Properties(headers=headers))
        )

    @staticmethod
    def _sent(number: int, row_id: int, *, has_id: bool) -> Delivery:
        content = {"id": row_id, "price": number}
        return request("product", "update", content, request_id=f"r{number}" if has_id else None)


@given(sent=commands, data=st.data())
def test_the_commands_of_a_row_take_effect_in_the_order_of_sending(
    cursed_shop: Shop, sent: list[tuple[int, int, bool]], data: st.DataObject
) -> None:
    cursed_shop.reset()
    cursed_shop.query("TRUNCATE curses")
    cursed_shop.process(stocked_shop())
    course = Course(cursed_shop, sent)
    while course.queue or course.retries:
        count = data.draw(st.integers(0 if course.retries else 1, 4))
        some = (
            data.draw(st.lists(st.sampled_from(course.retries), unique_by=id))
            if (course.retries)
            else []
        )
        # So that it comes to an end.
        course.process(course.batch(count, some or course.retries[:1]))

    for numbers in course.applied.values():
        assert numbers == sorted(numbers)
    cursed_shop.deferrals.forget_ended()
    assert cursed_shop.count("deferrals") == 0
