"""Receipts: when a message first came, and from whom, in a header that only orderd can write.

A copy that waits for its retry, or lies in the dead letters, is judged by the time when its message
came: a token that expires meanwhile is no reason to turn it away. Headers are anybody's, so these
are signed, together with all that authorization looks at; the key is in the database.
"""

import hmac
import json
import re
from dataclasses import replace
from typing import Any, Final

from orderd.amqp.message import Delivery, Properties
from orderd.db.faults import SchemaFault
from orderd.db.transaction import Transaction
from orderd.protocol.amqp10 import message_id_of
from orderd.protocol.names import HEADER_RECEIVED, HEADER_USER_ID
from orderd.protocol.values import value

_FORM: Final = re.compile("([0-9]{1,15})[.]([0-9a-f]{64})", re.ASCII)


def read_key(tx: Transaction) -> bytes:
    """Return the key of this database; raises `SchemaFault` where it has none."""
    for (key,) in tx.rows("receipt_key"):
        return bytes(key)
    raise SchemaFault("table receipt_key is empty: no daemon could tell who sent what waits")


@value
class Receipt:
    """When a message first came, in milliseconds since 1970, and the RabbitMQ user that sent it."""

    received_ms: int
    user_id: str | None


class Receipts:
    """Reads and writes receipts with the key that all daemons of a database share."""

    def __init__(self, key: bytes | None = None) -> None:
        """Work with *key*; without one, no receipt is believed or written."""
        self._key = key

    def use(self, key: bytes) -> None:
        """Work with *key* from now on."""
        self._key = key

    def of(self, delivery: Delivery) -> Receipt:
        """Return the receipt of what *delivery* brings: the one it has, where it is genuine."""
        properties = delivery.properties
        return self._given(delivery) or Receipt(
            round(delivery.received_s * 1000), properties.user_id
        )

    def headers(self, delivery: Delivery) -> dict[str, Any]:
        """Return the headers by which a copy of *delivery* keeps its receipt."""
        if self._key is None:
            given = delivery.properties.headers or {}
            noted = {HEADER_USER_ID: given[HEADER_USER_ID]} if HEADER_USER_ID in given else {}
            return {**noted, **_user_id(delivery.properties.user_id)}
        return self._written(delivery, self.of(delivery))

    def transferred(self, delivery: Delivery, body: bytes) -> dict[str, str]:
        """Return these headers for *delivery* with another *body*, where it has a genuine receipt.

        An operator who edits a command answers for that.
        """
        receipt = self._given(delivery)
        return {} if receipt is None else self._written(replace(delivery, body=body), receipt)

    def _written(self, delivery: Delivery, receipt: Receipt) -> dict[str, str]:
        signature = "" if self._key is None else _signature(self._key, delivery, receipt)
        return {
            HEADER_RECEIVED: f"{receipt.received_ms}.{signature}",
            **_user_id(receipt.user_id),
        }

    def _given(self, delivery: Delivery) -> Receipt | None:
        headers = delivery.properties.headers
        given = headers.get(HEADER_RECEIVED) if headers else None
        if self._key is None or not isinstance(given, str):
            return None
        form = _FORM.fullmatch(given)
        if form is None:
            return None
        receipt = Receipt(int(form[1]), _sender(delivery.properties))
        signature = _signature(self._key, delivery, receipt)
        return receipt if hmac.compare_digest(form[2], signature) else None


def _sender(properties: Properties) -> str | None:
    """Return the user that sent the message: as RabbitMQ says, else as a copy's header does."""
    if properties.user_id is not None:
        return properties.user_id
    noted = (properties.headers or {}).get(HEADER_USER_ID)
    return noted if isinstance(noted, str) else None


def _user_id(user_id: str | None) -> dict[str, str]:
    return {} if user_id is None else {HEADER_USER_ID: user_id}


def _signature(key: bytes, delivery: Delivery, receipt: Receipt) -> str:
    """Return the signature (HMAC-SHA256, hex) over the receipt and its message."""
    properties = delivery.properties
    message_id = message_id_of(properties.message_id, properties.headers)
    told = [receipt.received_ms, str(delivery.queue), message_id, receipt.user_id]
    # This JSON is ASCII without a NUL, so nothing of the body can be taken for a part of it.
    signed = hmac.new(key, json.dumps(told).encode(), "sha256")
    signed.update(b"\0")
    signed.update(delivery.body)
    return signed.hexdigest()
