"""The pool of ids: none is given twice, and none that a row has."""

import pytest

from orderd.db.faults import IdsTaken
from orderd.pipeline.ids import IdPool
from orderd.shop.world import Table

SHORT_OF_THREE = dict.fromkeys(Table, 3)


def test_what_a_batch_did_not_use_is_there_for_the_next() -> None:
    pool = IdPool()
    pool.add(Table.USERS, [1, 2, 3])
    fresh = pool.fresh()
    used = list(fresh.use(Table.USERS, 2))
    pool.drop_used(fresh)

    assert used == [1, 2]
    assert pool.shortage(SHORT_OF_THREE)["users"] == 2
    assert list(pool.fresh().peek(Table.USERS)) == [3]


def test_ids_that_came_before_are_refused_and_those_at_hand_forgotten() -> None:
    pool = IdPool()
    pool.add(Table.USERS, [5, 6])
    pool.add(Table.ORDERS, [5])

    with pytest.raises(IdsTaken) as caught:
        pool.add(Table.USERS, [4, 5])

    assert caught.value.table == "users"
    shortage = pool.shortage(SHORT_OF_THREE)
    assert (shortage["users"], shortage["orders"]) == (3, 2)


def test_forgetting_one_table_leaves_the_others() -> None:
    pool = IdPool()
    for table in Table:
        pool.add(table, [1, 2, 3])

    pool.forget(Table.OUTBOX)

    assert pool.shortage(SHORT_OF_THREE) == {
        "users": 0,
        "products": 0,
        "orders": 0,
        "order_items": 0,
        "outbox": 3,
    }
