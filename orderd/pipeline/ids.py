"""Ids of rows to come: taken from the sequences ahead of time, given up where others took them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from orderd.db.connection import Database
from orderd.db.faults import DatabaseOutage, IdsTaken
from orderd.shop.registry import SHOP
from orderd.shop.world import FreshIds, World

# A few ids are drawn, a right that every role of orderd has; setval is for a long way.
SET_BEYOND: Final = 10_000
DRAWS_MAX: Final = 10_000_000
_SLICE: Final = 100_000


class IdPool:
    """Ids that the sequences gave and no row has yet; rolling back returns them here.

    So ids come without gaps while the daemon runs, whatever a batch refuses or redoes.
    """

    def __init__(self) -> None:
        """Begin with no ids."""
        self._free: dict[str, list[int]] = {table: [] for table in SHOP.tables_with_ids}

    def shortage(self, new_rows: Mapping[str, int]) -> dict[str, int]:
        """Return how many ids of which table must be fetched for so many new rows."""
        return {
            table: count - len(self._free[table])
            for table, count in new_rows.items()
            if count > len(self._free[table])
        }

    def add(self, table: str, ids: Sequence[int]) -> None:
        """Take over ids from the sequence; raises IdsTaken where it gave one of them before."""
        free = self._free[table]
        if not set(free).isdisjoint(ids):
            # Whoever goes on all the same must not be given an id twice.
            free.clear()
            raise IdsTaken(f"the sequence of table {table} was set back", table)
        free.extend(ids)

    def fresh(self) -> FreshIds:
        """Return the ids for one try at a batch."""
        return FreshIds(self._free)

    def raise_if_taken(self, world: World) -> None:
        """Raise IdsTaken where a row of *world* has an id from here: it would be overwritten."""
        for table, rows in world.rows.items():
            self._raise_if_among(table.name, rows)
            lines = table.lines
            if lines is not None:
                ids = (line.id for row in rows.values() for line in lines.of(row))
                self._raise_if_among(lines.name, ids)

    def drop_used(self, fresh: FreshIds) -> None:
        """Forget the ids that a committed batch used."""
        for table, count in fresh.used.items():
            del self._free[table][:count]

    def forget(self, table: str) -> None:
        """Forget the ids of *table*: rows of others have some of them."""
        self._free[table].clear()

    def clear(self) -> None:
        """Forget all ids: a COMMIT whose outcome is unknown may have used some."""
        for ids in self._free.values():
            ids.clear()

    def _raise_if_among(self, table: str, ids: Iterable[int]) -> None:
        if not set(self._free[table]).isdisjoint(ids):
            raise IdsTaken(f"a row of table {table} has an id that was taken ahead", table)


def catch_up(database: Database, table: str, leap: int, keep_alive: Callable[[], None]) -> None:
    """Move the sequence of *table* past the rows that are in its way, and *leap* ids further.

    *keep_alive* is called between two slices of a long way. Raises DatabaseOutage where the way is
    too long for one go, with what has been gained so far kept.
    """
    with database.transaction() as tx:
        sequence, drawn, may_set = tx.row("draw_id", table=table)
        (found,) = tx.row(f"free_id_of_{table}", drawn=drawn)
        free = found + leap
        if may_set and free - drawn > SET_BEYOND:
            tx.later("lock_sequence", sequence=sequence)
            tx.later("set_sequence", sequence=sequence, value=free - 1)
            return
    draws = 0
    while drawn < free - 1:
        if draws >= DRAWS_MAX:
            raise DatabaseOutage(
                f"sequence {sequence} is {free - 1 - drawn} ids behind table {table}; "
                f"to set it at once: SELECT setval('{sequence}', {free - 1})"
            )
        count = min(_SLICE, free - 1 - drawn)
        with database.transaction() as tx:
            (drawn,) = tx.row("draw_ids", sequence=sequence, count=count)
        draws += count
        keep_alive()
