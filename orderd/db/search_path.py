"""Whose tables the names of orderd's tables lead to, by search_path."""

import re
from collections.abc import Iterable
from typing import Final

from orderd.db.faults import SchemaFault
from orderd.db.options import check_dsn
from orderd.db.shape import TABLES
from orderd.db.transaction import Transaction
from orderd.protocol.values import value

_HISTORY: Final = "schema_migrations"
_COLUMNS_OF_HISTORY: Final = frozenset({"version", "name", "checksum"})


# In `options`, as PostgreSQL reads them: a backslash stands before a blank that ends nothing.
_IN_OPTIONS: Final = re.compile(r"(?:-c\s*|--)search_path=((?:\\.|\S)+)")
_DEFAULT_SCHEMA: Final = "public"
_ADVICE: Final = "give orderd a schema of its own, first in search_path"


@value
class _Found:
    """The table that a name leads to."""

    name: str
    schema: str
    owner: str
    is_table: bool
    columns: list[str]
    is_in_first_schema: bool
    search_path: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name} of role {self.owner}"


def schema_of(dsn: str) -> str:
    """Return the first schema of the search_path that *dsn* sets; `public` where it sets none.

    What database or role set is not known here. Raises ValueError where *dsn* can never work.
    """
    found = _IN_OPTIONS.findall(check_dsn(dsn).get("options", ""))
    path = re.sub(r"\\(.)", r"\1", found[-1]) if found else ""
    for part in map(str.strip, path.split(",")):
        if part and part.strip('"') != "$user":
            return part[1:-1].replace('""', '"') if part.startswith('"') else part.lower()
    return _DEFAULT_SCHEMA


def is_migrated(tx: Transaction) -> bool:
    """Return whether orderd's own record of migrations is there, with its tables beside it.

    Raises `SchemaFault` where a name leads to another program's table.
    """
    rows = tx.rows("find_tables", tables=[_HISTORY, *TABLES])
    found = {row[0]: _Found(*row) for row in rows}
    history = found.pop(_HISTORY, None)
    if history is None:
        _raise_if_in_the_way(found.values())
        return False
    if not _COLUMNS_OF_HISTORY.issubset(history.columns):
        if history.is_in_first_schema:
            has = f"it has the columns {', '.join(history.columns)}"
            raise SchemaFault(f"{history} is not orderd's: {has}; {_ADVICE}")
        # Another program's table, later in search_path: orderd's own will precede it.
        _raise_if_in_the_way(found.values())
        return False
    for table in found.values():
        if table.schema != history.schema:
            raise SchemaFault(
                f"the name {table.name} leads to {table}, but orderd's tables are in "
                f"{history.schema}: put that first in search_path, which is {table.search_path}"
            )
        if not table.is_table:
            raise SchemaFault(f"{table} is not a table")
    return True


def _raise_if_in_the_way(tables: Iterable[_Found]) -> None:
    """Raise `SchemaFault` where another program has a table that orderd is yet to create."""
    for table in tables:
        if table.is_in_first_schema:
            raise SchemaFault(f"{table} was not created by orderd; {_ADVICE}")
