from hashlib import sha256

import pytest

from orderd.protocol.envelope import Claim, Invalid, OwnRows
from orderd.shop.authorize import Scope, TurnedAway, authorize

TOKEN = "s3cret"


def grants(*patterns: str) -> dict[str, tuple[str, ...]]:
    return {sha256(TOKEN.encode()).hexdigest(): patterns}


def claim(token: str | None = TOKEN, action: str = "create") -> Claim:
    return Claim("order", action, token)


def test_without_authorization_everybody_may_do_everything() -> None:
    assert authorize(None, claim(None)) is None
    assert authorize(None, claim("any")) is None


def test_with_no_grants_nobody_may_do_anything() -> None:
    assert authorize({}, claim(None)) is not None
    assert authorize({}, claim()) is not None


@pytest.mark.parametrize("token", [TOKEN, f"Bearer {TOKEN}", f"Bearer  {TOKEN} "])
@pytest.mark.parametrize("pattern", ["order.create", "order.*", "*.create", "*"])
def test_a_known_token_may_do_what_its_patterns_name(token: str, pattern: str) -> None:
    assert authorize(grants("user.get", pattern), claim(token)) is None


@pytest.mark.parametrize("pattern", ["order.get", "product.*", "create", "Order.create", ""])
def test_what_no_pattern_names_is_forbidden(pattern: str) -> None:
    invalid = authorize(grants(pattern), claim())

    assert isinstance(invalid, Invalid)
    assert (invalid.code, invalid.message) == ("forbidden", "auth does not allow order.create")


@pytest.mark.parametrize("action", ["explode", "☃" * 1000, "\ud800", "a\nb", "x" * 100_000])
def test_an_action_that_does_not_exist_is_forbidden_in_few_plain_words(action: str) -> None:
    invalid = authorize(grants("order.get"), claim(action=action))

    assert isinstance(invalid, Invalid)
    assert invalid.code == "forbidden"
    assert invalid.message.isascii()
    assert "\n" not in invalid.message
    assert len(invalid.message) < 200
    assert authorize(grants("order.*"), claim(action=action)) is None


@pytest.mark.parametrize("token", [None, "", "Bearer", "Bearer ", "other", "bearer x", "\ud800"])
def test_another_token_is_unauthorized_and_not_shown(token: str | None) -> None:
    invalid = authorize(grants("*"), claim(token))

    assert isinstance(invalid, Invalid)
    assert invalid.code == "unauthorized"
    assert invalid.message in {"auth is missing", "auth is not a known token"}


@pytest.mark.parametrize("token", [None, "other", TOKEN])
def test_everybody_may_ask_whether_the_daemon_is_well(token: str | None) -> None:
    assert authorize(grants("order.get"), claim(token, "health_check")) is None


class Verifier:
    """Knows one JWT."""

    def __init__(self, *patterns: str, own: tuple[str, ...] = (), user_id: int | None = 7) -> None:
        self.scope = Scope(patterns, own, user_id)
        self.asked: list[tuple[str, float]] = []

    def verify(self, token: str, now_s: float) -> Scope:
        self.asked.append((token, now_s))
        if token != JWT:
            raise TurnedAway("has a wrong signature")
        return self.scope


JWT = "a.b.c"


@pytest.mark.parametrize("token", [JWT, f"Bearer {JWT}"])
def test_a_jwt_may_do_what_its_scope_names(token: str) -> None:
    verifier = Verifier("order.create")

    assert authorize({}, claim(token), verifier, 5.0) is None
    assert verifier.asked == [(JWT, 5.0)]
    one = authorize({}, claim(token, "get"), verifier)
    assert isinstance(one, Invalid)
    assert (one.code, one.message) == ("forbidden", "auth does not allow order.get")


def test_a_jwt_that_is_refused_is_unauthorized_and_the_reason_said() -> None:
    one = authorize({}, claim("x.y.z"), Verifier("*"))

    assert isinstance(one, Invalid)
    assert (one.code, one.message) == ("unauthorized", "auth has a wrong signature")


def test_three_dotted_parts_are_a_jwt_and_the_rest_are_tokens() -> None:
    verifier = Verifier("order.*")

    assert authorize(grants("order.create"), claim(TOKEN), verifier) is None
    assert not verifier.asked
    assert authorize(grants("order.create"), claim(JWT), verifier) is None
    dotted = {sha256(b"x.y.z").hexdigest(): ("*",)}
    one = authorize(dotted, claim("x.y.z"), verifier)
    assert isinstance(one, Invalid)
    assert one.message == "auth has a wrong signature"
    assert authorize(dotted, claim("x.y.z")) is None


def test_where_only_jwts_are_accepted_everything_is_taken_for_one() -> None:
    verifier = Verifier("*")

    one = authorize({}, claim(TOKEN), verifier)

    assert isinstance(one, Invalid)
    assert verifier.asked == [(TOKEN, 0.0)]


@pytest.mark.parametrize("own", ["order.create", "order.*", "*"])
def test_a_scope_of_own_rows_lets_in_for_these(own: str) -> None:
    assert authorize({}, claim(JWT), Verifier(own=(own,))) == OwnRows(7)
    assert authorize({}, claim(JWT), Verifier("order.create", own=(own,))) is None


@pytest.mark.parametrize(
    ("queue", "action"),
    [
        ("product", "get"),
        ("product", "create"),
        ("product", "list"),
        ("user", "create"),
        ("user", "list"),
        ("order", "explode"),
        ("shop", "get"),
    ],
)
def test_what_belongs_to_no_user_is_not_allowed_by_a_scope_of_own_rows(
    queue: str, action: str
) -> None:
    one = authorize({}, Claim(queue, action, JWT), Verifier(own=("*",)))

    assert isinstance(one, Invalid)
    assert (one.code, one.message) == ("forbidden", f"auth does not allow {queue}.{action}")


def test_a_scope_of_own_rows_without_a_user_allows_nothing() -> None:
    one = authorize({}, claim(JWT), Verifier(own=("*",), user_id=None))

    assert isinstance(one, Invalid)
    assert one.code == "forbidden"
    assert "orderd_user_id" in one.message
