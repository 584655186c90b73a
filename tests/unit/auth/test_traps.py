"""The attacks on JWTs that RFC 8725 tells of, each tried."""

import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any

import pytest

from orderd.auth.claims import TOKEN_CHARACTERS_MAX
from orderd.auth.signatures import parse_keys
from orderd.auth.verifier import JwtVerifier, Rules
from orderd.shop.authorize import Expired, Scope, TurnedAway
from tests.support.web_tokens import (
    AUDIENCE,
    ISSUER,
    NOW_S,
    claims,
    encoded,
    jwk,
    jwks,
    pem,
    private_key,
    signed,
    token,
)

ALGORITHMS = ("EdDSA", "ES256", "RS256")
OTHER = private_key("EdDSA", 9)
HS256 = b'{"alg":"HS256","kid":"rsa"}'


def verifier(*names: str, content: bytes | None = None, leeway_s: float = 30.0) -> JwtVerifier:
    rules = Rules(names or ALGORITHMS, ISSUER, AUDIENCE, leeway_s)
    every = jwks(jwk("EdDSA"), jwk("ES256", "ec"), jwk("RS256", "rsa"), jwk("HS256", "mac"))
    keys = parse_keys(content or every, rules.algorithms)
    return JwtVerifier(rules, keys, lambda: None, lambda: 0.0)


def refusal(one: str, **how: Any) -> str:
    with pytest.raises(TurnedAway) as caught:
        verifier(**how).verify(one, NOW_S, NOW_S)
    return str(caught.value)


def unsigned(header: bytes, payload: bytes | None = None) -> str:
    return f"{encoded(header)}.{encoded(payload or json.dumps(claims()).encode())}."


def mac(header: bytes, secret: bytes) -> str:
    content = unsigned(header)[:-1]
    return f"{content}.{encoded(hmac.digest(secret, content.encode(), hashlib.sha256))}"


@pytest.mark.parametrize(
    ("algorithm", "kid"), [("EdDSA", "k1"), ("ES256", "ec"), ("RS256", "rsa"), ("EdDSA", None)]
)
def test_a_good_token_tells_what_it_allows(algorithm: str, kid: str | None) -> None:
    good = token(None, algorithm, kid=kid)

    assert verifier().verify(good, NOW_S, NOW_S) == Scope(("order.create",), subject="shop")


@pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
def test_a_token_that_says_that_it_needs_no_signature_is_refused(name: str) -> None:
    header = json.dumps({"alg": name, "kid": "k1"}).encode()

    assert refusal(unsigned(header)) == f"has an algorithm that is not allowed: '{name}'"


def test_a_signature_that_was_left_out_is_missed() -> None:
    assert refusal(unsigned(b'{"alg":"EdDSA","kid":"k1"}')) == "has a wrong signature"


def test_a_public_key_is_no_secret_of_hs256() -> None:
    secret = pem("RS256")

    allowed = (*ALGORITHMS, "HS256")
    for forged in (mac(HS256, secret), mac(HS256, secret.strip()), mac(b'{"alg":"HS256"}', secret)):
        assert "algorithm that is not allowed" in refusal(forged)
        with pytest.raises(TurnedAway, match=r"has an unknown key|has a wrong signature"):
            verifier(*allowed).verify(forged, NOW_S, NOW_S)
        with pytest.raises(TurnedAway, match="has an unknown key"):
            verifier(*allowed, content=secret).verify(forged, NOW_S, NOW_S)


def test_hs256_is_taken_only_where_it_is_named() -> None:
    good = token(None, "HS256", kid="mac")

    assert refusal(good) == "has an algorithm that is not allowed: 'HS256'"
    assert verifier("HS256").verify(good, NOW_S, NOW_S).patterns == ("order.create",)


@pytest.mark.parametrize("name", ["HS384", "RS512", "PS256", "ES384", "ES256K", "eddsa", "dir"])
def test_other_algorithms_are_refused(name: str) -> None:
    header = json.dumps({"alg": name, "kid": "k1"}).encode()

    assert "algorithm that is not allowed" in refusal(signed(header))


