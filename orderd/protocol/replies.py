"""Replies to requests, and the form in which the ledger stores them."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from orderd.protocol.strict_json import dumps, loads, quote
from orderd.protocol.values import value

# The fields of rows in the order in which replies have them, by the set of them.
RowFields = Mapping[frozenset[str], tuple[str, ...]]


@value
class Response:
    """The answer to one request, without the correlation id of the one who asked.

    `data` is JSON text, so that a row is written out once for reply, ledger and event.
    """

    status: Literal["ok", "error"]
    data: str = "null"
    error: str | None = None
    code: str | None = None

    @classmethod
    def ok(cls, data: str) -> Self:
        """Return the answer to a request that was applied; *data* is JSON text."""
        return cls("ok", data)

    @classmethod
    def failed(cls, code: str, error: str) -> Self:
        """Return the answer to a request that was not applied."""
        return cls("error", error=error, code=code)

    @classmethod
    def from_stored(cls, text: str, row_fields: RowFields) -> Self:
        """Return what `stored` wrote, to the byte, after jsonb has reordered its keys."""
        stored = loads(text.encode())
        return cls(
            stored["status"],
            dumps(_in_row_order(stored["data"], row_fields)),
            stored["error"],
            stored.get("code"),
        )

    def stored(self) -> str:
        """Return the answer as the ledger keeps it."""
        return f"{{{self._members()}}}"

    def reply(self, correlation_id: str | None) -> bytes:
        """Return the body of the reply to a request with this correlation id."""
        asked = "null" if correlation_id is None else quote(correlation_id)
        return f'{{"correlation_id":{asked},{self._members()}}}'.encode()

    def _members(self) -> str:
        if self.error is None:
            return f'"status":"ok","data":{self.data},"error":null'
        return (
            f'"status":"error","data":{self.data},"error":{quote(self.error)},'
            f'"code":{quote(self.code or "")}'
        )


def _in_row_order(value: Any, row_fields: RowFields) -> Any:
    match value:
        case dict():
            names = row_fields.get(frozenset(value), tuple(value))
            return {name: _in_row_order(value[name], row_fields) for name in names}
        case list():
            return [_in_row_order(member, row_fields) for member in value]
        case _:
            return value
