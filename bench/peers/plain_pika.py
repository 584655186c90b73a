"""pika and psycopg2 alone: one transaction, one confirmed event and one ack a message."""

import json
from typing import Any

import pika
import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

from bench.peers.servers import DATABASE_URL, EVENTS_EXCHANGE, ORDERS_QUEUE, RABBITMQ_URL
from bench.peers.transaction import Refused, place_order

PREFETCH = 100
PERSISTENT = pika.BasicProperties(delivery_mode=2, content_type="application/json")


class Worker:
    """A database connection, and a broker connection with a channel for what is confirmed."""

    def __init__(self) -> None:
        self._database = psycopg2.connect(DATABASE_URL)
        self._broker = pika.BlockingConnection(pika.URLParameters(RABBITMQ_URL))
        self._channel = self._broker.channel()
        self._replies = self._broker.channel()
        self._channel.confirm_delivery()
        self._channel.basic_qos(prefetch_count=PREFETCH)

    def run(self) -> None:
        """Work until the process is ended."""
        self._channel.basic_consume(ORDERS_QUEUE, self._on_message)
        self._channel.start_consuming()

    def _on_message(self, channel: Any, delivery: Any, properties: Any, body: bytes) -> None:
        command = json.loads(body)
        try:
            response, is_new = settle(self._database, command)
            self._database.commit()
        except Refused as refusal:
            self._database.rollback()
            response, is_new = {"status": "error", "error": str(refusal)}, False
        if is_new:
            event = json.dumps(response["data"]).encode()
            channel.basic_publish(EVENTS_EXCHANGE, "order.created", event, PERSISTENT)
        if properties.reply_to:
            answer = pika.BasicProperties(correlation_id=properties.correlation_id)
            self._replies.basic_publish(
                "", properties.reply_to, json.dumps(response).encode(), answer
            )
        channel.basic_ack(delivery.delivery_tag)


def settle(database: Connection, command: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return the response to a command, and whether it took effect now; the ledger says if not."""
    with database.cursor() as cursor:
        cursor.execute("SELECT response FROM processed_requests WHERE id = %s", (command["id"],))
        known = cursor.fetchone()
        if known is not None:
            return known[0], False
        response = {"status": "ok", "data": place_order(database, command["data"]), "error": None}
        cursor.execute(
            "INSERT INTO processed_requests (id, queue, action, outcome, response, fingerprint) "
            "VALUES (%s, 'order', 'create', 'applied', %s, '')",
            (command["id"], json.dumps(response)),
        )
    return response, True


if __name__ == "__main__":
    Worker().run()
