"""Values that only a unique index of the database tells to be taken: an operator's own, or citext.

The rules compare usernames and e-mails to the letter; an index on ``lower(email)`` does not.
"""

from dataclasses import replace

from orderd.db.connection import Database
from orderd.db.faults import UniqueTaken
from orderd.pipeline.requests import Request
from orderd.shop.registry import SHOP
from orderd.shop.world import World


def as_taken(database: Database, request: Request, fault: UniqueTaken) -> Request | None:
    """Return *request* with the field that *fault* says is taken, None where it is neither.

    The catalogue tells which columns the index is about; of several, the first one is told.
    """
    table = SHOP.by_queue[request.command.queue].table
    with database.transaction() as tx:
        found = tx.rows("columns_of_unique", table=table.name, name=fault.index)
    columns = {row[0] for row in found}
    given = request.command.content.model_fields_set
    for column in table.unique:
        if column in columns and column in given:
            return replace(request, taken=column)
    return None


def mark_taken(world: World, request: Request) -> None:
    """Note in *world* that the unique value that *request* asks for is taken."""
    if request.taken is not None:
        table = SHOP.by_queue[request.command.queue].table
        world.mark_taken(table, request.taken, getattr(request.command.content, request.taken))
