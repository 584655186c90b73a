"""What each action of each queue takes, one model an action, and the table of them all."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from orderd.protocol.fields import (
    BIGINT_MAX,
    Email,
    Identity,
    Money,
    Priority,
    Quantity,
    Revision,
    Stock,
    StockDelta,
    Text,
    Username,
)
from orderd.protocol.limits import LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX
from orderd.protocol.names import Queue
from orderd.protocol.rows import Status

ITEMS_MAX: Final = 100


class CommandData(BaseModel):
    """The `data` of a command: strict, frozen, and nothing that the action does not know."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    is_query: ClassVar[bool] = False
    # Fields that are lists of objects: the model of a member, and the most members.
    members: ClassVar[Mapping[str, tuple[type["CommandData"], int]]] = {}

    @property
    def row_id(self) -> int | None:
        """The id of the row that it names, in the table of its queue; None where it names none."""
        named: int | None = getattr(self, "order_id", None) or getattr(self, "id", None)
        return named


class ConditionalChange(CommandData):
    """A change of a row that is there, where it has the revision that the producer has seen.

    An `if_revision` of 0 was not given: any revision will do.
    """

    if_revision: Revision = 0


class Change(ConditionalChange):
    """A partial update: what was given, besides the id, replaces what is there.

    The defaults of a change's fields mean nothing: only `given` fields are looked at.
    """

    identity_field: ClassVar[str] = "id"

    def given(self) -> dict[str, Any]:
        """Return the fields that the producer sent and that are the row's, as name to value."""
        names = self.model_fields_set
        return {
            name: value
            for name, value in self.__dict__.items()
            if name in names and self._is_changeable(name)
        }

    @classmethod
    def _is_changeable(cls, name: str) -> bool:
        return name not in {cls.identity_field, "if_revision"}

    @model_validator(mode="after")
    def _has_something_to_change(self) -> Self:
        if not self.given():
            names = [name for name in type(self).model_fields if self._is_changeable(name)]
            raise ValueError(f"should have at least one of {', '.join(names)}")
        return self


class ProductCreate(CommandData):
    """A new product."""

    name: Text
    price: Money
    stock_quantity: Stock


class ProductUpdate(Change):
    """Other values for a product; absolute, not relative."""

    id: Identity
    name: Text = ""
    price: Money = Decimal(0)
    stock_quantity: Stock = 0


class ProductMarkOutOfStock(ConditionalChange):
    """Nothing of the product is left."""

    id: Identity


class ProductAdjustStock(ConditionalChange):
    """So many more, or with a minus so many fewer, are in stock."""

    id: Identity
    delta: StockDelta


class UserCreate(CommandData):
    """A new user."""

    username: Username
    email: Email
    full_name: Text | None = None
    is_active: bool = True


class UserUpdate(Change):
    """Other values for a user; a `full_name` of null takes the name away."""

    id: Identity
    email: Email = ""
    full_name: Text | None = None
    is_active: bool = True


class ItemData(CommandData):
    """So many of one product."""

    product_id: Identity
    quantity: Quantity


Items = Annotated[list[ItemData], Field(min_length=1, max_length=ITEMS_MAX)]


class OrderCreate(CommandData):
    """A new order for a user."""

    members = {"items": (ItemData, ITEMS_MAX)}

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

    order_id: Identity
    status: Status


class OrderUpdate(Change):
    """Other items, or another status, for an order."""

    identity_field: ClassVar[str] = "order_id"
    members = {"items": (ItemData, ITEMS_MAX)}

    order_id: Identity
    status: Status = "pending"
    items: Items = []

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


class Get(CommandData):
    """The row with this id."""

    is_query: ClassVar[bool] = True

    id: Identity


class UserGet(Get):
    """The user with this id."""


class ProductGet(Get):
    """The product with this id."""


class OrderGet(CommandData):
    """The order with this id, with its items."""

    is_query: ClassVar[bool] = True

    id: Identity = 0
    order_id: Identity = 0

    @model_validator(mode="after")
    def _has_one_id(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("should have either id or order_id")
        return self


class List(CommandData):
    """A page of rows, by id."""

    is_query: ClassVar[bool] = True

    limit: Annotated[int, Field(ge=1, le=LIST_LIMIT_MAX)] = LIST_LIMIT_DEFAULT
    after: Annotated[int, Field(ge=0, le=BIGINT_MAX)] | None = None


class UserList(List):
    """A page of users."""


class ProductList(List):
    """A page of products, all of them or those (not) in stock."""

    in_stock: bool | None = None


class OrderList(List):
    """A page of orders, all of them or those of a status or a user."""

    status: Status | None = None
    user_id: Identity | None = None


class HealthCheck(CommandData):
    """A question whether the daemon and its database are well."""

    is_query: ClassVar[bool] = True


_V1: Final[dict[tuple[str, str], type[CommandData]]] = {
    (Queue.PRODUCT, "create"): ProductCreate,
    (Queue.PRODUCT, "update"): ProductUpdate,
    (Queue.PRODUCT, "mark_out_of_stock"): ProductMarkOutOfStock,
    (Queue.PRODUCT, "get"): ProductGet,
    (Queue.PRODUCT, "list"): ProductList,
    (Queue.PRODUCT, "health_check"): HealthCheck,
    (Queue.USER, "create"): UserCreate,
    (Queue.USER, "update"): UserUpdate,
    (Queue.USER, "get"): UserGet,
    (Queue.USER, "list"): UserList,
    (Queue.USER, "health_check"): HealthCheck,
    (Queue.ORDER, "create"): OrderCreate,
    (Queue.ORDER, "update_status"): OrderUpdateStatus,
    (Queue.ORDER, "update"): OrderUpdate,
    (Queue.ORDER, "get"): OrderGet,
    (Queue.ORDER, "list"): OrderList,
    (Queue.ORDER, "health_check"): HealthCheck,
}

MODELS: Final[dict[str, dict[tuple[str, str], type[CommandData]]]] = {
    "v1": _V1,
    "v2": _V1
    | {
        (Queue.PRODUCT, "adjust_stock"): ProductAdjustStock,
        (Queue.ORDER, "create"): OrderCreateV2,
        (Queue.ORDER, "update"): OrderUpdateV2,
    },
}
"""Per contract version, the model of every (queue, action)."""
