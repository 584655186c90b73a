"""Users that only a unique index of the database tells to be taken: an operator's own, or citext.

The rules compare usernames and e-mails to the letter; an index on ``lower(email)`` does not.
"""

from dataclasses import replace
from typing import Final

from orderd.db.connection import Database
from orderd.db.faults import UniqueTaken
from orderd.pipeline.requests import Request
from orderd.protocol.commands import UserCreate, UserUpdate
from orderd.shop.world import World

_USERNAME: Final = "username"
_EMAIL: Final = "email"
# No row has it.
_SOMEBODY: Final = 0


def as_taken(database: Database, request: Request, fault: UniqueTaken) -> Request | None:
    """Return *request* with the field that *fault* says is taken, None where it is neither.

    The catalogue tells which columns of users the index is about; one about both tells usernames.
    """
    with database.transaction() as tx:
        columns = {row[0] for row in tx.rows("columns_of_unique", name=fault.index)}
    given = request.command.content.model_fields_set
    for column in (_USERNAME, _EMAIL):
        if column in columns and column in given:
            return replace(request, taken=column)
    return None


def mark_taken(world: World, request: Request) -> None:
    """Let *world* hold somebody who has what *request* was found to be too late for."""
    content = request.command.content
    if request.taken == _USERNAME and isinstance(content, UserCreate):
        world.usernames.setdefault(content.username, _SOMEBODY)
    elif request.taken == _EMAIL and isinstance(content, UserCreate | UserUpdate):
        world.emails.setdefault(content.email, _SOMEBODY)
