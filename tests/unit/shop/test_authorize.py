from hashlib import sha256

import pytest

from orderd.protocol.envelope import Claim
from orderd.shop.authorize import authorize

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

    assert invalid is not None
    assert (invalid.code, invalid.message) == ("forbidden", "auth does not allow order.create")


@pytest.mark.parametrize("action", ["explode", "☃" * 1000, "\ud800", "a\nb", "x" * 100_000])
def test_an_action_that_does_not_exist_is_forbidden_in_few_plain_words(action: str) -> None:
    invalid = authorize(grants("order.get"), claim(action=action))

    assert invalid is not None
    assert invalid.code == "forbidden"
    assert invalid.message.isascii()
    assert "\n" not in invalid.message
    assert len(invalid.message) < 200
    assert authorize(grants("order.*"), claim(action=action)) is None


@pytest.mark.parametrize("token", [None, "", "Bearer", "Bearer ", "other", "bearer x", "\ud800"])
def test_another_token_is_unauthorized_and_not_shown(token: str | None) -> None:
    invalid = authorize(grants("*"), claim(token))

    assert invalid is not None
    assert invalid.code == "unauthorized"
    assert invalid.message in {"auth is missing", "auth is not a known token"}


@pytest.mark.parametrize("token", [None, "other", TOKEN])
def test_everybody_may_ask_whether_the_daemon_is_well(token: str | None) -> None:
    assert authorize(grants("order.get"), claim(token, "health_check")) is None
