"""What may be done to products."""

from dataclasses import replace

from orderd.protocol.commands import (
    ProductAdjustStock,
    ProductCreate,
    ProductGet,
    ProductMarkOutOfStock,
    ProductUpdate,
)
from orderd.protocol.envelope import Invalid
from orderd.protocol.fields import STOCK_MAX
from orderd.protocol.names import InvalidCode, Queue, RefusalCode
from orderd.protocol.rows import Product
from orderd.shop.outcomes import Answered, Applied, Refused
from orderd.shop.rules.revisions import is_outdated, revision_conflict
from orderd.shop.world import Table, World


def create(world: World, content: ProductCreate) -> Applied:
    """Put a new product on the shelf."""
    (product_id,) = world.fresh_ids.peek(Table.PRODUCTS)
    product = Product(
        product_id, content.name, content.price, content.stock_quantity, world.now, world.now
    )
    return Applied(product, (product,), (("product.created", product),))


def update(world: World, content: ProductUpdate) -> Applied | Refused:
    """Give the product other values."""
    product = world.products.get(content.id)
    if product is None:
        return not_found(content.id)
    if is_outdated(product, content):
        return revision_conflict(product, content)
    changed = replace(product, **content.given())
    return _changed(world, product, changed, "product.updated")


def mark_out_of_stock(world: World, content: ProductMarkOutOfStock) -> Applied | Refused:
    """Take what is left of the product off the shelf."""
    product = world.products.get(content.id)
    if product is None:
        return not_found(content.id)
    if is_outdated(product, content):
        return revision_conflict(product, content)
    changed = replace(product, stock_quantity=0)
    return _changed(world, product, changed, "product.out_of_stock")


def adjust_stock(world: World, content: ProductAdjustStock) -> Applied | Refused | Invalid:
    """Put so many more on the shelf, or take so many away; never below zero.

    What orders gave back may be over the limit: it can always be taken away.
    """
    product = world.products.get(content.id)
    if product is None:
        return not_found(content.id)
    if is_outdated(product, content):
        return revision_conflict(product, content)
    stock = product.stock_quantity + content.delta
    if stock < 0:
        return insufficient_stock(product, -content.delta, "to be taken")
    if stock > STOCK_MAX and content.delta > 0:
        message = f"data.delta: product {product.id} would have {stock}, at most {STOCK_MAX}"
        return Invalid(InvalidCode.INVALID_DATA, f"{message} are allowed")
    changed = replace(product, stock_quantity=stock)
    return _changed(world, product, changed, "product.stock_adjusted")


def get(world: World, content: ProductGet) -> Answered | Refused:
    """Return the product's row."""
    product = world.products.get(content.id)
    return not_found(content.id) if product is None else Answered(product.json())


def not_found(product_id: int, missing: Queue | None = None) -> Refused:
    """Return the refusal for a product that nobody knows."""
    message = f"Product {product_id} does not exist"
    return Refused(RefusalCode.PRODUCT_NOT_FOUND, message, missing)


def insufficient_stock(product: Product, wanted: int, purpose: str) -> Refused:
    """Return the refusal for more than the shelf holds."""
    has = f"product {product.id} has {product.stock_quantity}"
    message = f"Insufficient stock: {has}, {wanted} {purpose}"
    return Refused(RefusalCode.INSUFFICIENT_STOCK, message)


def _changed(world: World, before: Product, after: Product, event: str) -> Applied:
    """Return what became of the product; nothing happened where nothing is other than before."""
    if after == before:
        return Applied(before)
    product = replace(after, updated_at=world.now, revision=before.revision + 1)
    return Applied(product, (product,), ((event, product),))
