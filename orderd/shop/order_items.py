"""The items of orders, and what they take from or give back to the shelves."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from operator import attrgetter
from typing import Annotated, Final

from pydantic import Field

from orderd.protocol.commands import CommandData
from orderd.protocol.envelope import Invalid
from orderd.protocol.fields import QUANTITY_MAX, Identity, Quantity
from orderd.protocol.names import InvalidCode, Queue
from orderd.shop import products
from orderd.shop.order_rows import OrderItem
from orderd.shop.outcomes import Refused
from orderd.shop.products import PRODUCTS, Product
from orderd.shop.world import World

ITEMS_MAX: Final = 100


class ItemData(CommandData):
    """So many of one product."""

    product_id: Identity
    quantity: Quantity


Items = Annotated[list[ItemData], Field(min_length=1, max_length=ITEMS_MAX)]


def quantities(items: Sequence[ItemData]) -> dict[int, int]:
    """Return product id to quantity; the same product twice is one line with the sum."""
    quantities: dict[int, int] = {}
    for item in items:
        quantities[item.product_id] = quantities.get(item.product_id, 0) + item.quantity
    return quantities


def too_many(wanted: Mapping[int, int]) -> Invalid | None:
    """Return the refusal for items of one product that no single item could have."""
    for product_id, quantity in wanted.items():
        if quantity > QUANTITY_MAX:
            has = f"data.items: product {product_id} adds up to a quantity of {quantity}"
            message = f"{has}; at most {QUANTITY_MAX} are allowed"
            return Invalid(InvalidCode.INVALID_DATA, message)
    return None


def held(items: Sequence[OrderItem]) -> dict[int, int]:
    """Return product id to quantity; other programs may have written several lines of a product."""
    held: dict[int, int] = {}
    for item in items:
        held[item.product_id] = held.get(item.product_id, 0) + item.quantity
    return held


def difference(held: Mapping[int, int], kept: Mapping[int, int]) -> dict[int, int]:
    """Return what is to be taken more (or, negative, given back) of each product."""
    difference = Counter(kept)
    difference.subtract(held)
    return {product_id: count for product_id, count in difference.items() if count}


def take(world: World, wanted: Mapping[int, int]) -> list[Product] | Refused:
    """Return the products after *wanted* was taken from each, negative numbers given back.

    To give back is never refused.
    """
    taken = []
    for product_id, quantity in wanted.items():
        product = world.find(PRODUCTS, product_id)
        if product is None:
            if quantity > 0:
                return products.not_found(product_id, Queue.PRODUCT)
            continue
        if quantity > 0 and quantity > product.stock_quantity:
            return products.insufficient_stock(product, quantity, "ordered")
        taken.append(product.with_stock(product.stock_quantity - quantity, world.now))
    return taken


def priced(
    world: World,
    new_ids: Callable[[int], Sequence[int]],
    wanted: Mapping[int, int],
    before: Sequence[OrderItem] = (),
) -> tuple[OrderItem, ...]:
    """Return the items by id: kept products keep theirs, with the price of each.

    *new_ids* returns so many ids for new items.
    """
    known: dict[int, list[OrderItem]] = {}
    for item in before:
        known.setdefault(item.product_id, []).append(item)
    ids = iter(new_ids(len(wanted.keys() - known.keys())))
    items = []
    for product_id, quantity in wanted.items():
        if product_id in known:
            items.extend(_adjusted(known[product_id], quantity))
        elif (product := world.find(PRODUCTS, product_id)) is not None:
            items.append(OrderItem(next(ids), product_id, quantity, product.price))
    items.sort(key=attrgetter("id"))
    return tuple(items)


def _adjusted(items: Sequence[OrderItem], quantity: int) -> list[OrderItem]:
    """Return the items of one product with *quantity* in all.

    What is more goes to the last one; what is less comes off the last one, then the one before.
    """
    left = quantity
    kept = []
    for item in items[:-1]:
        if left:
            kept.append(replace(item, quantity=min(item.quantity, left)))
            left -= kept[-1].quantity
    if left:
        kept.append(replace(items[-1], quantity=left))
    return kept


def total(items: Sequence[OrderItem]) -> Decimal:
    """Return what the items cost together."""
    return sum([item.unit_price * item.quantity for item in items], Decimal("0.00"))
