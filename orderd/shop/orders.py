"""Orders, with their items."""

from collections.abc import Mapping
from functools import partial
from typing import ClassVar, Final, Self

from pydantic import Field, model_validator

from orderd.protocol.commands import Change, CommandData, ConditionalChange, List
from orderd.protocol.envelope import Invalid
from orderd.protocol.fields import Identity, Priority
from orderd.protocol.names import Queue
from orderd.shop import order_items, users
from orderd.shop.entity import Action, Entity, in_all, listing
from orderd.shop.needs import Needs
from orderd.shop.order_changes import STATUS_EVENTS, OrderEvent, OrderRefusal, change
from orderd.shop.order_items import ITEMS_MAX, ItemData, Items
from orderd.shop.order_rows import ORDERS, Order
from orderd.shop.order_status import Status
from orderd.shop.outcomes import Answered, Applied, Refused
from orderd.shop.products import PRODUCTS
from orderd.shop.revisions import is_outdated, revision_conflict
from orderd.shop.users import USERS
from orderd.shop.world import World


class OrderCreate(CommandData):
    """A new order for a user."""

    members: ClassVar[Mapping[str, tuple[type[CommandData], int]]] = {
        "items": (ItemData, ITEMS_MAX)
    }

    user_id: Identity
    items: Items

    @property
    def wanted_priority(self) -> Priority:
        """Return the order's priority, `normal` where the producer named none."""
        return "normal"


class OrderCreateV2(OrderCreate):
    """A new order for a user, with its priority."""

    priority: Priority = "normal"

    @property
    def wanted_priority(self) -> Priority:
        """Return the order's priority, `normal` where the producer named none."""
        return self.priority


class OrderUpdateStatus(ConditionalChange):
    """The order goes on to another status."""

    identity_field: ClassVar[str] = "order_id"

    order_id: Identity
    status: Status


class OrderUpdate(Change):
    """Other items, or another status, for an order."""

    identity_field: ClassVar[str] = "order_id"
    members: ClassVar[Mapping[str, tuple[type[CommandData], int]]] = {
        "items": (ItemData, ITEMS_MAX)
    }

    order_id: Identity
    status: Status = "pending"
    items: Items = Field(default=[])

    @property
    def wanted_priority(self) -> Priority | None:
        """Return the priority that the producer gave, None where it gave none."""
        return None


class OrderUpdateV2(OrderUpdate):
    """Other items, another status or another priority for an order."""

    priority: Priority = "normal"

    @property
    def wanted_priority(self) -> Priority | None:
        """Return the priority that the producer gave, None where it gave none."""
        return self.priority if "priority" in self.model_fields_set else None


