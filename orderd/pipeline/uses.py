"""Which tables a command works with, and how: what a lock on one of them keeps waiting."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Final

from orderd.protocol.commands import List
from orderd.protocol.envelope import Command
from orderd.shop.registry import SHOP
from orderd.shop.tables import Table


class Use(IntEnum):
    """What is done with a table; each needs a stronger lock on it than the one before."""

    READ = 1  # ACCESS SHARE
    LOCK_ROWS = 2  # ROW SHARE
    WRITE = 3  # ROW EXCLUSIVE


# What every command needs, if only because published events are deleted on the way.
SHARED: Final = ("processed_requests", "outbox", "deferrals")
TRIES: Final = "message_tries"


def uses_of(command: Command) -> Mapping[str, Use]:
    """Return the tables that *command* needs besides those that all need, by what it needs."""
    needs = SHOP.needs_of([command])
    used: dict[str, Use] = {}
    for table in SHOP.lock_order:
        followed = any(named is table for other in needs.followed for named, _ in other.follows)
        if needs.changed.get(table) or followed or needs.new_rows.get(table.name):
            use = Use.WRITE
        elif needs.referred_to.get(table):
            use = Use.LOCK_ROWS
        elif needs.seen.get(table) or any(needs.looked_up.get((table, c)) for c in table.unique):
            use = Use.READ
        else:
            continue
        used |= dict.fromkeys(_names(table), use)
    if isinstance(command.content, List):
        used |= dict.fromkeys(_names(SHOP.by_queue[command.queue].table), Use.READ)
    return used


def _names(table: Table[Any]) -> tuple[str, ...]:
    return (table.name,) if table.lines is None else (table.name, table.lines.name)
