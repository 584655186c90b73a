"""Deliveries as the broker would hand them over, made without one."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

from orderd.amqp.message import Delivery, Properties
from orderd.protocol.envelope import ANYBODY, Admission, Claim, Command, Invalid, decode
from orderd.protocol.names import HEADER_ATTEMPT
from orderd.shop.registry import SHOP

BODY_BYTES_MAX = 1024 * 1024
_tags = count(1)


def delivery(queue: str, body: bytes, *, attempt: int = 0, **properties: Any) -> Delivery:
    """Return a delivery of *body*, with a tag that no other one has."""
    if attempt:
        headers = {HEADER_ATTEMPT: attempt} | dict(properties.pop("headers", None) or {})
        properties["headers"] = headers
    return Delivery(queue, body, Properties(**properties), next(_tags), 1, redelivered=False)


def request(
    queue: str,
    action: str,
    arguments: Mapping[str, Any] | None = None,
    *,
    request_id: str | None = None,
    version: str | None = None,
    attempt: int = 0,
    **properties: Any,
) -> Delivery:
    """Return the delivery of a command; *arguments* is its `data`, left out where None."""
    optional = {"data": arguments, "id": request_id, "version": version}
    body = {"action": action} | {k: v for k, v in optional.items() if v is not None}
    return delivery(queue, json.dumps(body).encode(), attempt=attempt, **properties)


def again(one: Delivery) -> Delivery:
    """Return a second delivery of the same message."""
    return replace(one, tag=next(_tags))


def command(
    queue: str, action: str, arguments: Mapping[str, Any] | None = None, **more: Any
) -> Command:
    """Return the command that the contract reads from such a request."""
    decoded = decoded_from(request(queue, action, arguments, **more))
    assert isinstance(decoded, Command), decoded
    return decoded


def decoded_from(one: Delivery) -> Command | Invalid:
    """Return what the contract makes of a delivery."""
    headers = one.properties.headers or {}
    attempt = int(headers.get(HEADER_ATTEMPT, 0))
    return decode(
        one.queue,
        one.body,
        one.properties.message_id,
        attempt,
        BODY_BYTES_MAX,
        models=SHOP.models,
        permit=let_in,
    )


def let_in(_claim: Claim) -> Admission:
    """Turn nobody away."""
    return ANYBODY


def in_queue_order(deliveries: Iterable[Delivery]) -> list[Delivery]:
    """Return *deliveries* in the order of a batch: users, products, orders, each as delivered."""
    rank = {"user": 0, "product": 1, "order": 2}
    return sorted(deliveries, key=lambda one: rank[one.queue])
