"""Where the servers are, for all peers."""

import os

DATABASE_URL = os.environ["ORDERD_DATABASE_URL"]
RABBITMQ_URL = os.environ["ORDERD_RABBITMQ_URL"]
EVENTS_EXCHANGE = "orderd.events"
ORDERS_QUEUE = "order"
