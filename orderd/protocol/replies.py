"""What a caller is told, and in which form the ledger keeps it."""

from dataclasses import dataclass, fields
from typing import Any, Final, Literal, Self

from orderd.protocol.rows import Order, OrderItem, Product, User
from orderd.protocol.strict_json import dumps, loads, quote

_NAMES: Final = [tuple(f.name for f in fields(row)) for row in (User, Product, Order, OrderItem)]
# The ledger keeps replies of earlier versions as well, whose rows had no revision.
_ROW_FIELDS: Final = {
    frozenset(names): names
    for all_names in _NAMES
    for names in (all_names, tuple(name for name in all_names if name != "revision"))
}


@dataclass(frozen=True, slots=True)
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
    def from_stored(cls, text: str) -> Self:
        """Return what `stored` wrote, to the byte, after jsonb has reordered its keys."""
        stored = loads(text.encode())
        return cls(
            stored["status"],
            dumps(_in_row_order(stored["data"])),
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


def _in_row_order(value: Any) -> Any:
    match value:
        case dict():
            names = _ROW_FIELDS.get(frozenset(value), tuple(value))
            return {name: _in_row_order(value[name]) for name in names}
        case list():
            return [_in_row_order(member) for member in value]
        case _:
            return value
