"""Dead letters as lines of JSON that keep every byte: what export writes and import reads."""

import base64
import binascii
import struct
from collections.abc import Mapping
from dataclasses import fields, replace
from hashlib import blake2b
from typing import Any, Final

from orderd.amqp.faults import Unpublishable
from orderd.amqp.message import Delivery, OutgoingMessage, Properties
from orderd.amqp.wire.properties import decode, encode
from orderd.ctl.dlq.dead_letters import dead_letter_queues, jsonable
from orderd.ctl.json_text import compact
from orderd.protocol.explain import shown
from orderd.protocol.masking import masked_body, masked_value
from orderd.protocol.strict_json import MalformedJson, dumps, loads

_QUEUES: Final = tuple(dead_letter_queues(None))
_FIELDS: Final = frozenset({"queue", "body", "body_base64", "properties", "properties_base64"})
# What a line for people has in place of the properties to the byte.
_MASKED: Final = "masked"
# The broker writes these when it delivers: they are not part of the message.
_DELIVERY_NOTES: Final = frozenset({"x-delivery-count", "x-acquired-count"})
# The default exchange would route the message to each of these as well.
_FAN_OUT_HEADERS: Final = ("CC", "BCC")


class NotALetter(Exception):
    """A line that is no exported dead letter; the text says why."""


def line_of(delivery: Delivery) -> str:
    """Return the line for *delivery*; raises Unpublishable where AMQP could not carry it again."""
    properties = stored_properties(delivery)
    document: dict[str, Any] = {"queue": delivery.queue}
    try:
        document["body"] = delivery.body.decode()
    except UnicodeDecodeError:
        document["body_base64"] = base64.b64encode(delivery.body).decode()
    if (readable := _readable(properties)) is not None:
        document["properties"] = readable
    document["properties_base64"] = base64.b64encode(encode(properties)).decode()
    return compact(document)


def masked_line_of(delivery: Delivery) -> str:
    """Return a line for people: with marks in place of tokens, and not to be imported."""
    body = masked_body(delivery.body.decode(errors="replace"))
    properties = masked_value(_readable(stored_properties(delivery)))
    document = {"queue": delivery.queue, "body": body, "properties": properties, _MASKED: True}
    return compact(document)


def message_of(line: bytes) -> OutgoingMessage:
    """Return the message of a *line*, to be put into its dead letter queue; raises NotALetter."""
    try:
        document = loads(line)
    except MalformedJson as error:
        raise NotALetter(str(error)) from error
    if not isinstance(document, dict):
        raise NotALetter(f"must be a JSON object; got {shown(document)}")
    if document.get(_MASKED) is True:
        raise NotALetter("has its tokens masked; export to a file or a pipe")
    for name in document:
        if name not in _FIELDS:
            raise NotALetter(f"{name[:100]!a} is not a field of an exported dead letter")
    queue = document.get("queue")
    if queue not in _QUEUES:
        raise NotALetter(f"queue must be one of {', '.join(_QUEUES)}; got {shown(queue)}")
    return OutgoingMessage("", queue, _body(document), _properties(document), mandatory=True)


def stored_properties(delivery: Delivery) -> Properties:
    """Return the properties of *delivery* as its queue has them, without notes on deliveries."""
    headers = delivery.properties.headers
    if headers is None or not _DELIVERY_NOTES & headers.keys():
        return delivery.properties
    kept = {name: value for name, value in headers.items() if name not in _DELIVERY_NOTES}
    return replace(delivery.properties, headers=kept or None)


def fingerprint(queue: str, body: bytes, properties: Properties) -> bytes:
    """Return what only messages with the same body and properties in the same queue share."""
    try:
        encoded = encode(properties)
    except Unpublishable:
        encoded = repr(properties).encode(errors="surrogateescape")
    digest = blake2b(digest_size=16)
    for part in (queue.encode(), encoded, body):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def _body(document: Mapping[str, Any]) -> bytes:
    if ("body" in document) == ("body_base64" in document):
        raise NotALetter("must have one of body and body_base64")
    if "body_base64" in document:
        return _bytes(document, "body_base64")
    body = document["body"]
    if not isinstance(body, str):
        raise NotALetter(f"body must be a string; got {shown(body)}")
    try:
        return body.encode()
    except UnicodeEncodeError as error:
        raise NotALetter(f"body must not contain lone surrogates; got {shown(body)}") from error


def _properties(document: Mapping[str, Any]) -> Properties:
    encoded = _bytes(document, "properties_base64")
    try:
        properties = decode(encoded)
        is_exact = encode(properties) == encoded
    except (ValueError, IndexError, struct.error, Unpublishable) as error:
        raise NotALetter(f"properties_base64 is not the encoding of AMQP: {error}") from error
    if not is_exact:
        raise NotALetter("properties_base64 is not the encoding of AMQP")
    given = document.get("properties")
    if given is not None and dumps(given) != dumps(_readable(properties)):
        raise NotALetter(
            "properties differ from properties_base64, which is what counts; to change a message, "
            "use orderctl dlq edit"
        )
    for name in _FAN_OUT_HEADERS:
        if name in (properties.headers or {}):
            raise NotALetter(f"properties: header {name} would send further copies")
    return properties


def _bytes(document: Mapping[str, Any], name: str) -> bytes:
    text = document.get(name)
    if not isinstance(text, str):
        raise NotALetter(f"{name} must be a string; got {shown(text)}")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NotALetter(f"{name} must be base64; got {shown(text)}") from error


def _readable(properties: Properties) -> Any:
    """Return the properties that are set as they can be read from JSON, for people and for jq.

    None where JSON cannot have them, such as deeply nested headers.
    """
    found = ((each.name, getattr(properties, each.name)) for each in fields(properties))
    document = {name: jsonable(value) for name, value in found if value is not None}
    try:
        return loads(compact(document).encode())
    except MalformedJson:
        return None
