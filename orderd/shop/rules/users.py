"""What may be done to users."""

from dataclasses import replace

from orderd.protocol.commands import UserCreate, UserGet, UserUpdate
from orderd.protocol.names import Queue, RefusalCode
from orderd.protocol.rows import User
from orderd.shop.outcomes import Answered, Applied, Refused
from orderd.shop.rules.revisions import is_outdated, revision_conflict
from orderd.shop.world import Table, World


def create(world: World, content: UserCreate) -> Applied | Refused:
    """Welcome a new user."""
    if content.username in world.usernames:
        message = f"Username {content.username} is taken"
        return Refused(RefusalCode.DUPLICATE_USERNAME, message)
    if content.email in world.emails:
        return _email_taken(content.email)
    (user_id,) = world.fresh_ids.peek(Table.USERS)
    user = User(
        user_id,
        content.username,
        content.email,
        content.full_name,
        content.is_active,
        world.now,
        world.now,
    )
    return Applied(user, (user,), (("user.created", user),))


def update(world: World, content: UserUpdate) -> Applied | Refused:
    """Give the user other values."""
    user = world.users.get(content.id)
    if user is None:
        return not_found(content.id)
    if is_outdated(user, content):
        return revision_conflict(user, content)
    changed = replace(user, **content.given())
    if world.emails.get(changed.email, user.id) != user.id:
        return _email_taken(changed.email)
    if changed == user:
        return Applied(user)
    changed = replace(changed, updated_at=world.now, revision=user.revision + 1)
    return Applied(changed, (changed,), (("user.updated", changed),))


def get(world: World, content: UserGet) -> Answered | Refused:
    """Return the user's row."""
    user = world.users.get(content.id)
    return not_found(content.id) if user is None else Answered(user.json())


def not_found(user_id: int, missing: Queue | None = None) -> Refused:
    """Return the refusal for a user that nobody knows."""
    return Refused(RefusalCode.USER_NOT_FOUND, f"User {user_id} does not exist", missing)


def _email_taken(email: str) -> Refused:
    return Refused(RefusalCode.DUPLICATE_EMAIL, f"E-mail {email} is taken")
