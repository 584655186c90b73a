"""Users: who may order."""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from orderd.protocol.commands import Change, CommandData, Get, List
from orderd.protocol.fields import Email, Identity, Text, Username
from orderd.protocol.names import Queue
from orderd.protocol.rows import rfc3339
from orderd.protocol.strict_json import quote
from orderd.protocol.values import value
from orderd.shop.entity import Action, Entity, in_all, listing
from orderd.shop.needs import Needs
from orderd.shop.outcomes import Answered, Applied, Refused
from orderd.shop.revisions import is_outdated, revision_conflict
from orderd.shop.tables import Column, Kind, Table
from orderd.shop.world import World


@value
class User:
    """A customer; username and e-mail are unique."""

    id: int
    username: str
    email: str
    full_name: str | None
    is_active: bool
    created_at: datetime
    updated_at: datetime
    revision: int = 1

    def json(self) -> str:
        """Return the row as JSON text."""
        full_name = "null" if self.full_name is None else quote(self.full_name)
        return (
            f'{{"id":{self.id},"username":{quote(self.username)},"email":{quote(self.email)},'
            f'"full_name":{full_name},"is_active":{"true" if self.is_active else "false"},'
            f'"created_at":"{rfc3339(self.created_at)}","updated_at":"{rfc3339(self.updated_at)}",'
            f'"revision":{self.revision}}}'
        )


USERS: Final = Table(
    "users",
    User,
    (
        Column("username", Kind.NAME, is_fixed=True, is_unique=True),
        Column("email", Kind.NAME, is_unique=True),
        Column("full_name", Kind.NAME, may_be_null=True),
        Column("is_active", Kind.BOOLEAN),
    ),
    make=User,
    is_referred_to=True,
)


class UserEvent(StrEnum):
    """What events tell of users."""

    CREATED = "user.created"
    UPDATED = "user.updated"


class UserRefusal(StrEnum):
    """Why rules about users say no."""

    NOT_FOUND = "user_not_found"
    DUPLICATE_USERNAME = "duplicate_username"
    DUPLICATE_EMAIL = "duplicate_email"


class UserCreate(CommandData):
    """A new user."""

    username: Username
    email: Email
    full_name: Text | None = None
    is_active: bool = True


class UserUpdate(Change):
    """Other values for a user; a `full_name` of null takes the name away."""

    id: Identity
    email: Email = ""
    full_name: Text | None = None
    is_active: bool = True


class UserGet(Get):
    """The user with this id."""


class UserList(List):
    """A page of users."""


def _to_create(needs: Needs, content: UserCreate) -> None:
    needs.to_make(USERS)
    needs.to_look_up(USERS, "username", content.username)
    needs.to_look_up(USERS, "email", content.email)


def _to_update(needs: Needs, content: UserUpdate) -> None:
    needs.to_change(USERS, content.id)
    if "email" in content.model_fields_set:
        needs.to_look_up(USERS, "email", content.email)


def _to_get(needs: Needs, content: UserGet) -> None:
    needs.to_see(USERS, content.id)


def _create(world: World, content: UserCreate) -> Applied | Refused:
    """Welcome a new user."""
    if world.holder_of(USERS, "username", content.username) is not None:
        message = f"Username {content.username} is taken"
        return Refused(UserRefusal.DUPLICATE_USERNAME, message)
    if world.holder_of(USERS, "email", content.email) is not None:
        return _email_taken(content.email)
    user = User(
        world.next_id(USERS),
        content.username,
        content.email,
        content.full_name,
        content.is_active,
        world.now,
        world.now,
    )
    return Applied(user, (user,), ((UserEvent.CREATED, user),))


def _update(world: World, content: UserUpdate) -> Applied | Refused:
    """Give the user other values."""
    user = world.find(USERS, content.id)
    if user is None:
        return not_found(content.id)
    if is_outdated(user, content):
        return revision_conflict(user, content)
    changed = replace(user, **content.given())
    if world.holder_of(USERS, "email", changed.email) not in (None, user.id):
        return _email_taken(changed.email)
    if changed == user:
        return Applied(user)
    changed = replace(changed, updated_at=world.now, revision=user.revision + 1)
    return Applied(changed, (changed,), ((UserEvent.UPDATED, changed),))


def _get(world: World, content: UserGet) -> Answered | Refused:
    """Return the user's row."""
    user = world.find(USERS, content.id)
    return not_found(content.id) if user is None else Answered(user.json())


def _named(_world: World, content: UserGet | UserUpdate) -> int:
    """Return the id of the user, to whom the row belongs."""
    return content.id


def not_found(user_id: int, missing: Queue | None = None) -> Refused:
    """Return the refusal for an unknown user."""
    return Refused(UserRefusal.NOT_FOUND, f"User {user_id} does not exist", missing)


def _email_taken(email: str) -> Refused:
    return Refused(UserRefusal.DUPLICATE_EMAIL, f"E-mail {email} is taken")


USER: Final = Entity(
    Queue.USER,
    USERS,
    (
        Action(
            "create",
            in_all(UserCreate),
            _to_create,
            _create,
            "creates a user, active unless told otherwise; username and e-mail are unique",
            events=((UserEvent.CREATED,),),
        ),
        Action(
            "update",
            in_all(UserUpdate),
            _to_update,
            _update,
            "replaces the given fields; a `full_name` of null removes the name",
            events=((UserEvent.UPDATED,),),
            owner=_named,
        ),
        Action("get", in_all(UserGet), _to_get, _get, "query: the row", owner=_named),
        listing(UserList, "query: a page of rows by id"),
    ),
    events=UserEvent,
    refusals={
        UserRefusal.NOT_FOUND: "There is no user with this id.",
        UserRefusal.DUPLICATE_USERNAME: "Another user has this name, or one that a unique index of "
        "yours treats as equal.",
        UserRefusal.DUPLICATE_EMAIL: "Another user has this e-mail, or one that a unique index of "
        "yours treats as equal.",
    },
)
