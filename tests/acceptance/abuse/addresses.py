"""Direct reply addresses as a caller can make them up, none of them of a caller that listens."""

import base64
import struct
from collections.abc import Callable
from typing import Final

import pika

from tests.acceptance.shop import DIRECT_REPLY_TO

KEY: Final = "C41l5w+Xi5MSGOBQ8Sb6OA=="


def address(node: bytes, numbers: bytes, key: str = KEY) -> str:
    """Return the address of a process by its node and numbers, encoded as Erlang does."""
    process = b"\x83Xv" + len(node).to_bytes(2, "big") + node + numbers
    return f"{DIRECT_REPLY_TO}.{base64.b64encode(process).decode()}.{key}"


def numbers(process: int, creation: int = 1) -> bytes:
    return struct.pack(">III", process, 0, creation)


# By what is wrong with them: the number of the message, and node and creation of the broker.
MADE_UP: Final[dict[str, Callable[[int, bytes, bytes], str]]] = {
    "no base64": lambda n, _node, _creation: f"{DIRECT_REPLY_TO}.made-up-{n}",
    "a byte is missing": lambda n, _node, _creation: address(b"reply@%d" % n, numbers(n)[:11]),
    "a node that is none of the cluster": lambda n, _node, _creation: address(
        b"reply@%d" % (11_656_788 + n), numbers(n)
    ),
    "a host that does not exist": lambda n, _node, _creation: address(
        b"rabbit@host%d" % n, numbers(n)
    ),
    "a process that cannot exist": lambda n, node, creation: address(
        node, struct.pack(">II", 2**32 - 1 - n, 2**32 - 1) + creation
    ),
    "a process that is no channel": lambda n, node, creation: address(
        node, struct.pack(">II", n, 0) + creation
    ),
}


def broker_of(url: str) -> tuple[bytes, bytes]:
    """Return node and creation in the reply addresses that the broker at *url* gives out."""
    found: list[str] = []
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.add_on_return_callback(lambda *returned: found.append(returned[2].reply_to))
        channel.basic_consume(DIRECT_REPLY_TO, lambda *_: None, auto_ack=True)
        properties = pika.BasicProperties(reply_to=DIRECT_REPLY_TO)
        channel.basic_publish("", "", b"", properties, mandatory=True)
        while not found:
            connection.process_data_events(0.1)
    process = base64.b64decode(found[0].split(".")[3])
    end = 5 + int.from_bytes(process[3:5], "big")
    return process[5:end], process[-4:]
