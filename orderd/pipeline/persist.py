"""Writing the net result of a batch: one statement a table, all in one round trip."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

from orderd.db.arrays import array, lines
from orderd.db.transaction import Transaction
from orderd.protocol.rows import Order, OrderItem
from orderd.shop.decide import Decision
from orderd.shop.outcomes import Refused
from orderd.shop.world import World

_Encoder = Callable[[Iterable[Any]], Any]
# Each column with the form in which its statement takes it; free text goes as a list.
_USER: Final[Mapping[str, _Encoder]] = {
    "id": array,
    "email": list,
    "full_name": list,
    "is_active": list,
    "revision": array,
}
_PRODUCT: Final[Mapping[str, _Encoder]] = {
    "id": array,
    "name": list,
    "price": array,
    "stock_quantity": array,
    "revision": array,
}
_ORDER: Final[Mapping[str, _Encoder]] = {
    "id": array,
    "status": lines,
    "priority": lines,
    "total_amount": array,
    "revision": array,
}
_ITEM: Final[Mapping[str, _Encoder]] = {
    "id": array,
    "order_id": array,
    "product_id": array,
    "quantity": array,
    "unit_price": array,
}
_LEDGER: Final[Mapping[str, _Encoder]] = {
    "id": list,
    "queue": lines,
    "action": lines,
    "outcome": lines,
    "code": lines,
    "response": lines,
    "fingerprint": lines,
}


def persist(tx: Transaction, world: World, decisions: Iterable[Decision]) -> None:
    """Let the statements that write what *decisions* changed travel together."""
    # First, and by id: of two daemons with the same requests one waits here, holding nothing that
    # the other one is still to write.
    ledger = sorted(_ledger_row(decision) for decision in decisions if decision.is_recorded)
    _write_rows(tx, "insert_processed_requests", ledger, _LEDGER)
    _write(tx, "insert_users", world.new_rows(world.users), {**_USER, "username": list})
    _write(tx, "update_users", [now for _, now in world.changed_rows(world.users)], _USER)
    _write(tx, "insert_products", world.new_rows(world.products), _PRODUCT)
    _write(tx, "update_products", [now for _, now in world.changed_rows(world.products)], _PRODUCT)
    new_orders = world.new_rows(world.orders)
    changed_orders = world.changed_rows(world.orders)
    _write(tx, "insert_orders", new_orders, {**_ORDER, "user_id": array})
    _write(tx, "update_orders", [now for _, now in changed_orders], _ORDER)
    _write_items(tx, new_orders, changed_orders)


def _write(
    tx: Transaction, name: str, rows: Sequence[object], columns: Mapping[str, _Encoder]
) -> None:
    """Let the statement *name* write *rows*, whose attributes are its *columns*."""
    if rows:
        tx.later(
            name,
            **{column: encode(map(attrgetter(column), rows)) for column, encode in columns.items()},
        )


def _write_items(
    tx: Transaction, new: Sequence[Order], changed: Sequence[tuple[Order, Order]]
) -> None:
    inserted = [_item_row(order.id, item) for order in new for item in order.items]
    updated: list[OrderItem] = []
    deleted: list[int] = []
    for was, now in changed:
        before = {item.id: item for item in was.items}
        for item in now.items:
            stored = before.pop(item.id, None)
            if stored is None:
                inserted.append(_item_row(now.id, item))
            elif stored != item:
                updated.append(item)
        deleted.extend(before)
    _write_rows(tx, "insert_order_items", inserted, _ITEM)
    _write(tx, "update_order_items", updated, {"id": array, "quantity": array})
    if deleted:
        tx.later("delete_order_items", id=array(deleted))


def _write_rows(
    tx: Transaction, name: str, rows: Sequence[tuple[Any, ...]], columns: Mapping[str, _Encoder]
) -> None:
    """Let the statement *name* write *rows*, whose members are its *columns* in their order."""
    if rows:
        by_column = zip(columns.items(), zip(*rows, strict=True), strict=True)
        tx.later(name, **{column: encode(values) for (column, encode), values in by_column})


def _item_row(order_id: int, item: OrderItem) -> tuple[Any, ...]:
    return (item.id, order_id, item.product_id, item.quantity, item.unit_price)


def _ledger_row(decision: Decision) -> tuple[Any, ...]:
    command = decision.command
    refused = decision.outcome if isinstance(decision.outcome, Refused) else None
    return (
        command.request_id,
        command.queue,
        command.action,
        "applied" if refused is None else "refused",
        "" if refused is None else refused.code,
        "null" if decision.response is None else decision.response.stored(),
        command.fingerprint,
    )
