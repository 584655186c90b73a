"""Reading and locking what a batch names, in the one order that all daemons keep."""

from collections.abc import Sequence
from typing import Any, Final

from orderd.db.arrays import array
from orderd.db.transaction import Transaction
from orderd.pipeline.ids import IdPool
from orderd.protocol.names import Queue
from orderd.protocol.replies import Response
from orderd.protocol.rows import Order, OrderItem, Product, User
from orderd.shop.needs import Needs
from orderd.shop.world import LedgerEntry, Table, World

# Small rows, and rows that hold many lines; see `Transaction.pieces`.
PIECE_LINES: Final = 1_000
PIECE_ORDERS: Final = 100


def open_world(
    tx: Transaction, needs: Needs, ids: IdPool, arriving: frozenset[Queue] | None
) -> tuple[World, bool]:
    """Return a world without rows for a batch with these *needs*, and whether places are kept."""
    now, *fetched, ledger, are_places_kept = tx.row(
        "open_batch", request_ids=list(needs.request_ids), **ids.shortage(needs.new_rows)
    )
    for table, new_ids in zip(Table, fetched, strict=True):
        ids.add(table, new_ids)
    world = World(now, ids.fresh(), arriving=arriving)
    for request_id, fingerprint, response in ledger or ():
        world.ledger[request_id] = LedgerEntry(fingerprint, Response.from_stored(response))
    return world, are_places_kept


def load_rows(tx: Transaction, needs: Needs, world: World) -> None:
    """Add the rows to *world* that *needs* names, and lock what may be changed.

    What is asked for to be locked, and is not there then, stays unknown to the whole batch: a later
    statement may see the row, but without a lock.
    """
    _load_orders(tx, needs, world)
    _load_products(tx, needs, world)
    _load_users(tx, needs, world)


def _load_orders(tx: Transaction, needs: Needs, world: World) -> None:
    if needs.orders_to_change:
        world.load(_lock_orders(tx, needs.orders_to_change))
    if needs.orders_to_read - world.orders.keys():
        orders = read_orders(tx, "read_orders", ids=array(needs.orders_to_read))
        world.load(orders, without=needs.orders_to_change)


def _load_products(tx: Transaction, needs: Needs, world: World) -> None:
    returned = {
        item.product_id
        for order_id in needs.orders_moving_stock & world.orders.keys()
        for item in world.orders[order_id].items
    }
    to_change = needs.products_to_change | returned
    if to_change:
        world.load(Product(*row) for row in tx.pieces("lock_products", ids=array(to_change)))
    if needs.products_to_read - world.products.keys():
        rows = tx.pieces("read_products", ids=array(needs.products_to_read))
        world.load((Product(*row) for row in rows), without=to_change)


def _load_users(tx: Transaction, needs: Needs, world: World) -> None:
    if needs.users_to_change:
        world.load(User(*row) for row in tx.pieces("lock_users", ids=array(needs.users_to_change)))
    if needs.users_to_refer_to:
        ids = array(needs.users_to_refer_to)
        rows = tx.pieces("refer_to_users", ids=ids)
        world.load((User(*row) for row in rows), without=needs.users_to_change)
    if needs.users_to_read or needs.usernames or needs.emails:
        rows = tx.pieces(
            "read_users",
            ids=array(needs.users_to_read),
            usernames=list(needs.usernames),
            emails=list(needs.emails),
        )
        to_lock = needs.users_to_change | needs.users_to_refer_to
        world.load((User(*row) for row in rows), without=to_lock)


def _lock_orders(tx: Transaction, order_ids: set[int]) -> list[Order]:
    """Return the orders with their items, all locked."""
    rows = tx.pieces("lock_orders", ids=array(order_ids))
    items: dict[int, list[OrderItem]] = {row[0]: [] for row in rows}
    if rows:
        lines = tx.pieces("lock_order_items", rows_max=PIECE_LINES, order_ids=array(items))
        for order_id, *item in lines:
            items[order_id].append(OrderItem(*item))
    return [_order(row, tuple(items[row[0]])) for row in rows]


def read_orders(tx: Transaction, name: str, **wanted: object) -> list[Order]:
    """Return the orders that the query *name* reads, each with the items of the same moment."""
    orders = []
    for *row, ids, product_ids, quantities, prices in tx.pieces(
        name, rows_max=PIECE_ORDERS, **wanted
    ):
        columns = zip(ids or (), product_ids or (), quantities or (), prices or (), strict=True)
        orders.append(_order(row, tuple(OrderItem(*item) for item in columns)))
    return orders


def _order(row: Sequence[Any], items: tuple[OrderItem, ...]) -> Order:
    order_id, user_id, status, priority, total, created_at, updated_at, revision = row
    return Order(
        order_id, user_id, status, priority, total, items, created_at, updated_at, revision
    )
