"""Events and notifications by chance, and who has to get each, over which channel."""

import itertools
import json
import random
from collections.abc import Callable, Mapping
from typing import Any, Final

import pika

from orderd.protocol.names import NoticeQueue
from tests.acceptance.shop import PERSISTENT, Message
from tests.soak.workload import Kind, Request
from tests.unit.notify.notices import EVENT

USERS: Final = 20
# One more, who is not active.
INACTIVE: Final = USERS + 1
OPERATORS: Final = ("ops1@example.com", "ops2@example.com")
DIGEST: Final = "digest@example.com"
HOOK: Final = "hook"
COPIES_SHARE: Final = 0.1
COPIES_FROM: Final = 500


def address(user_id: int) -> str:
    """Return the e-mail address of a user."""
    return f"user{user_id}@example.com"


class Notices:
    """Makes messages, the same ones for the same seed; what it made may come again.

    `due` has who is to get each, by the number that each text has.
    """

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._serial = itertools.count(1)
        self._made: list[Request] = []
        self._makers: dict[Callable[[int], Request], int] = {
            self._shipped: 60,
            self._told: 15,
            self._told_to_operators: 10,
            self._sold_out: 7,
            self._in_vain: 8,
        }
        self.due: dict[int, tuple[str, ...]] = {}

    def next(self) -> Request:
        """Return the next one."""
        if self._made and self._chance.random() < COPIES_SHARE:
            return self._chance.choice(self._made[-COPIES_FROM:])
        maker = self._chance.choices([*self._makers], [*self._makers.values()])[0]
        made = maker(next(self._serial))
        self._made.append(made)
        return made

    def _shipped(self, number: int) -> Request:
        user_id = self._chance.randint(1, USERS)
        self.due[number] = (address(user_id), HOOK)
        return _event(number, "order.shipped", {**EVENT["data"], "id": number, "user_id": user_id})

    def _in_vain(self, number: int) -> Request:
        self.due[number] = ()
        return _event(number, "order.shipped", {**EVENT["data"], "id": number, "user_id": INACTIVE})

    def _sold_out(self, number: int) -> Request:
        self.due[number] = (*OPERATORS, DIGEST)
        data = {"id": 3, "name": f"lamp {number}", "price": 19.99, "stock_quantity": 0}
        return _event(number, "product.out_of_stock", data, NoticeQueue.ADMIN)

    def _told(self, number: int) -> Request:
        user_id = self._chance.randint(1, USERS)
        self.due[number] = (address(user_id),)
        return _plain(number, "user.note", NoticeQueue.USER, {"user_id": user_id})

    def _told_to_operators(self, number: int) -> Request:
        self.due[number] = OPERATORS
        return _plain(number, "admin.note", NoticeQueue.ADMIN, {})


def _event(
    number: int, kind: str, data: Mapping[str, Any], queue: str = NoticeQueue.USER
) -> Request:
    return _request(number, queue, {**EVENT, "id": f"n-{number}", "type": kind, "data": data})


def _plain(number: int, kind: str, queue: str, recipient: Mapping[str, int]) -> Request:
    payload = {"message": f"message {number}", "notification_type": "info", **recipient}
    content = {"id": f"n-{number}", "type": kind, "source": "soak", "payload": payload}
    return _request(number, queue, content)


def _request(number: int, queue: str, content: Mapping[str, Any]) -> Request:
    properties = pika.BasicProperties(delivery_mode=PERSISTENT)
    message = Message(queue, json.dumps(content).encode(), properties)
    return Request(f"n-{number}", Kind.RECORDED, message)
