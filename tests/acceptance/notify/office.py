"""What is told to whom: a publisher of events and notifications, and what is on record of them."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import pika
from pika.exceptions import AMQPError

from orderd.protocol.names import NoticeQueue
from tests.acceptance.shop import EVENTS_EXCHANGE, PERSISTENT, Shop, parameters
from tests.support.mail_server import MailServer
from tests.unit.notify.notices import EVENT
from tools.waiting import wait_until

NOTIFICATIONS: Final = "notifications"
TOLD_S: Final = 40


def mail_to_users(server: MailServer, **more: Any) -> dict[str, Any]:
    """Return the channel by which users get mail."""
    return _mail(server, name="mail", **{"for": "users"}, **more)


def mail_to_admins(server: MailServer, **more: Any) -> dict[str, Any]:
    """Return the channel by which administrators get mail."""
    return _mail(server, name="admins", **{"for": "admins", "to": ["ops@example.org"]}, **more)


def _mail(server: MailServer, **more: Any) -> dict[str, Any]:
    url = f"smtp://127.0.0.1:{server.port}"
    return {
        "kind": "smtp",
        "url": url,
        "starttls": False,
        "from": "Shop <shop@example.org>",
    } | more


def shipment(event_id: str, **data: Any) -> dict[str, Any]:
    """Return the event of a shipped order, with *data* in place of the usual ones."""
    return {**EVENT, "id": event_id, "data": {**EVENT["data"], **data}}


class Office:
    """Publishes what is to be told, and looks at what became of it."""

    def __init__(self, shop: Shop, vhost_url: str) -> None:
        self.shop = shop
        self._connection = pika.BlockingConnection(parameters(vhost_url))
        self._channel: Any = self._connection.channel()
        self._channel.confirm_delivery()

    def close(self) -> None:
        with suppress(AMQPError):
            self._connection.close()

    def ship(self, event_id: str, user_id: int = 1) -> None:
        """Publish that an order of the user was shipped."""
        self.publish(EVENTS_EXCHANGE, "order.shipped", shipment(event_id, user_id=user_id))

    def sell_out(self, event_id: str) -> None:
        """Publish that nothing is left of a product."""
        data = {"id": 3, "name": "Lamp", "price": 19.99, "stock_quantity": 0, "revision": 4}
        kind = "product.out_of_stock"
        self.publish(EVENTS_EXCHANGE, kind, {**EVENT, "id": event_id, "type": kind, "data": data})

    def publish(self, exchange: str, key: str, content: Mapping[str, Any] | bytes) -> None:
        """Publish *content*, which has to reach a queue."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        own_id = None if isinstance(content, bytes) else content.get("id")
        properties = pika.BasicProperties(delivery_mode=PERSISTENT, message_id=own_id)
        self._channel.basic_publish(exchange, key, body, properties, mandatory=True)

    def states(self) -> dict[str, tuple[str, int]]:
        """Return state and attempts of what is on record, by event and channel."""
        rows = self.shop.query("SELECT event_id, channel, state, attempts FROM notifications")
        return {f"{event}/{channel}": (state, attempts) for event, channel, state, attempts in rows}

    def wait_for(self, key: str, state: str) -> int:
        """Wait until what is on record has come to *state*; return its attempts."""

        def has_come() -> bool:
            return self.states().get(key, ("", 0))[0] == state

        wait_until(has_come, timeout_s=TOLD_S, what=f"{key} {state}")
        return self.states()[key][1]

    def wait_until_done(self) -> None:
        """Wait until no notification waits, is on its way or unacked."""

        def is_done() -> bool:
            return not any(self.shop.ready(queue) for queue in NoticeQueue)

        wait_until(is_done, timeout_s=TOLD_S, what="queues of notifications empty")

    def dead_letters(self, queue: NoticeQueue = NoticeQueue.USER) -> list[Mapping[str, Any]]:
        """Take the dead letters of *queue*; return their headers."""
        return [each.headers for each in self.shop.take_all(f"{queue}.dlq")]
