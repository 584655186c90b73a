"""What each role needs of each table: the one list from which grants and documentation are made.

A test compares it with what PostgreSQL asks for each of the named queries. A table without a line
here fails there, too.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from orderd.protocol.roles import Role
from orderd.shop.registry import SHOP
from orderd.shop.tables import Column, Lines, Table

# By table, what stands between GRANT and ON.
Privileges = Mapping[str, tuple[str, ...]]

_SELECT: Final = "SELECT"
_INSERT: Final = "INSERT"
_UPDATE: Final = "UPDATE"
_DELETE: Final = "DELETE"
_READ: Final = (_SELECT,)
_EVERY_ROW: Final = (_SELECT, _INSERT, _UPDATE, _DELETE)
# What every change of a row of an entity writes besides.
_ALWAYS_CHANGED: Final = ("updated_at", "revision")
_RECIPIENT: Final = ("id", "username", "email", "full_name", "is_active")


def _update(columns: Iterable[Column], *more: str) -> str:
    """Return the right to change the columns that are not fixed, and no others."""
    names = [column.name for column in columns if not column.is_fixed]
    return f"UPDATE ({', '.join([*names, *more])})"


def _of_rows(table: Table[Any]) -> tuple[str, ...]:
    # Rows are never deleted.
    return (_SELECT, _INSERT, _update(table.columns, *_ALWAYS_CHANGED))


def _of_lines(lines: Lines) -> tuple[str, ...]:
    return (_SELECT, _INSERT, _update(lines.columns), _DELETE)


# Both daemons keep them: tries of messages, pauses of queues, and who they are.
_KEPT_BY_BOTH: Final = dict.fromkeys(("message_tries", "queue_pauses", "daemons"), _EVERY_ROW)

_DAEMON: Final[Privileges] = {
    **{entity.table.name: _of_rows(entity.table) for entity in SHOP.entities},
    **{lines.name: _of_lines(lines) for lines in SHOP.lines},
    # The ledger only grows. As of the outbox, no columns are named: migrations add some.
    "processed_requests": (_SELECT, _INSERT),
    # By the right to INSERT here, migrations know a daemon.
    "outbox": _EVERY_ROW,
    "deferrals": _EVERY_ROW,
    **_KEPT_BY_BOTH,
    "last_authorization": (_SELECT, _INSERT, _UPDATE),
    "receipt_key": _READ,
    # For orderctl beside the daemon.
    "notifications": _READ,
    "schema_migrations": _READ,
}
_NOTIFY: Final[Privileges] = {
    "users": (f"SELECT ({', '.join(_RECIPIENT)})",),
    "notifications": (_SELECT, _INSERT, _UPDATE),
    **_KEPT_BY_BOTH,
    "schema_migrations": _READ,
}

TABLES: Final = tuple(_DAEMON)
# No secrets: of a table with any, a reader has nothing.
_SECRET: Final = frozenset({"receipt_key"})
PRIVILEGES: Final[Mapping[Role, Privileges]] = {
    # The tables are its own.
    Role.OWNER: {},
    Role.DAEMON: _DAEMON,
    Role.NOTIFY: _NOTIFY,
    Role.READER: {table: _READ for table in TABLES if table not in _SECRET},
}
# Tables of whose ids a role takes the next ones.
WITH_IDS: Final[Mapping[Role, tuple[str, ...]]] = {Role.DAEMON: SHOP.tables_with_ids}


def by_privileges(role: Role) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """Yield what the role needs, each with all tables of which it needs that."""
    tables_by: dict[tuple[str, ...], list[str]] = {}
    for table, privileges in PRIVILEGES[role].items():
        tables_by.setdefault(privileges, []).append(table)
    yield from tables_by.items()
