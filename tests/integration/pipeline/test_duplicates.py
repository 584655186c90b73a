"""What an operator's unique index keeps apart is refused at once, as what it is."""

import pytest

from orderd.protocol.names import DeferralCode
from orderd.shop.outcomes import Applied, Deferred, Duplicate, Refused
from orderd.shop.users import UserRefusal
from tests.integration.pipeline.shop import Shop, seen
from tests.support.commands import again, request

LOWER_EMAIL = "CREATE UNIQUE INDEX one_mail ON users (lower(email))"
LOWER_NAME = "CREATE UNIQUE INDEX one_name ON users (lower(username)) WHERE is_active"
CITEXT = (
    "CREATE EXTENSION citext; ALTER TABLE users ALTER email TYPE citext, ALTER username TYPE citext"
)
SEVERAL = "CREATE UNIQUE INDEX people ON users (full_name, lower(email))"


@pytest.mark.parametrize("index", [LOWER_EMAIL, CITEXT])
def test_an_email_that_an_index_takes_for_the_same_is_refused(shop: Shop, index: str) -> None:
    shop.query(index)
    batch = [
        request("user", "create", {"username": "u1", "email": "ZOE@x.org"}, request_id="1"),
        request("user", "create", {"username": "u2", "email": "new@x.org"}, request_id="2"),
        request("user", "update", {"id": 2, "email": "Zoe@x.org"}, request_id="3"),
        request("product", "update", {"id": 1, "price": 5}, request_id="4"),
    ]

    results = shop.process(batch)

    outcomes = [result.outcome for result in results]
    email = UserRefusal.DUPLICATE_EMAIL
    assert outcomes[0] == Refused(email, "E-mail ZOE@x.org is taken")
    assert outcomes[2] == Refused(email, "E-mail Zoe@x.org is taken")
    assert isinstance(outcomes[1], Applied)
    assert isinstance(outcomes[3], Applied)
    assert [kind for kind, _ in seen(results[0]).events] == ["user.refused"]
    assert shop.query("SELECT id, code FROM processed_requests WHERE outcome = 'refused'") == [
        ("1", "duplicate_email"),
        ("3", "duplicate_email"),
    ]
    repeated = shop.process([again(one) for one in batch])
    assert {type(result.outcome) for result in repeated} == {Duplicate}


@pytest.mark.parametrize("index", [LOWER_NAME, CITEXT])
def test_a_username_that_an_index_takes_for_the_same_is_refused(shop: Shop, index: str) -> None:
    shop.query(index)

    first, second = shop.process(
        [
            request("user", "create", {"username": "Ann", "email": "1@x.org"}),
            request("user", "create", {"username": "aNN", "email": "2@x.org"}),
        ]
    )

    assert isinstance(first.outcome, Applied)
    assert second.outcome == Refused(UserRefusal.DUPLICATE_USERNAME, "Username aNN is taken")


def test_an_index_on_several_columns_refuses_by_the_one_that_was_sent(shop: Shop) -> None:
    shop.query(SEVERAL)
    shop.query("UPDATE users SET full_name = 'Z'")

    (result,) = shop.process(
        [request("user", "create", {"username": "n", "email": "ZOE@x.org", "full_name": "Z"})]
    )

    assert isinstance(result.outcome, Refused)
    assert result.outcome.code == UserRefusal.DUPLICATE_EMAIL


def test_an_index_about_neither_is_no_duplicate_of_a_user(shop: Shop) -> None:
    shop.query("CREATE UNIQUE INDEX one_person ON users (full_name)")
    shop.query("UPDATE users SET full_name = 'Z' WHERE id = 1")

    (result,) = shop.process([request("user", "update", {"id": 2, "full_name": "Z"})])

    assert isinstance(result.outcome, Deferred)
    assert result.outcome.code == DeferralCode.TRANSIENT
    assert "constraint one_person" in result.outcome.message
