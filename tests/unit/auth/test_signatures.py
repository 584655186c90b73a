"""Which keys are taken from a file, and for which algorithm each."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jwt.algorithms import RSAAlgorithm

from orderd.auth.signatures import KEYS_MAX, Key, UnusableKeys, candidates, parse_keys
from tests.support.web_tokens import jwk, jwks, pem, private_key, token

ALL = ("EdDSA", "ES256", "RS256", "HS256")
PUBLIC = ALL[:3]


@pytest.mark.parametrize("algorithm", ALL)
def test_a_key_of_a_jwks_verifies_what_was_signed_by_it(algorithm: str) -> None:
    (key,) = parse_keys(jwks(jwk(algorithm)), ALL)

    assert (key.algorithm, key.kid) == (algorithm, "k1")
    assert key.verifies(token(None, algorithm))
    other = private_key(algorithm, 2)
    assert not key.verifies(token(None, algorithm, key=other))


@pytest.mark.parametrize("algorithm", PUBLIC)
def test_a_key_in_pem_verifies_what_was_signed_by_it(algorithm: str) -> None:
    (key,) = parse_keys(b"# The shop's.\n" + pem(algorithm), ALL)

    assert (key.algorithm, key.kid) == (algorithm, None)
    assert key.verifies(token(None, algorithm))


def test_a_file_of_pem_may_have_several_keys() -> None:
    keys = parse_keys(pem("EdDSA") + pem("ES256") + pem("EdDSA", 2), PUBLIC)

    assert [key.algorithm for key in keys] == ["EdDSA", "ES256", "EdDSA"]


def test_a_key_shows_nothing_of_itself() -> None:
    (key,) = parse_keys(jwks(jwk("HS256")), ALL)

    assert "0123456789" not in repr(key)


@pytest.mark.parametrize(
    "unused",
    [
        jwk("EdDSA", use="enc"),
        jwk("EdDSA", key_ops=["sign"]),
        jwk("EdDSA", key_ops="verify"),
        jwk("EdDSA", alg="ES256"),
        jwk("RS256", alg="RS512"),
        jwk("RS256", alg="HS256"),
        {"kty": "new", "x": "AA"},
        {"kty": ["OKP"], "x": "AA"},
        {},
        jwk("HS256"),
    ],
)
def test_keys_for_other_uses_are_passed_over(unused: dict[str, object]) -> None:
    (key,) = parse_keys(jwks(unused, jwk("ES256")), PUBLIC)

    assert key.algorithm == "ES256"
    with pytest.raises(UnusableKeys, match="has no key for EdDSA, ES256, RS256"):
        parse_keys(jwks(unused), PUBLIC)


def weak() -> dict[str, object]:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=1_024)  # noqa: S505 - what is refused
    found: dict[str, object] = json.loads(RSAAlgorithm.to_jwk(key.public_key()))
    return found


def private_pem() -> bytes:
    key = private_key("EdDSA")
    found: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return found


def pem_of_other_curve() -> bytes:
    public = ec.generate_private_key(ec.SECP384R1()).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "neither a JWKS nor has it public keys in PEM"),
        (b"\xff\xfe", "neither a JWKS nor has it public keys in PEM"),
        (b"{", "is not JSON"),
        (b'{"keys":[],"keys":[]}', "has the key 'keys' twice"),
        (b'{"keys":{}}', "has no list of keys"),
        (b'{"keys":[7]}', "has no list of keys"),
        (b'{"keys":[]}', "has no key for"),
        (jwks(jwk("EdDSA", kid=None, d="AA")), "key 1 is a private key"),
        (jwks({"kty": "OKP", "crv": "Ed25519", "x": "AA"}), "key 1 is not a key of the type 'OKP'"),
        (jwks({"kty": "EC", "crv": "P-256", "x": 7}), "key 1 is not a key of the type 'EC'"),
        (jwks({"kty": "RSA", "n": "AA"}), "key 1 is not a key of the type 'RSA'"),
        (
            jwks(jwk("EdDSA"), jwk("EdDSA", number=2) | {"kid": 7}),
            "key 2: kid must be a string; got 7",
        ),
        (jwks(weak()), "key 1: RSA needs 2048 bits, and it has 1024"),
        (jwks({"kty": "oct", "k": "AAAA"}), "key 1: HS256 needs 32 bytes, and it has 3"),
        (private_pem(), "key 1 is a PRIVATE KEY; orderd takes only a PUBLIC KEY"),
        (pem_of_other_curve(), "public keys in PEM"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "key 1 is not a public"),
        (pem("EdDSA") * (KEYS_MAX + 1), f"has {KEYS_MAX + 1} keys; at most {KEYS_MAX}"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(content: bytes, reason: str) -> None:
    with pytest.raises(UnusableKeys) as caught:
        parse_keys(content, ALL)

    assert reason in str(caught.value)


def test_a_token_names_its_key_or_any_key_of_its_algorithm_may_have_signed_it() -> None:
    keys = parse_keys(
        jwks(jwk("EdDSA", "a"), jwk("EdDSA", None, 2), jwk("ES256", "a"), jwk("EdDSA", "b", 3)), ALL
    )

    def named(algorithm: str, kid: str | None) -> list[int]:
        return [keys.index(key) for key in candidates(keys, algorithm, kid)]

    assert named("EdDSA", "a") == [0]
    assert named("ES256", "a") == [2]
    assert named("EdDSA", "b") == [3]
    assert named("EdDSA", "unknown") == [1]
    assert named("EdDSA", None) == [0, 1, 3]
    assert named("ES256", "b") == []
    assert named("none", None) == []


def test_a_key_verifies_by_its_own_algorithm_alone() -> None:
    confused = Key("EdDSA", "k1", private_key("RS256").public_key())

    assert not confused.verifies(token(None, "RS256"))
