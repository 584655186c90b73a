"""Rows of the table ``notifications``, as the JSON documents of orderctl and in words."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from orderd.db.transaction import Transaction
from orderd.protocol.rows import rfc3339

FIELDS: Final = (
    "id",
    "type",
    "channel",
    "recipient",
    "address",
    "state",
    "attempts",
    "created_at",
    "sent_at",
    "error",
    "digest_id",
)
_TIMES: Final = ("created_at", "sent_at")


def notification(fields: Sequence[Any]) -> dict[str, Any]:
    """Return a row, in the order of FIELDS, as a document."""
    row = dict(zip(FIELDS, fields, strict=True))
    return row | {name: None if row[name] is None else rfc3339(row[name]) for name in _TIMES}


def read_notifications(tx: Transaction, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the notifications of these events, of one event the oldest first."""
    return [notification(fields) for fields in tx.rows("read_notifications", ids=list(ids))]


def because(row: Mapping[str, Any]) -> str:
    """Return what there is to say besides the state: an error, or for what it waits."""
    if row["state"] == "collected":
        waits = "waits for its digest"
        return f"{waits}: {row['error']}" if row["error"] else waits
    return row["error"] or ""


def recipient(row: Mapping[str, Any]) -> str:
    """Return to whom it goes, with the address where that is another text."""
    if row["address"] in {"", row["recipient"]}:
        return str(row["recipient"])
    return f"{row['recipient']} {row['address']}"


def in_words(row: Mapping[str, Any]) -> str:
    """Return one row as a sentence without its end."""
    told = f"{row['state']} over {row['channel']} to {recipient(row)}"
    if row["sent_at"] is not None:
        told = f"{told} at {row['sent_at']}"
    if row["attempts"] > 1:
        told = f"{told}, {row['attempts']} attempts"
    return f"{told}: {why}" if (why := because(row)) else told