class OrderGet(CommandData):
    """The order with this id, with its items."""

    is_query: ClassVar[bool] = True

    id: Identity = 0
    order_id: Identity = 0

    @property
    def row_id(self) -> int | None:
        """The id of the order, by the name that was given."""
        return self.id or self.order_id

    @model_validator(mode="after")
    def _has_one_id(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("must have either id or order_id")
        return self


class OrderList(List):
    """A page of orders, all of them or those of a status or a user."""

    status: Status | None = None
    user_id: Identity | None = None


def _to_create(needs: Needs, content: OrderCreate) -> None:
    needs.to_refer_to(USERS, content.user_id)
    needs.to_make(ORDERS, lines=len(content.items))
    for item in content.items:
        needs.to_change(PRODUCTS, item.product_id)


def _to_update_status(needs: Needs, content: OrderUpdateStatus) -> None:
    if content.status == "cancelled":
        needs.to_change_with_it(ORDERS, content.order_id)
    else:
        needs.to_change(ORDERS, content.order_id)


def _to_update(needs: Needs, content: OrderUpdate) -> None:
    if content.items or content.status == "cancelled":
        needs.to_change_with_it(ORDERS, content.order_id)
    else:
        needs.to_change(ORDERS, content.order_id)
    needs.to_make_lines(ORDERS, len(content.items))
    for item in content.items:
        needs.to_change(PRODUCTS, item.product_id)


def _to_get(needs: Needs, content: OrderGet) -> None:
    needs.to_see(ORDERS, content.id or content.order_id)


def _create(world: World, content: OrderCreate) -> Applied | Refused | Invalid:
    """Take the items' stock and open an order at the current prices."""
    wanted = order_items.quantities(content.items)
    if excess := order_items.too_many(wanted):
        return excess
    user = world.find(USERS, content.user_id)
    if user is None:
        return users.not_found(content.user_id, Queue.USER)
    if not user.is_active:
        return Refused(OrderRefusal.USER_INACTIVE, f"User {user.id} is not active")
    taken = order_items.take(world, wanted)
    if isinstance(taken, Refused):
        return taken
    items = order_items.priced(world, partial(world.next_line_ids, ORDERS), wanted)
    order = Order(
        world.next_id(ORDERS),
        user.id,
        "pending",
        content.wanted_priority,
        order_items.total(items),
        items,
        world.now,
        world.now,
    )
    return Applied(order, (order, *taken), ((OrderEvent.CREATED, order),))


def _update_status(world: World, content: OrderUpdateStatus) -> Applied | Refused:
    """Let the order go on to another status."""
    order = world.find(ORDERS, content.order_id)
    if order is None:
        return _not_found(content.order_id)
    if is_outdated(order, content):
        return revision_conflict(order, content)
    return change(world, order, status=content.status)


def _update(world: World, content: OrderUpdate) -> Applied | Refused | Invalid:
    """Give the order other items, another status or another priority."""
    wanted = order_items.quantities(content.items)
    if excess := order_items.too_many(wanted):
        return excess
    order = world.find(ORDERS, content.order_id)
    if order is None:
        return _not_found(content.order_id)
    if is_outdated(order, content):
        return revision_conflict(order, content)
    given = content.model_fields_set
    return change(
        world,
        order,
        wanted=wanted if "items" in given else None,
        priority=content.wanted_priority,
        status=content.status if "status" in given else None,
    )


def _get(world: World, content: OrderGet) -> Answered | Refused:
    """Return the order's row with its items."""
    order_id = content.id or content.order_id
    order = world.find(ORDERS, order_id)
    return _not_found(order_id) if order is None else Answered(order.json())


def _owner(world: World, content: OrderUpdate | OrderUpdateStatus | OrderGet) -> int | None:
    """Return whose the order is, None where there is none."""
    order = world.find(ORDERS, content.row_id or 0)
    return None if order is None else order.user_id


def _buyer(_world: World, content: OrderCreate | OrderList) -> int | None:
    """Return for whom the order is to be, or whose orders are listed."""
    return content.user_id


def _not_found(order_id: int) -> Refused:
    return Refused(OrderRefusal.NOT_FOUND, f"Order {order_id} does not exist")


ORDER: Final = Entity(
    Queue.ORDER,
    ORDERS,
    (
        Action(
            "create",
            {"v1": OrderCreate, "v2": OrderCreateV2},
            _to_create,
            _create,
            "takes the stock and creates an order at the current prices, status `pending`",
            events=((OrderEvent.CREATED,),),
            owner=_buyer,
        ),
        Action(
            "update_status",
            in_all(OrderUpdateStatus),
            _to_update_status,
            _update_status,
            "changes the status; `cancelled` gives the stock back",
            events=(STATUS_EVENTS,),
            owner=_owner,
        ),
        Action(
            "update",
            {"v1": OrderUpdate, "v2": OrderUpdateV2},
            _to_update,
            _update,
            "replaces items, priority, status; see [Orders](rules.md#orders)",
            events=((OrderEvent.UPDATED,), STATUS_EVENTS),
            owner=_owner,
        ),
        Action(
            "get",
            in_all(OrderGet),
            _to_get,
            _get,
            "query: the row with its items; one of the two names",
            owner=_owner,
        ),
        listing(OrderList, "query: a page of rows by id, with their items", _buyer),
    ),
    events=OrderEvent,
    refusals={
        OrderRefusal.NOT_FOUND: "There is no order with this id.",
        OrderRefusal.USER_INACTIVE: "The order is for a user who is not active.",
        OrderRefusal.INVALID_TRANSITION: "The order cannot change from its status to this one.",
        OrderRefusal.ORDER_NOT_EDITABLE: "Items or priority of an order that is neither `pending` "
        "nor `processing`.",
    },
    logged={"user_id": "user_id"},
)
