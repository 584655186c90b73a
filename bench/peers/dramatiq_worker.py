"""Dramatiq on RabbitMQ: an actor, a database connection for each thread.

`dramatiq bench.peers.dramatiq_worker -p 1 -t 8` is the worker; `python -m
bench.peers.dramatiq_worker` sends it the commands of standard input, one a line.
"""

import json
import sys
import threading
from typing import Any

import dramatiq
import psycopg2
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from bench.peers.servers import DATABASE_URL, RABBITMQ_URL
from bench.peers.transaction import place_order

broker = RabbitmqBroker(url=RABBITMQ_URL)
dramatiq.set_broker(broker)
local = threading.local()


@dramatiq.actor(queue_name="orders")
def create_order(command: dict[str, Any]) -> None:
    """Write one order; an exception is a retry."""
    if not hasattr(local, "connection"):
        local.connection = psycopg2.connect(DATABASE_URL)
    with local.connection:
        place_order(local.connection, command["data"])


if __name__ == "__main__":
    for line in sys.stdin:
        create_order.send(json.loads(line))
    broker.close()
