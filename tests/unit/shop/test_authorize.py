from hashlib import sha256

import pytest

from orderd.protocol.envelope import ANYBODY, Admission, Claim, Invalid
from orderd.shop.authorize import Arrival, Expired, Grant, Grants, Scope, TurnedAway, Verifies
from orderd.shop.authorize import authorize as judge

TOKEN = "s3cret"


NAMED = Admission("web")
FIRST = Arrival(received_s=5.0)


def grants(*patterns: str) -> dict[str, Grant]:
    return {sha256(TOKEN.encode()).hexdigest(): Grant("web", patterns)}


def authorize(
    grants: Grants, claim: Claim, verifier: Verifies | None = None, arrival: Arrival = FIRST
) -> Invalid | Admission:
    return judge(grants, claim, arrival, verifier=verifier, now_s=9.0)


def claim(token: str | None = TOKEN, action: str = "create") -> Claim:
    return Claim("order", action, token)


def test_without_authorization_everybody_may_do_everything() -> None:
    assert authorize(None, claim(None)) is ANYBODY
    assert authorize(None, claim("any")) is ANYBODY


def test_with_no_grants_nobody_may_do_anything() -> None:
    assert isinstance(authorize({}, claim(None)), Invalid)
    assert isinstance(authorize({}, claim()), Invalid)


@pytest.mark.parametrize("token", [TOKEN, f"Bearer {TOKEN}", f"Bearer  {TOKEN} "])
@pytest.mark.parametrize("pattern", ["order.create", "order.*", "*.create", "*"])
def test_a_known_token_may_do_what_its_patterns_name(token: str, pattern: str) -> None:
    assert authorize(grants("user.get", pattern), claim(token)) == NAMED


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
    assert authorize(grants("order.*"), claim(action=action)) == NAMED


@pytest.mark.parametrize("token", [None, "", "Bearer", "Bearer ", "other", "bearer x", "\ud800"])
def test_another_token_is_unauthorized_and_not_shown(token: str | None) -> None:
    invalid = authorize(grants("*"), claim(token))

    assert isinstance(invalid, Invalid)
    assert invalid.code == "unauthorized"
    assert invalid.message in {"auth is missing", "auth is not a known token"}


@pytest.mark.parametrize("token", [None, "other", TOKEN])
def test_everybody_may_ask_whether_the_daemon_is_well(token: str | None) -> None:
    assert authorize(grants("order.get"), claim(token, "health_check")) is ANYBODY


class Verifier:
    """Knows one JWT."""

    def __init__(self, *patterns: str, own: tuple[str, ...] = (), user_id: int | None = 7) -> None:
        self.scope = Scope(patterns, own, user_id, "ann")
        self.asked: list[tuple[str, float, float]] = []

    def verify(self, token: str, now_s: float, received_s: float) -> Scope:
        self.asked.append((token, now_s, received_s))
        if token == OLD:
            raise Expired(self.scope)
        if token != JWT:
            raise TurnedAway("has a wrong signature")
        return self.scope


JWT = "a.b.c"
OLD = "o.l.d"
ANN = Admission("ann")


@pytest.mark.parametrize("token", [JWT, f"Bearer {JWT}"])
def test_a_jwt_may_do_what_its_scope_names(token: str) -> None:
    verifier = Verifier("order.create")

    assert authorize({}, claim(token), verifier) == ANN
    assert verifier.asked == [(JWT, 9.0, 5.0)]
    one = authorize({}, claim(token, "get"), verifier)
    assert isinstance(one, Invalid)
    assert (one.code, one.message) == ("forbidden", "auth does not allow order.get")


def test_a_jwt_that_is_refused_is_unauthorized_and_the_reason_said() -> None:
    one = authorize({}, claim("x.y.z"), Verifier("*"))

    assert isinstance(one, Invalid)
    assert (one.code, one.message) == ("unauthorized", "auth has a wrong signature")


def test_three_dotted_parts_are_a_jwt_and_the_rest_are_tokens() -> None:
    verifier = Verifier("order.*")

    assert authorize(grants("order.create"), claim(TOKEN), verifier) == NAMED
    assert not verifier.asked
    assert authorize(grants("order.create"), claim(JWT), verifier) == ANN
    dotted = {sha256(b"x.y.z").hexdigest(): Grant("web", ("*",))}
    one = authorize(dotted, claim("x.y.z"), verifier)
    assert isinstance(one, Invalid)
    assert one.message == "auth has a wrong signature"
    assert authorize(dotted, claim("x.y.z")) == NAMED


def test_where_only_jwts_are_accepted_everything_is_taken_for_one() -> None:
    verifier = Verifier("*")

    one = authorize({}, claim(TOKEN), verifier)

    assert isinstance(one, Invalid)
    assert verifier.asked == [(TOKEN, 9.0, 5.0)]


@pytest.mark.parametrize("own", ["order.create", "order.*", "*"])
def test_a_scope_of_own_rows_lets_in_for_these(own: str) -> None:
    assert authorize({}, claim(JWT), Verifier(own=(own,))) == Admission("ann", 7)
    assert authorize({}, claim(JWT), Verifier("order.create", own=(own,))) == ANN


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


def test_who_is_turned_away_is_told_apart_by_name() -> None:
    beyond = authorize(grants("order.get"), claim())
    own = authorize({}, claim(JWT, "get"), Verifier("order.create"))

    assert isinstance(beyond, Invalid)
    assert isinstance(own, Invalid)
    assert (beyond.actor, own.actor) == ("web", "ann")


def test_without_a_token_the_user_of_rabbitmq_is_the_actor() -> None:
    sent = Arrival(5.0, user_id="shop")

    assert authorize(None, claim("any"), arrival=sent) == Admission("shop")
    assert authorize(grants("*"), claim(None, "health_check"), arrival=sent) == Admission("shop")
    assert authorize(grants("*"), claim(), arrival=sent) == NAMED
    missing = authorize(grants("*"), claim(None), arrival=sent)
    assert isinstance(missing, Invalid)
    assert missing.actor == "shop"


EXPIRED = Invalid("unauthorized", "auth has expired", actor="ann")  # type: ignore[arg-type]


def test_an_expired_token_is_let_in_only_for_what_was_answered_before() -> None:
    again = Arrival(5.0, is_redelivered=True)

    assert authorize({}, claim(OLD), Verifier("*")) == EXPIRED
    assert authorize({}, claim(OLD), Verifier("*"), again) == Admission("ann", lapsed=EXPIRED)
    own = authorize({}, claim(OLD), Verifier(own=("*",)), again)
    assert own == Admission("ann", 7, EXPIRED)
    assert authorize({}, claim(OLD), Verifier("order.get"), again) == EXPIRED
