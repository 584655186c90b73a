"""The shop's rules, written from the documentation alone, with nothing of orderd's code."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from tests.acceptance.state_machine.reference_model import ReferenceModel, Row, Told

EDITABLE = ("pending", "processing")
STEPS = {
    "pending": ("processing", "shipped", "cancelled"),
    "processing": ("shipped", "cancelled"),
    "shipped": ("delivered",),
}


class No(Exception):
    """A rule says no."""

    def __init__(self, code: str, text: str | None = None) -> None:
        super().__init__(code)
        self.told = Told(None, code, text)


@dataclass(frozen=True, slots=True)
class Change:
    """What a request does: the row it is told, all rows that are other now, and its events.

    Each event is a type and the row as it was then.
    """

    row: Row
    events: Sequence[tuple[str, Row]] = ()
    users: Sequence[Row] = ()
    products: Sequence[Row] = ()
    orders: Sequence[Row] = ()


def _get(table: str) -> Callable[[ReferenceModel, Row, Row], Change]:
    def get(model: ReferenceModel, data: Row, _new: Row) -> Change:
        return Change(_row(model, table, data["id"]))

    return get


def _user_create(model: ReferenceModel, data: Row, new: Row) -> Change:
    if any(user["username"] == data["username"] for user in model.users.values()):
        raise No("duplicate_username")
    if any(user["email"] == data["email"] for user in model.users.values()):
        raise No("duplicate_email")
    row = {"id": _unused(model.users, new), "full_name": None, "is_active": True} | data
    row["revision"] = 1
    return Change(row, [("user.created", row)], users=[row])


def _user_update(model: ReferenceModel, data: Row, _new: Row) -> Change:
    before = _row_to_change(model, "users", data)
    given = before | _given(data)
    rivals = [user for user in model.users.values() if user["id"] != given["id"]]
    if any(user["email"] == given["email"] for user in rivals):
        raise No("duplicate_email")
    row = _revised(before, given)
    return Change(row, [("user.updated", row)] if row != before else [], users=[row])


def _product_create(model: ReferenceModel, data: Row, new: Row) -> Change:
    row = {"id": _unused(model.products, new)} | data | {"price": Decimal(data["price"])}
    row["revision"] = 1
    return Change(row, [("product.created", row)], products=[row])


def _product_update(model: ReferenceModel, data: Row, _new: Row) -> Change:
    before = _row_to_change(model, "products", data)
    given = _given(data) | ({"price": Decimal(data["price"])} if "price" in data else {})
    return _product(before, given, "product.updated")


def _mark_out_of_stock(model: ReferenceModel, data: Row, _new: Row) -> Change:
    before = _row_to_change(model, "products", data)
    return _product(before, {"stock_quantity": 0}, "product.out_of_stock")


def _adjust_stock(model: ReferenceModel, data: Row, _new: Row) -> Change:
    before = _row_to_change(model, "products", data)
    if before["stock_quantity"] + data["delta"] < 0:
        raise _insufficient(before, -data["delta"], "to be taken")
    given = {"stock_quantity": before["stock_quantity"] + data["delta"]}
    return _product(before, given, "product.stock_adjusted")


def _product(before: Row, given: Row, event: str) -> Change:
    row = _revised(before, before | given)
    return Change(row, [(event, row)] if row != before else [], products=[row])


def _order_create(model: ReferenceModel, data: Row, new: Row) -> Change:
    if not _row(model, "users", data["user_id"])["is_active"]:
        raise No("user_inactive")
    wanted = _sums(data["items"])
    taken = _take(model, wanted)
    items = _items(model, wanted, {}, new)
    row = {
        "id": _unused(model.orders, new),
        "user_id": data["user_id"],
        "status": "pending",
        "priority": data.get("priority", "normal"),
        "total_amount": _total(items),
        "items": items,
        "revision": 1,
    }
    return Change(row, [("order.created", row)], products=taken, orders=[row])


def _order_change(model: ReferenceModel, data: Row, new: Row) -> Change:
    before = _row_to_change(model, "orders", data)
    status = data.get("status", before["status"])
    is_edit = "items" in data or "priority" in data
    if is_edit and before["status"] not in EDITABLE:
        raise No("order_not_editable")
    if status != before["status"] and status not in STEPS.get(before["status"], ()):
        raise No("invalid_transition")
    held = {item["product_id"]: item for item in before["items"]}
    had = {product_id: item["quantity"] for product_id, item in held.items()}
    wanted = _sums(data["items"]) if "items" in data else had
    for product_id in wanted.keys() - held.keys():
        _row(model, "products", product_id)
    taken = _take(model, _more(had, wanted))
    if status == "cancelled" != before["status"]:
        taken = _take(model, _more(had, {}))
    items = _items(model, wanted, held, new)
    priority = data.get("priority", before["priority"])
    total = before["total_amount"] if items == before["items"] else _total(items)
    edit = {"items": items, "total_amount": total, "priority": priority}
    edited = _revised(before, before | edit)
    row = _revised(edited, edited | {"status": status})
    events = [("order.updated", edited)] if edited != before else []
    events += [(f"order.{status}", row)] if row != edited else []
    return Change(row, events, products=taken, orders=[row])


def _row(model: ReferenceModel, table: str, row_id: int) -> Row:
    rows: Mapping[int, Row] = getattr(model, table)
    if row_id not in rows:
        raise No(f"{table[:-1]}_not_found")
    return rows[row_id]


def _row_to_change(model: ReferenceModel, table: str, data: Row) -> Row:
    row = _row(model, table, data.get("order_id") or data["id"])
    wanted = data.get("if_revision", row["revision"])
    if wanted != row["revision"]:
        has = f"{table[:-1].capitalize()} {row['id']} has revision {row['revision']}"
        raise No("revision_conflict", f"{has}, not {wanted}")
    return row


def _given(data: Row) -> Row:
    return {name: data[name] for name in data if name != "if_revision"}


def _revised(before: Row, after: Row) -> Row:
    """Return *after* with the next revision, where anything is other than before."""
    return after if after == before else after | {"revision": before["revision"] + 1}


def _unused(rows: Mapping[int, Row], new: Row) -> int:
    """Return the id that a new row was given; one that was given before explains nothing."""
    given = new.get("id", 0)
    return 0 if given in rows else int(given)


def _sums(items: Sequence[Row]) -> dict[int, int]:
    sums: dict[int, int] = {}
    for item in items:
        sums[item["product_id"]] = sums.get(item["product_id"], 0) + item["quantity"]
    return sums


def _more(had: Mapping[int, int], wanted: Mapping[int, int]) -> dict[int, int]:
    """Return what is left of it, then what is given back: nothing of what stays as it is."""
    more = {one: wanted.get(one, 0) - had.get(one, 0) for one in [*wanted, *had]}
    return {one: quantity for one, quantity in more.items() if quantity}


def _take(model: ReferenceModel, wanted: Mapping[int, int]) -> list[Row]:
    taken = []
    for product_id, quantity in wanted.items():
        product = _row(model, "products", product_id)
        left = product["stock_quantity"] - quantity
        if quantity > 0 > left:
            raise _insufficient(product, quantity, "ordered")
        taken.append(_revised(product, product | {"stock_quantity": left}))
    return taken


def _insufficient(product: Row, wanted: int, purpose: str) -> No:
    has = f"product {product['id']} has {product['stock_quantity']}"
    return No("insufficient_stock", f"Insufficient stock: {has}, {wanted} {purpose}")


def _items(
    model: ReferenceModel, wanted: Mapping[int, int], held: Mapping[int, Row], new: Row
) -> list[Row]:
    given = {item["product_id"]: item["id"] for item in new.get("items", ())}
    items = []
    for product_id, quantity in wanted.items():
        if product_id in held:
            items.append(held[product_id] | {"quantity": quantity})
        else:
            price = model.products[product_id]["price"]
            item = {"product_id": product_id, "quantity": quantity, "unit_price": price}
            items.append({"id": given.get(product_id, 0), **item})
    return sorted(items, key=lambda item: int(item["id"]))


def _total(items: Sequence[Row]) -> Decimal:
    return sum((item["unit_price"] * item["quantity"] for item in items), Decimal(0))


RULES: Mapping[tuple[str, str], Callable[[ReferenceModel, Row, Row], Change]] = {
    ("user", "create"): _user_create,
    ("user", "update"): _user_update,
    ("user", "get"): _get("users"),
    ("product", "create"): _product_create,
    ("product", "update"): _product_update,
    ("product", "mark_out_of_stock"): _mark_out_of_stock,
    ("product", "adjust_stock"): _adjust_stock,
    ("product", "get"): _get("products"),
    ("order", "create"): _order_create,
    ("order", "update_status"): _order_change,
    ("order", "update"): _order_change,
    ("order", "get"): _get("orders"),
}
