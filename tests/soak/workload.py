"""The commands of a busy shop by chance: mixed, on hot products, some refused, some invalid."""

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

import pika

from tests.acceptance.shop import PERSISTENT, REPLIES, Message, command, order, product, user

USERS = 5
HOT = range(1, 7)
HOT_STOCK = 10_000_000
SCARCE = range(7, 10)
SCARCE_STOCK = 40
COPIES_SHARE = 0.12
COPIES_FROM = 2_000
UNREADABLE = b"this is no command, number "


class Kind(Enum):
    """Where a request has to end."""

    RECORDED = auto()  # in the ledger, applied or refused
    INVALID = auto()  # in the dead letters
    QUERY = auto()  # nowhere; it is answered


@dataclass(frozen=True, slots=True)
class Request:
    """One request, under the name that its reply and its events bear.

    `event` is the type that tells of it when it is applied; `moved` what it adds to a stock.
    """

    token: str
    kind: Kind
    message: Message
    event: str = ""
    is_told_always: bool = True
    moved: tuple[int, int] = (0, 0)


class Workload:
    """Makes requests, the same ones for the same seed; what it made may come again."""

    def __init__(self, seed: int, name: str) -> None:
        self._chance = random.Random(seed)
        self._name = name
        self._serial = itertools.count(1)
        self._orders = 0
        self._made: list[Request] = []
        self._makers: dict[Callable[[str, int], Request], int] = {
            self._order: 46,
            self._scarce_order: 8,
            self._status: 12,
            self._items: 6,
            self._product: 5,
            self._price: 4,
            self._stock: 4,
            self._user: 5,
            self._taken_user: 2,
            self._renamed_user: 2,
            self._unreadable: 2,
            self._wrong: 2,
            self._query: 2,
        }

    def next(self) -> Request:
        """Return the next request; one in eight is one that was made before, to the byte."""
        if self._made and self._chance.random() < COPIES_SHARE:
            return self._chance.choice(self._made[-COPIES_FROM:])
        serial = next(self._serial)
        (make,) = self._chance.choices([*self._makers], [*self._makers.values()])
        request = make(f"{self._name}-{serial}", serial)
        if request.kind is Kind.RECORDED:
            self._made.append(request)
        return request

    def _order(self, token: str, _serial: int) -> Request:
        self._orders += 1
        wanted = self._chance.sample(HOT, self._chance.randint(1, 3))
        items = {product_id: self._chance.randint(1, 3) for product_id in wanted}
        message = order(items, self._chance.randint(1, USERS), id=token)
        return Request(token, Kind.RECORDED, message, "order.created")

    def _scarce_order(self, token: str, _serial: int) -> Request:
        self._orders += 1
        items = {self._chance.choice(SCARCE): self._chance.randint(1, 4), self._hot(): 1}
        message = order(items, self._chance.randint(1, USERS), id=token)
        return Request(token, Kind.RECORDED, message, "order.created")

    def _status(self, token: str, _serial: int) -> Request:
        status = self._chance.choice(["processing", "shipped", "cancelled", "cancelled"])
        content = {"order_id": self._some_order(), "status": status}
        message = command("order", "update_status", content, id=token)
        # An order that has the status already is not told of.
        return Request(token, Kind.RECORDED, message, f"order.{status}", is_told_always=False)

    def _items(self, token: str, _serial: int) -> Request:
        items = [{"product_id": self._hot(), "quantity": self._chance.randint(1, 9)}]
        message = command(
            "order", "update", {"order_id": self._some_order(), "items": items}, id=token
        )
        return Request(token, Kind.RECORDED, message, "order.updated", is_told_always=False)

    def _product(self, token: str, _serial: int) -> Request:
        content = {"name": f"product:9:{token}", "price": "2.50", "stock_quantity": 9}
        message = command("product", "create", content, id=token)
        return Request(token, Kind.RECORDED, message, "product.created")

    def _price(self, token: str, serial: int) -> Request:
        # A price that no other command sets, so that something changes in any case.
        content = {"id": self._hot(), "price": f"{1_000 + serial // 100}.{serial % 100:02}"}
        message = command("product", "update", content, id=token)
        return Request(token, Kind.RECORDED, message, "product.updated")

    def _stock(self, token: str, _serial: int) -> Request:
        product_id, delta = self._hot(), self._chance.randint(1, 500)
        content = {"id": product_id, "delta": delta}
        message = command("product", "adjust_stock", content, id=token, version="v2")
        moved = (product_id, delta)
        return Request(token, Kind.RECORDED, message, "product.stock_adjusted", moved=moved)

    def _user(self, token: str, _serial: int) -> Request:
        return Request(token, Kind.RECORDED, user(token, id=token), "user.created")

    def _taken_user(self, token: str, _serial: int) -> Request:
        return Request(token, Kind.RECORDED, user("user1", id=token), "user.created")

    def _renamed_user(self, token: str, _serial: int) -> Request:
        content = {"id": self._chance.randint(1, USERS), "full_name": token}
        message = command("user", "update", content, id=token)
        return Request(token, Kind.RECORDED, message, "user.updated")

    def _unreadable(self, token: str, _serial: int) -> Request:
        properties = pika.BasicProperties(
            delivery_mode=PERSISTENT, reply_to=REPLIES, correlation_id=token
        )
        queue = self._chance.choice(["user", "product", "order"])
        body = UNREADABLE + token.encode()
        return Request(token, Kind.INVALID, Message(queue, body, properties))

    def _wrong(self, token: str, _serial: int) -> Request:
        return Request(token, Kind.INVALID, product(stock=-1, id=token))

    def _query(self, token: str, _serial: int) -> Request:
        message = command("product", "get", {"id": self._hot()}, id=token)
        return Request(token, Kind.QUERY, message)

    def _hot(self) -> int:
        return self._chance.choice(HOT)

    def _some_order(self) -> int:
        """Return the id of an order that may be there by the time it is asked for, or may not."""
        return self._chance.randint(1, max(1, self._orders))
