"""The closed set of the fields of a log line, besides those that every line has."""

from typing import TypedDict

from orderd.protocol.names import Queue


class LogFields(TypedDict, total=False):
    """Further fields of a line: a closed set, so that searches can rely on it."""

    queue: str | None
    action: str | None
    id: str | None
    correlation_id: str | None
    actor: str | None
    outcome: str | None
    code: str | None
    attempt: int | None
    order_id: int | None
    product_id: int | None
    user_id: int | None
    batch_size: int | None
    duration_ms: float | None


# Each entity's rows are told by a field of their own; those of the first ones are typed above.
_ROW_IDS = tuple(f"{q}_id" for q in Queue if f"{q}_id" not in LogFields.__annotations__)
FIELD_NAMES = (*LogFields.__annotations__, *_ROW_IDS, "error")