@pytest.mark.parametrize(("claimed", "kid"), [("RS256", "k1"), ("ES256", "rsa"), ("EdDSA", "ec")])
def test_a_key_of_another_type_is_not_used(claimed: str, kid: str) -> None:
    header = json.dumps({"alg": claimed, "kid": kid}).encode()

    assert "has an unknown key" in refusal(signed(header, None, "EdDSA"))


@pytest.mark.parametrize(
    "kid",
    [
        "../../../../dev/null",
        "/etc/passwd",
        "file:///etc/passwd",
        "https://attacker.example/jwks.json",
        "k1' OR '1'='1",
        "k1'; DROP TABLE users; --",
        "$(reboot)",
        "k1\0",
        "K1",
        "",
        "\ud800",
        "k" * 5_000,
    ],
)
def test_a_kid_is_a_name_and_nothing_else(kid: str) -> None:
    told = refusal(token(None, kid=kid))

    assert told.startswith("has an unknown key: kid ")
    assert told.isascii()
    assert len(told) < 150


@pytest.mark.parametrize("name", ["jku", "x5u"])
def test_no_key_is_fetched_from_where_a_token_says(name: str) -> None:
    where = {name: "https://attacker.example/jwks.json"}

    assert refusal(token(None, key=OTHER, **where)) == "has a wrong signature"
    verifier().verify(token(None, **where), NOW_S, NOW_S)


def test_no_key_is_taken_from_the_token_itself() -> None:
    brought = jwk("EdDSA", number=9)

    assert refusal(token(None, key=OTHER, jwk=brought)) == "has a wrong signature"
    assert refusal(token(None, key=OTHER, jwk=brought, x5c=["AA"], kid="new")) == (
        "has an unknown key: kid 'new'"
    )


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b'{"alg":"EdDSA","alg":"none","kid":"k1"}', "its header has the key 'alg' twice"),
        (b'{"alg":"EdDSA","kid":"x","kid":"k1"}', "its header has the key 'kid' twice"),
        (b"[]", "its header must be a JSON object"),
        (b"7", "its header must be a JSON object"),
        (b"{", "its header is not JSON"),
        (b"\xff", "its header is not UTF-8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"x":' + b"[" * 500 + b"]" * 500 + b"}", "nested deeper"),
        (b"{}", "alg must be a string; got null"),
        (b'{"alg":["EdDSA"]}', "alg must be a string; got a list"),
        (b'{"alg":"EdDSA","kid":7}', "kid must be a string; got 7"),
        (b'{"alg":"EdDSA","kid":{}}', "kid must be a string; got an object"),
        (b'{"alg":"EdDSA","typ":"JWE"}', "typ must be JWT or at+jwt; got 'JWE'"),
        (b'{"alg":"EdDSA","typ":"dpop+jwt"}', "typ must be JWT or at+jwt; got 'dpop+jwt'"),
        (b'{"alg":"EdDSA","typ":""}', "typ must be JWT or at+jwt; got ''"),
        (b'{"alg":"EdDSA","typ":null}', "typ must be JWT or at+jwt; got null"),
        (b'{"alg":"EdDSA","cty":"JWT"}', "cty is not supported"),
        (b'{"alg":"EdDSA","crit":["exp"],"exp":1}', "crit is not supported"),
        (b'{"alg":"EdDSA","crit":[]}', "crit is not supported"),
        (b'{"alg":"EdDSA","b64":false}', "b64 is not supported"),
        (b'{"alg":"EdDSA","zip":"DEF"}', "zip is not supported"),
    ],
)
def test_a_header_that_is_not_plain_is_malformed(header: bytes, reason: str) -> None:
    told = refusal(signed(header))

    assert told.startswith("is malformed: ")
    assert reason in told


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "AT+JWT", None])
def test_the_types_of_tokens_for_access_are_taken(kind: str | None) -> None:
    verifier().verify(token(None, typ=kind), NOW_S, NOW_S)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b'{"exp":1,"exp":1900000000}', "its payload has the key 'exp' twice"),
        (b"[]", "its payload must be a JSON object"),
        (b"{'exp':1}", "its payload is not JSON"),
        (b'{"exp":NaN}', "its payload has NaN"),
        (claims(exp=None), "exp is missing"),
        (claims(exp=str(NOW_S + 60)), "exp must be a number of seconds since 1970; got '18"),
        (claims(exp=True), "exp must be a number"),
        (claims(exp=-1), "exp must be a number"),
        (claims(exp=[NOW_S + 60]), "exp must be a number"),
        (claims(exp=10**400), "exp must be a number"),
        (json.dumps(claims()).replace("1800003600", "1e999999").encode(), "exp must be a number"),
        (claims(nbf="now"), "nbf must be a number"),
        (claims(iat={}), "iat must be a number"),
        (claims(scope=["order.create"]), "scope must be a string; got a list"),
        (claims(scope=7), "scope must be a string; got 7"),
        (claims(orderd_user_id="7"), "orderd_user_id must be the id of a user; got '7'"),
        (claims(orderd_user_id=True), "orderd_user_id must be the id of a user"),
        (claims(orderd_user_id=0), "orderd_user_id must be the id of a user"),
        (claims(orderd_user_id=2**63), "orderd_user_id must be the id of a user"),
        (claims(orderd_user_id=[7]), "orderd_user_id must be the id of a user"),
    ],
)
def test_claims_of_wrong_types_are_malformed(payload: Any, reason: str) -> None:
    if isinstance(payload, bytes):
        payload = payload.replace(b"{", f'{{"iss":"{ISSUER}","aud":"{AUDIENCE}",'.encode(), 1)
        payload = _once(payload)
    told = refusal(token(payload))

    assert told.startswith("is malformed: ")
    assert reason in told


