"""Keys that change, tokens that come again: what a verification costs."""

from collections.abc import Sequence

import pytest

from orderd.auth import claims as claims_module
from orderd.auth import verifier as verifier_module
from orderd.auth.signatures import Key, parse_keys
from orderd.auth.verifier import READ_AGAIN_AFTER_S, TOKENS_KEPT_MAX, JwtVerifier, Rules
from orderd.shop.authorize import TurnedAway
from tests.support.web_tokens import AUDIENCE, ISSUER, NOW_S, claims, jwk, jwks, private_key, token

RULES = Rules(("EdDSA",), ISSUER, AUDIENCE, 30.0)
OLD = parse_keys(jwks(jwk("EdDSA", "old")), RULES.algorithms)
NEW = parse_keys(jwks(jwk("EdDSA", "new", 2)), RULES.algorithms)
BY_OLD = token(kid="old")
BY_NEW = token(key=private_key("EdDSA", 2), kid="new")


class File:
    """The file with the keys, and a clock."""

    def __init__(self, keys: Sequence[Key] | None) -> None:
        self.keys = keys
        self.reads = 0
        self.now_s = 1_000.0
        self.verifier = JwtVerifier(RULES, OLD, self.read, lambda: self.now_s)

    def read(self) -> Sequence[Key] | None:
        self.reads += 1
        return self.keys

    def refusal(self, one: str, at_s: float = NOW_S) -> str:
        with pytest.raises(TurnedAway) as caught:
            self.verifier.verify(one, at_s, at_s)
        return str(caught.value)


@pytest.fixture
def verified(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens of which claims were read, which is after their signatures were verified."""
    found: list[str] = []
    read = claims_module.read_claims

    def noted(one: str, issuer: str, audience: str) -> claims_module.Claims:
        found.append(one)
        return read(one, issuer, audience)

    monkeypatch.setattr(verifier_module, "read_claims", noted)
    return found


def test_a_token_by_a_new_key_is_let_in_within_a_minute() -> None:
    file = File(NEW)

    assert file.refusal(BY_NEW) == "has an unknown key: kid 'new'"
    file.now_s += READ_AGAIN_AFTER_S
    assert file.verifier.verify(BY_NEW, NOW_S, NOW_S).patterns == ("order.create",)
    assert file.reads == 1
    assert file.refusal(BY_OLD) == "has an unknown key: kid 'old'"


def test_a_key_that_was_taken_away_ends_what_was_verified_by_it() -> None:
    file = File(NEW)
    file.verifier.verify(BY_OLD, NOW_S, NOW_S)
    file.now_s += READ_AGAIN_AFTER_S

    file.verifier.verify(BY_NEW, NOW_S, NOW_S)

    assert "unknown key" in file.refusal(BY_OLD)


def test_a_storm_of_unknown_keys_reads_the_file_once_a_minute() -> None:
    file = File(OLD)

    for minute in range(3):
        for number in range(500):
            assert "unknown key" in file.refusal(token(kid=f"{minute}-{number}"))
        file.now_s += READ_AGAIN_AFTER_S

    assert file.reads == 2
    file.verifier.verify(BY_OLD, NOW_S, NOW_S)


def test_the_previous_keys_stay_where_the_file_cannot_be_used() -> None:
    file = File(None)
    file.now_s += READ_AGAIN_AFTER_S

    assert "unknown key" in file.refusal(BY_NEW)
    assert file.reads == 1
    file.verifier.verify(BY_OLD, NOW_S, NOW_S)


def test_known_keys_and_wrong_signatures_read_no_file() -> None:
    file = File(NEW)
    file.now_s += READ_AGAIN_AFTER_S

    file.verifier.verify(BY_OLD, NOW_S, NOW_S)
    assert file.refusal(token(key=private_key("EdDSA", 2), kid="old")) == "has a wrong signature"
    assert file.refusal("a.b.c").startswith("is malformed")
    assert file.reads == 0


def test_a_token_that_comes_again_is_verified_once(verified: list[str]) -> None:
    file = File(None)

    for _ in range(100):
        file.verifier.verify(BY_OLD, NOW_S, NOW_S)

    assert verified == [BY_OLD]


def test_a_token_that_comes_again_still_expires(verified: list[str]) -> None:
    file = File(None)
    one = token(claims(exp=NOW_S + 10, nbf=NOW_S - 10), kid="old")

    file.verifier.verify(one, NOW_S + 39, NOW_S + 39)
    assert file.refusal(one, NOW_S + 40) == "has expired"
    assert file.refusal(one, NOW_S - 100) == "is not valid yet"
    assert verified == [one]


def test_the_tokens_used_last_are_kept_and_no_more(verified: list[str]) -> None:
    file = File(None)
    tokens = [token(claims(jti=str(n)), kid="old") for n in range(TOKENS_KEPT_MAX + 1)]
    for one in tokens[:-1]:
        file.verifier.verify(one, NOW_S, NOW_S)
    file.verifier.verify(tokens[0], NOW_S, NOW_S)

    file.verifier.verify(tokens[-1], NOW_S, NOW_S)

    assert len(verified) == TOKENS_KEPT_MAX + 1
    file.verifier.verify(tokens[0], NOW_S, NOW_S)
    assert len(verified) == TOKENS_KEPT_MAX + 1
    file.verifier.verify(tokens[1], NOW_S, NOW_S)
    assert len(verified) == TOKENS_KEPT_MAX + 2


def test_a_refused_token_is_not_kept() -> None:
    file = File(None)
    forged = token(key=private_key("EdDSA", 2), kid="old")

    assert file.refusal(forged) == "has a wrong signature"
    assert file.refusal(forged) == "has a wrong signature"
    early = token(claims(nbf=NOW_S + 100), kid="old")
    assert file.refusal(early) == "is not valid yet"
    file.verifier.verify(early, NOW_S + 100, NOW_S + 100)
