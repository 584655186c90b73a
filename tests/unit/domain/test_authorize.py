from dataclasses import replace
from hashlib import sha256

import pytest

from orderd.domain.authorize import authorize
from tests.harness.commands import command

TOKEN = "s3cret"
COMMAND = command("order", "create", {"user_id": 1, "items": [{"product_id": 1, "quantity": 1}]},
                  request_id="r")  # fmt: skip


def grants(*patterns: str) -> dict[str, tuple[str, ...]]:
    return {sha256(TOKEN.encode()).hexdigest(): patterns}


def test_without_grants_everybody_may_do_everything() -> None:
    assert authorize({}, COMMAND) is None
    assert authorize({}, replace(COMMAND, token="any")) is None


@pytest.mark.parametrize("token", [TOKEN, f"Bearer {TOKEN}", f"Bearer  {TOKEN} "])
@pytest.mark.parametrize("pattern", ["order.create", "order.*", "*.create", "*"])
def test_a_known_token_may_do_what_its_patterns_name(token: str, pattern: str) -> None:
    assert authorize(grants("user.get", pattern), replace(COMMAND, token=token)) is None


@pytest.mark.parametrize("pattern", ["order.get", "product.*", "create", "Order.create", ""])
def test_what_no_pattern_names_is_forbidden(pattern: str) -> None:
    invalid = authorize(grants(pattern), replace(COMMAND, token=TOKEN))

    assert invalid is not None
    assert (invalid.code, invalid.message) == ("forbidden", "auth: does not allow order.create")
    assert invalid.request_id == "r"


@pytest.mark.parametrize("token", [None, "", "Bearer", "Bearer ", "other", "bearer x", "\ud800"])
def test_another_token_is_unauthorized_and_not_shown(token: str | None) -> None:
    invalid = authorize(grants("*"), replace(COMMAND, token=token))

    assert invalid is not None
    assert invalid.code == "unauthorized"
    assert invalid.message in {"auth: is missing", "auth: is not a known token"}
