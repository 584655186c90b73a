"""Validates constraints that older rows may break, or names the rows that break them."""

from typing import Final

from orderd.db.connection import Database
from orderd.db.faults import RowFault
from orderd.runtime.installation import migrate_command
from orderd.shop.registry import SHOP

NAMED_MAX: Final = 20


def validate(database: Database) -> list[str]:
    """Validate what is not valid yet, each in a transaction; return which rows are in the way."""
    with database.transaction() as tx:
        rows = tx.rows("unvalidated_constraints", tables=list(SHOP.table_names))
    return [said for (table,) in rows if (said := _validate(database, table)) is not None]


def _validate(database: Database, table: str) -> str | None:
    try:
        with database.transaction() as tx:
            tx.later("take_time_to_migrate")
            tx.later(f"validate_{table}")
    except RowFault:
        with database.transaction() as tx:
            tx.later("take_time_to_migrate")
            ids = [str(row[0]) for row in tx.rows(f"untellable_{table}", rows_max=NAMED_MAX + 1)]
        more = " and more" if len(ids) > NAMED_MAX else ""
        rows = f"the rows with id {', '.join(ids[:NAMED_MAX])}{more}"
        return (
            f"table {table}: the constraint {table}_can_be_told stays NOT VALID, broken by {rows}; "
            f"correct them, then run: {migrate_command()}"
        )
    return None