def _once(payload: bytes) -> bytes:
    """Return the payload with issuer and audience once, where it had them."""
    added = f'"iss":"{ISSUER}","aud":"{AUDIENCE}",'.encode()
    return payload.replace(added, b"", 1) if payload.count(b'"iss"') > 1 else payload


@pytest.mark.parametrize(
    ("others", "reason"),
    [
        ({"iss": None}, "has the wrong issuer"),
        ({"iss": ISSUER.rstrip("/")}, "has the wrong issuer"),
        ({"iss": [ISSUER]}, "has the wrong issuer"),
        ({"aud": None}, "has the wrong audience"),
        ({"aud": "Orderd"}, "has the wrong audience"),
        ({"aud": []}, "has the wrong audience"),
        ({"aud": ["other"]}, "has the wrong audience"),
        ({"aud": [AUDIENCE, 7]}, "has the wrong audience"),
        ({"aud": {AUDIENCE: 1}}, "has the wrong audience"),
        ({"aud": f"other {AUDIENCE}"}, "has the wrong audience"),
        ({"exp": NOW_S - 30}, "has expired"),
        ({"exp": 0}, "has expired"),
        ({"nbf": NOW_S + 31}, "is not valid yet"),
        ({"iat": NOW_S + 31}, "is not valid yet"),
    ],
)
def test_a_token_for_others_or_another_time_is_refused(others: Any, reason: str) -> None:
    assert refusal(token(claims(**others))) == reason


@pytest.mark.parametrize(
    "others",
    [
        {"aud": ["other", AUDIENCE]},
        {"exp": NOW_S - 29},
        {"exp": NOW_S + 0.5},
        {"nbf": NOW_S + 29},
        {"iat": NOW_S + 30},
        {"iat": None},
    ],
)
def test_lists_of_audiences_and_clocks_that_differ_a_little_are_taken(others: Any) -> None:
    verifier().verify(token(claims(**others)), NOW_S, NOW_S)


def test_what_waited_here_is_judged_by_when_it_came() -> None:
    late = token(claims(exp=NOW_S, nbf=NOW_S - 10, iat=None))

    verifier().verify(late, NOW_S + 1_000, NOW_S + 29)
    with pytest.raises(Expired, match="has expired") as caught:
        verifier().verify(late, NOW_S + 1_000, NOW_S + 30)
    assert caught.value.scope.patterns == ("order.create",)
    # A clock that was behind when it came is no reason to turn it away for good.
    verifier().verify(late, NOW_S, NOW_S - 1_000)


