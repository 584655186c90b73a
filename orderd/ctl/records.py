"""Rows of ledger, outbox and pauses, as the JSON documents of orderctl."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from orderd.db.transaction import Transaction
from orderd.protocol.rows import rfc3339
from orderd.protocol.strict_json import MalformedJson, loads

LEDGER_FIELDS: Final = ("id", "queue", "action", "outcome", "code", "actor", "created_at")


def read_ledger(tx: Transaction, wanted: str) -> dict[str, Any] | None:
    """Return the row of a request with its response, None where there is none."""
    for *fields, response in tx.rows("read_ledger", id=wanted):
        row = ledger_row(wanted, *fields)
        return {**row, "response": loads(response.encode())}
    return None


def ledger_row(*fields: Any) -> dict[str, Any]:
    """Return the fields of a row, in the order of LEDGER_FIELDS, as a document."""
    row = dict(zip(LEDGER_FIELDS, fields, strict=True))
    return {**row, "created_at": rfc3339(row["created_at"])}


def read_pauses(tx: Transaction) -> Sequence[dict[str, Any]]:
    """Return the queues that are paused now: by whom, why, since when and until when."""
    return [
        {
            "queue": queue,
            "reason": reason,
            "by": paused_by,
            "since": rfc3339(since),
            "until": None if ends_at is None else rfc3339(ends_at),
        }
        for queue, reason, paused_by, since, ends_at in tx.rows("list_pauses")
    ]


def pause_text(pause: Mapping[str, Any]) -> str:
    """Return one of `read_pauses` in words."""
    end = f" (until {pause['until']})" if pause["until"] else ""
    return f"{pause['queue']} since {pause['since']} by {pause['by']}: {pause['reason']}{end}"


def outbox_event(fields: Sequence[Any]) -> dict[str, Any]:
    """Return a row of the outbox for JSON, with what its body says of itself."""
    row_id, message_id, event_type, body, created_at, claimed_at, age_s, *refused = fields
    refusals, not_before, is_set_aside, because = refused
    said = _said(body)
    return {
        "id": row_id,
        "message_id": message_id,
        "type": event_type,
        "subject": said.get("subject"),
        "correlationid": said.get("correlationid"),
        "created_at": rfc3339(created_at),
        "claimed_at": None if claimed_at is None else rfc3339(claimed_at),
        "age_s": round(age_s),
        "refusals": refusals,
        "next_try": None if not_before is None else rfc3339(not_before),
        "set_aside": is_set_aside,
        "refused_because": because,
    }


def _said(body: str) -> dict[str, Any]:
    """Return what a body says of itself; another program may have written it."""
    try:
        said = loads(body.encode())
    except MalformedJson:
        said = None
    return said if isinstance(said, dict) else {}
