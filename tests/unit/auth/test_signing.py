"""Keys that are made here, and the tokens that they sign: what the daemon's own code takes."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from orderd.auth.scopes import scope_faults
from orderd.auth.signatures import UnusableKeys, parse_keys
from orderd.auth.signing import ALGORITHMS, SigningKey, generate, parse_signing_key, thumbprint
from orderd.auth.verifier import JwtVerifier, Rules
from tests.support.web_tokens import AUDIENCE, ISSUER, NOW_S, claims, jwk, jwks, pem, private_key

# Of RFC 8037, appendix A, with the thumbprint that stands there.
ED25519 = {
    "kty": "OKP",
    "crv": "Ed25519",
    "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}


def verifier_of(key: SigningKey) -> JwtVerifier:
    keys = parse_keys(jwks(key.public_jwk()), ALGORITHMS)
    rules = Rules(ALGORITHMS, ISSUER, AUDIENCE, 30.0)
    return JwtVerifier(rules, keys, lambda: None, lambda: 0.0)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_daemon_takes_what_a_new_key_signs(algorithm: str) -> None:
    key = generate(algorithm)

    assert verifier_of(key).verify(key.sign(claims()), NOW_S, NOW_S).patterns == ("order.create",)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_private_key_comes_back_from_its_file(algorithm: str) -> None:
    key = generate(algorithm, "k7")
    files = [json.dumps(key.private_jwk()).encode()]
    if algorithm != "HS256":
        files.append(key.private_pem())

    for content in files:
        again = parse_signing_key(content, "k7")
        assert (again.algorithm, again.kid) == (algorithm, "k7")
        assert again.public_jwk() == key.public_jwk()
        assert verifier_of(key).verify(again.sign(claims()), NOW_S, NOW_S).patterns


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256"])
def test_without_a_name_a_key_has_its_thumbprint_in_both_halves(algorithm: str) -> None:
    key = generate(algorithm)

    assert key.kid == thumbprint(key.material)
    assert parse_signing_key(key.private_pem()).kid == key.kid
    assert key.public_jwk()["kid"] == key.kid
    assert key.public_jwk()["use"] == "sig"


def test_the_thumbprint_is_that_of_the_standard() -> None:
    key = parse_signing_key(json.dumps(ED25519).encode())

    assert key.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_a_secret_without_a_name_gets_none() -> None:
    own = {name: each for name, each in generate("HS256").private_jwk().items() if name != "kid"}

    key = parse_signing_key(json.dumps(own).encode())

    assert key.kid is None
    assert verifier_of(key).verify(key.sign(claims()), NOW_S, NOW_S).patterns


def test_a_public_jwk_has_nothing_private() -> None:
    for algorithm in ("EdDSA", "ES256", "RS256"):
        assert not {"d", "p", "q", "dp", "dq", "qi"} & generate(algorithm).public_jwk().keys()
    assert "k" in generate("HS256").public_jwk()


def private_pem(material: object, password: bytes | None = None) -> bytes:
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    found: bytes = material.private_bytes(  # type: ignore[attr-defined]
        Encoding.PEM, PrivateFormat.PKCS8, encryption
    )
    return found


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is neither a private key in PEM nor a JWK"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "is neither"),
        (pem("EdDSA"), "is a public key"),
        (json.dumps(jwk("ES256")).encode(), "is a public key"),
        (jwks(jwk("EdDSA")), "is a JWKS"),
        (b"{", "is not JSON"),
        (b'{"kty":"DH"}', "kty must be one of OKP, EC, RSA, oct; got 'DH'"),
        (b'{"kty":["oct"]}', "kty must be one of OKP, EC, RSA, oct; got a list"),
        (b'{"kty":"OKP","crv":"Ed25519"}', "is not a key of the type 'OKP'"),
        (b'{"kty":"oct","k":"c2hvcnQ"}', "HS256 needs 32 bytes, and it has 5"),
        (json.dumps({**ED25519, "alg": "RS256"}).encode(), "alg must be EdDSA"),
        (json.dumps({**ED25519, "kid": 7}).encode(), "kid must be a string; got 7"),
        (private_pem(private_key("EdDSA"), b"x"), "is encrypted"),
        (private_pem(ed448.Ed448PrivateKey.generate()), "is of none of the types"),
        (private_pem(ec.generate_private_key(ec.SECP384R1())), "is of none of the types"),
        (private_pem(rsa.generate_private_key(65_537, 1_024)), "RSA needs 2048 bits"),  # noqa: S505
    ],
)
def test_what_cannot_sign_is_refused_with_the_reason(content: bytes, why: str) -> None:
    with pytest.raises(UnusableKeys) as caught:
        parse_signing_key(content)

    assert str(caught.value).startswith(why)


def test_no_key_shows_itself() -> None:
    key = generate("HS256")

    assert str(key.material) not in repr(key)


@pytest.mark.parametrize(
    "scope",
    ["*", "order.*", "order.create product.list", "order.*:own", "*:own", "user.get:own", " * "],
)
def test_scopes_that_allow_something(scope: str) -> None:
    assert list(scope_faults(scope)) == []


@pytest.mark.parametrize(
    ("scope", "faults"),
    [
        ("", ["must have a word: QUEUE.ACTION, QUEUE.* or *, each with :own behind it or not"]),
        ("order.creat", ["'order.creat': is no action; did you mean order.create?"]),
        ("product.*:own", ["'product.*:own': allows nothing: these rows are of no user"]),
        ("* user.create:own", ["'user.create:own': allows nothing: these rows are of no user"]),
        (
            "orders.* order.**",
            [
                "'orders.*': must be QUEUE.ACTION, QUEUE.* or *, each with :own behind it or not",
                "'order.**': must be QUEUE.ACTION, QUEUE.* or *, each with :own behind it or not",
            ],
        ),
    ],
)
def test_scopes_that_allow_nothing_are_named(scope: str, faults: list[str]) -> None:
    assert list(scope_faults(scope)) == faults
