"""Celery on RabbitMQ: a task that is acked late, a database connection for each process.

`celery --app bench.peers.celery_worker worker` is the worker; `python -m bench.peers.celery_worker`
sends it the commands of standard input, one a line.
"""

import json
import sys
from typing import Any

import psycopg2
from celery import Celery
from celery.signals import worker_process_init

from bench.peers.servers import DATABASE_URL, RABBITMQ_URL
from bench.peers.transaction import place_order

app = Celery("orders", broker=RABBITMQ_URL)
app.conf.update(
    task_acks_late=True, task_ignore_result=True, broker_connection_retry_on_startup=True
)
connections: list[Any] = []


@worker_process_init.connect
def connect(**_: Any) -> None:
    """Connect once in each process of the pool."""
    connections.append(psycopg2.connect(DATABASE_URL))


@app.task(name="create_order")
def create_order(command: dict[str, Any]) -> None:
    """Write one order."""
    with connections[0] as connection:
        place_order(connection, command["data"])


if __name__ == "__main__":
    with app.producer_pool.acquire(block=True) as producer:
        for line in sys.stdin:
            create_order.apply_async((json.loads(line),), producer=producer)
