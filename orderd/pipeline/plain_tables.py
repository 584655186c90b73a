"""Whether the tables keep what is written to them just as it is.

Reading back all that a batch has written costs a fifth of it, so that is only done where something
of others could make a difference: triggers, rules, row security, partitions, or columns of a type
that was not looked at yet.
"""

from typing import Final

from orderd.db.arrays import array
from orderd.db.shape import differences
from orderd.db.transaction import Transaction
from orderd.pipeline.written import COLUMNS

_TABLES: Final = array(COLUMNS)


class PlainTables:
    """Remembers columns that were found to give back each value as it was sent."""

    def __init__(self) -> None:
        """Know of no columns yet."""
        self._columns = ""

    def keep_what_is_written(self, tx: Transaction) -> bool:
        """Send what *tx* has to write; return whether nothing can have made a difference to it.

        To be asked after the writing: its locks keep what is found here as it is until COMMIT.
        """
        are_plain, columns = tx.row("look_at_tables", tables=_TABLES)
        if not are_plain:
            return False
        if columns != self._columns:
            if differences(tx):
                return False
            self._columns = columns
        return True
