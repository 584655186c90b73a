from dataclasses import replace
from typing import Any

import pytest

from orderd.shop.outcomes import Answered
from orderd.shop.users import USERS, User
from tests.unit.shop.worlds import ANN, BOB, NOW, applied, do, events, refused, world_of

CY = {"username": "cy", "email": "cy@x.org"}


def test_a_new_user_is_active_and_has_the_next_id() -> None:
    world = world_of()

    decision = do(world, "user", "create", CY)

    user = User(100, "cy", "cy@x.org", None, True, NOW, NOW, 1)
    assert applied(decision).row == user
    assert events(decision) == [("user.created", "user/100")]
    assert world.rows[USERS][100] == user


def test_a_new_user_may_be_inactive_and_have_a_name() -> None:
    decision = do(world_of(), "user", "create", CY | {"full_name": "C Y", "is_active": False})

    row = applied(decision).row
    assert isinstance(row, User)
    assert (row.full_name, row.is_active) == ("C Y", False)


@pytest.mark.parametrize(
    ("taken", "code", "message"),
    [
        ({"username": "ann"}, "duplicate_username", "Username ann is taken"),
        ({"email": "bob@x.org"}, "duplicate_email", "E-mail bob@x.org is taken"),
        ({"username": "ann", "email": "ann@x.org"}, "duplicate_username", "Username ann is taken"),
        ({"email": "bob@X.ORG"}, "duplicate_email", "E-mail bob@x.org is taken"),
    ],
)
def test_username_and_email_are_unique(taken: dict[str, str], code: str, message: str) -> None:
    world = world_of()

    decision = do(world, "user", "create", CY | taken)

    assert refused(decision, code) == message
    assert events(decision) == [("user.refused", "user")]
    assert world.fresh_ids.used["users"] == 0


def test_a_user_of_the_same_batch_takes_names_too() -> None:
    world = world_of()
    do(world, "user", "create", CY)

    refused(do(world, "user", "create", CY), "duplicate_username")
    refused(do(world, "user", "create", CY | {"username": "dee"}), "duplicate_email")
    last = do(world, "user", "create", {"username": "dee", "email": "dee@x.org"})

    assert applied(last).row.id == 101


@pytest.mark.parametrize(
    "changes",
    [
        {"email": "new@x.org"},
        {"full_name": None},
        {"full_name": "Ann B"},
        {"is_active": False},
        {"email": "new@x.org", "full_name": "A", "is_active": False},
    ],
)
def test_an_update_replaces_what_is_given(changes: dict[str, Any]) -> None:
    decision = do(world_of(), "user", "update", {"id": 1, **changes})

    assert applied(decision).row == replace(ANN, updated_at=NOW, revision=2, **changes)
    assert events(decision) == [("user.updated", "user/1")]


@pytest.mark.parametrize(
    "same", [{"email": "ann@x.org"}, {"full_name": " Ann "}, {"is_active": True}]
)
def test_what_changes_nothing_is_no_event(same: dict[str, Any]) -> None:
    world = world_of()

    decision = do(world, "user", "update", {"id": 1, **same})

    assert applied(decision).row is ANN
    assert decision.events == ()
    assert world.changed_rows(USERS) == []


def test_the_email_of_another_user_is_refused() -> None:
    world = world_of()

    decision = do(world, "user", "update", {"id": 1, "email": "bob@x.org", "full_name": "x"})

    refused(decision, "duplicate_email")
    assert events(decision) == [("user.refused", "user/1")]
    assert world.rows[USERS][1] is ANN


def test_two_users_swap_emails_by_way_of_a_third() -> None:
    world = world_of()
    moves = [(1, "aside@x.org"), (2, "ann@x.org"), (1, "bob@x.org")]

    for user_id, email in moves:
        applied(do(world, "user", "update", {"id": user_id, "email": email}))

    assert {user.id: user.email for user in world.rows[USERS].values()} == {
        1: "bob@x.org",
        2: "ann@x.org",
    }
    applied(do(world, "user", "create", CY | {"email": "aside@x.org"}))
    refused(do(world, "user", "create", {**CY, "username": "d", "email": "ann@x.org"}),
            "duplicate_email")  # fmt: skip


def test_an_email_that_was_given_up_may_be_taken_back() -> None:
    world = world_of()

    for email in ("new@x.org", "ann@x.org"):
        applied(do(world, "user", "update", {"id": 1, "email": email}))

    refused(do(world, "user", "create", CY | {"email": "ann@x.org"}), "duplicate_email")
    applied(do(world, "user", "create", CY | {"email": "new@x.org"}))


def test_an_unknown_user_is_refused_at_once() -> None:
    decision = do(world_of(arriving=None), "user", "update", {"id": 99, "is_active": True})

    assert refused(decision, "user_not_found") == "User 99 does not exist"


def test_a_user_is_got() -> None:
    assert do(world_of(), "user", "get", {"id": 2}).outcome == Answered(BOB.json())
    refused(do(world_of(), "user", "get", {"id": 99}), "user_not_found")
