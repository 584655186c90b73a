"""Publishes orders, each confirmed by the broker; runs in the guest, with Debian's pika."""

import json
import select
import sys

import pika

prefix, product_id, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
connection = pika.BlockingConnection(pika.URLParameters("amqp://guest:guest@localhost/%2F"))
channel = connection.channel()
channel.confirm_delivery()
published = 0
while published < count and not select.select([sys.stdin], [], [], 0)[0]:
    data = {"user_id": 1, "items": [{"product_id": product_id, "quantity": 1}]}
    body = json.dumps({"id": f"{prefix}{published + 1}", "action": "create", "data": data})
    channel.basic_publish("", "order", body, pika.BasicProperties(delivery_mode=2))
    published += 1
connection.close()
sys.stdout.write(f"{published}\n")