@pytest.mark.parametrize("subject", ["a", "x" * 255, "ann@x.org", "Zoë ☃", None])
def test_the_subject_is_who_sent_it(subject: str | None) -> None:
    assert verifier().verify(token(claims(sub=subject)), NOW_S, NOW_S).subject == subject


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        (7, "sub must be a string; got 7"),
        (["ann"], "sub must be a string"),
        ("", "sub must have 1 to 255 printable characters; got ''"),
        ("x" * 256, "sub must have 1 to 255 printable characters"),
        ("a\nb", "printable characters"),
        ("a\0b", "printable characters"),
        ("a\ud800", "printable characters"),
        ("\u202eabc", "printable characters"),
    ],
)
def test_a_subject_that_cannot_be_stored_in_a_line_is_refused(subject: object, reason: str) -> None:
    told = refusal(token(claims(sub=subject)))

    assert told.startswith("is malformed: sub must ")
    assert reason in told
    assert told.isprintable()


def test_without_leeway_a_token_ends_to_the_second() -> None:
    one = token(claims(exp=NOW_S, iat=None))

    assert refusal(one, leeway_s=0.0) == "has expired"
    verifier(leeway_s=0.0).verify(one, NOW_S - 1, NOW_S - 1)


def test_a_token_within_a_token_is_refused() -> None:
    inner = token()

    assert "its payload is not JSON" in refusal(token(inner.encode()))
    assert "cty is not supported" in refusal(token(inner.encode(), cty="JWT"))


@pytest.mark.parametrize(
    "one",
    [
        "",
        "a",
        "a.b",
        "..",
        "a.b.c.d",
        "a.b.c.d.e",
        f"{token()}=",
        f" {token()}",
        token().replace(".", " ."),
        token() + "\n",
        "é.é.é",
        "\ud800.a.b",
        "a.b.c",
    ],
)
def test_what_is_not_three_parts_of_base64url_is_malformed(one: str) -> None:
    assert refusal(one).startswith("is malformed: ")


def test_a_huge_token_is_refused_unread() -> None:
    huge = token(claims(scope="x" * TOKEN_CHARACTERS_MAX))

    told = refusal(huge)

    assert told == (
        f"is malformed: it has {len(huge)} characters; at most {TOKEN_CHARACTERS_MAX} are allowed"
    )


def test_every_changed_character_of_a_token_is_noticed() -> None:
    good = token()
    checked = verifier()
    # The last character of each part has bits that mean nothing.
    ends = {index - 1 for index, each in enumerate(good) if each == "."} | {len(good) - 1}

    for place, character in enumerate(good):
        if character == "." or place in ends:
            continue
        changed = good[:place] + ("A" if character != "A" else "B") + good[place + 1 :]
        with pytest.raises(TurnedAway):
            checked.verify(changed, NOW_S, NOW_S)


@pytest.mark.parametrize(
    ("scope", "user_id", "expected"),
    [
        (None, None, Scope()),
        ("", None, Scope()),
        ("openid profile", None, Scope()),
        ("order.create  product.*", None, Scope(("order.create", "product.*"))),
        ("*", None, Scope(("*",))),
        ("*:own", 7, Scope((), ("*",), 7)),
        ("order.*:own user.get:own user.get", 7, Scope(("user.get",), ("order.*", "user.get"), 7)),
        ("order.create:own", None, Scope((), ("order.create",))),
        ("order.create:OWN order.?et *.get shop.* order.*:own:own", None, Scope()),
        ("order.create,product.*", None, Scope()),
    ],
)
def test_the_scope_has_words_of_orderd_and_of_others(
    scope: str | None, user_id: int | None, expected: Scope
) -> None:
    one = token(claims(scope=scope, orderd_user_id=user_id))

    assert verifier().verify(one, NOW_S, NOW_S) == replace(expected, subject="shop")
