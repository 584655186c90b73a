"""The daemon's memory for the worst input of each kind, with the largest bodies that may be set."""

from collections.abc import Sequence
from itertools import repeat
from pathlib import Path

import pytest

from tests.acceptance.shop import REPLIES, Message, Shop, command
from tests.conftest import StartDaemon
from tools.daemon import DaemonProcess

# MemoryHigh of the unit: above it the kernel slows the daemon down.
MEMORY_MIB_MAX = 192
# The largest that may be set.
BODY_BYTES = 1_572_864
TIMEOUT_S = 120.0
# More than is ever in hand.
WAITING = 30


def peak_mib(one: DaemonProcess) -> float:
    """Return the most memory that the daemon has ever had."""
    status = Path(f"/proc/{one.pid}/status").read_text(encoding="ascii")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def padded(pattern: str, member: str, separator: str = ",") -> bytes:
    """Return *pattern* with as many copies of *member* in its place as a body may have."""
    room = BODY_BYTES - len(pattern.encode())
    count = room // len((member + separator).encode())
    return pattern.replace("@", separator.join(repeat(member, count))).encode()


def with_keys(pattern: str, value: str) -> bytes:
    """Return *pattern* with as many different keys in its place as a body may have."""
    room = BODY_BYTES - len(pattern)
    members = []
    for number in range(BODY_BYTES):
        member = f'"{number:x}":{value}'
        room -= len(member) + 1
        if room < 0:
            break
        members.append(member)
    return pattern.replace("@", ",".join(members)).encode()


ITEMS = '{"action":"create","data":{"user_id":1,"items":[@]}}'
BODIES = {
    "unknown fields": with_keys('{"action":"create","data":{@}}', "{}"),
    "unknown fields of an item": with_keys(ITEMS.replace("@", "{@}"), "1"),
    "unknown fields of the envelope": with_keys('{"action":"health_check",@}', "{}"),
    "items": padded(ITEMS, '{"product_id":1,"quantity":1}'),
    "items without anything": padded(ITEMS, "{}"),
    "nested lists": padded('{"action":"create","data":[@]}', "[" * 29 + "]" * 29),
    "nested objects": padded('{"action":"create","data":[@]}', '{"":' * 28 + "1" + "}" * 28),
    "small objects": padded('{"action":"create","data":[@]}', '{"":0}'),
    "numbers": padded('{"action":"create","data":[@]}', "0.1"),
    "a huge name": padded('{"action":"create","data":{"name":"\U0001f600@"}}', "x", ""),
    "a huge action": padded('{"action":"@"}', "\U0001f600", ""),
    "a huge token": padded('{"action":"health_check","auth":"\U0001f600@"}', "x", ""),
    "a huge field": padded('{"action":"create","data":{"@":1}}', "\u2603", ""),
    "no JSON": b"[" * BODY_BYTES,
    "no text": b"\xff" * BODY_BYTES,
}
# One of each way to be costly: parsed, kept, dead-lettered, answered.
ALONE = ["unknown fields of the envelope", "nested lists", "numbers", "a huge token", "no text"]


@pytest.mark.parametrize("name", ALONE)
def test_bodies_as_large_as_may_be(shop: Shop, daemon: StartDaemon, name: str) -> None:
    send(shop, "product", [BODIES[name]] * WAITING)

    one = daemon(body_bytes_max=BODY_BYTES)

    shop.take(REPLIES, WAITING, timeout_s=TIMEOUT_S)
    assert peak_mib(one) < MEMORY_MIB_MAX


def test_bodies_of_every_kind_one_after_the_other(shop: Shop, daemon: StartDaemon) -> None:
    bodies = [*BODIES.values(), *reversed(BODIES.values())]
    send(shop, "order", bodies)

    one = daemon(body_bytes_max=BODY_BYTES)

    shop.take(REPLIES, len(bodies), timeout_s=TIMEOUT_S)
    assert peak_mib(one) < MEMORY_MIB_MAX


def test_lists_of_big_orders(shop: Shop, daemon: StartDaemon) -> None:
    shop.open_with(stock=10**9, products=100)
    shop.query(
        "INSERT INTO orders (user_id, status, total_amount) "
        "SELECT 1, 'pending', 1000 FROM generate_series(1, 500)"
    )
    shop.query(
        "INSERT INTO order_items (order_id, product_id, quantity, unit_price) "
        "SELECT orders.id, product_id, 1000000, 9999999999.99 "
        "FROM orders, generate_series(1, 100) AS product_id"
    )
    shop.send_all([command("order", "list", {"limit": 500}) for _ in range(60)])

    one = daemon()

    replies = shop.take(REPLIES, 60, timeout_s=TIMEOUT_S)
    assert all(reply.json["data"]["next"] for reply in replies)
    assert peak_mib(one) < MEMORY_MIB_MAX


def test_changes_of_big_orders(shop: Shop, daemon: StartDaemon) -> None:
    shop.open_with(stock=10**9, products=100)
    wide = [{"product_id": product_id, "quantity": 9} for product_id in range(1, 101)]
    shop.send_all([command("order", "create", {"user_id": 1, "items": wide}) for _ in range(400)])

    one = daemon()

    shop.take(REPLIES, 400, timeout_s=TIMEOUT_S)
    assert peak_mib(one) < MEMORY_MIB_MAX


def send(shop: Shop, queue: str, bodies: Sequence[bytes]) -> None:
    """Send bodies that are answered, one by one: together they would be an alarm's cause."""
    properties = command(queue, "get").properties
    for body in bodies:
        shop.send_all([Message(queue, body, properties)])
