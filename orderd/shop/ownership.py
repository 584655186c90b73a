"""Whether a command names only rows of the user to whose rows its token is confined."""

from orderd.protocol.envelope import Command, Invalid
from orderd.protocol.names import InvalidCode
from orderd.shop.registry import SHOP
from orderd.shop.world import World


def not_own(world: World, command: Command) -> Invalid | None:
    """Return why *command* is forbidden: it names a row of another user, or one that is not there.

    The answer is the same for both, so that nothing is learnt of rows of others.
    """
    if command.own_of is None:
        return None
    owner = SHOP.actions[type(command.content)].owner
    if owner is not None and owner(world, command.content) == command.own_of:
        return None
    message = f"auth allows {command.queue}.{command.action} only for rows of user {command.own_of}"
    return Invalid(InvalidCode.FORBIDDEN, message, command.request_id, command.action)
