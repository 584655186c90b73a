"""The pool of ids: none is given twice, and none that a row has."""

import pytest

from orderd.db.faults import IdsTaken
from orderd.pipeline.ids import IdPool
from orderd.shop.registry import SHOP

SHORT_OF_THREE = dict.fromkeys(SHOP.tables_with_ids, 3)


def test_what_a_batch_did_not_use_is_there_for_the_next() -> None:
    pool = IdPool()
    pool.add("users", [1, 2, 3])
    fresh = pool.fresh()
    used = list(fresh.use("users", 2))
    pool.drop_used(fresh)

    assert used == [1, 2]
    assert pool.shortage(SHORT_OF_THREE)["users"] == 2
    assert list(pool.fresh().peek("users")) == [3]


def test_ids_that_came_before_are_refused_and_those_at_hand_forgotten() -> None:
    pool = IdPool()
    pool.add("users", [5, 6])
    pool.add("orders", [5])

    with pytest.raises(IdsTaken) as caught:
        pool.add("users", [4, 5])

    assert caught.value.table == "users"
    shortage = pool.shortage(SHORT_OF_THREE)
    assert (shortage["users"], shortage["orders"]) == (3, 2)


def test_forgetting_one_table_leaves_the_others() -> None:
    pool = IdPool()
    for table in SHOP.tables_with_ids:
        pool.add(table, [1, 2, 3])

    pool.forget("outbox")

    assert pool.shortage(SHORT_OF_THREE) == {"outbox": 3}
