"""JSON Web Tokens that tests sign, also ones that no library would make, and their keys."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import Algorithm, ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER = "https://login.example.com/"
AUDIENCE = "orderd"
NOW_S = 1_800_000_000
SECRET = b"0123456789abcdef0123456789abcdef"
_ALGORITHMS: Mapping[str, Callable[[], Algorithm]] = {
    "EdDSA": OKPAlgorithm,
    "ES256": lambda: ECAlgorithm(ECAlgorithm.SHA256),
    "RS256": lambda: RSAAlgorithm(RSAAlgorithm.SHA256),
    "HS256": lambda: HMACAlgorithm(HMACAlgorithm.SHA256),
}


def private_key(algorithm: str, number: int = 1) -> Any:
    """Return a key for *algorithm*, the same one for the same *number*."""
    return _made(algorithm, number)


@cache
def _made(algorithm: str, number: int) -> Any:
    match algorithm:
        case "EdDSA":
            return ed25519.Ed25519PrivateKey.generate()
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
        case "RS256":
            return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        case _:
            return SECRET + bytes([number])


def jwk(algorithm: str, kid: str | None = "k1", number: int = 1, **members: Any) -> dict[str, Any]:
    """Return the public key as a JWK; HS256 has only one that is secret."""
    key = private_key(algorithm, number)
    public = key if isinstance(key, bytes) else key.public_key()
    found: dict[str, Any] = json.loads(_ALGORITHMS[algorithm]().to_jwk(public))
    found.pop("key_ops", None)
    return found | ({} if kid is None else {"kid": kid}) | members


def jwks(*keys: Mapping[str, Any]) -> bytes:
    """Return the text of a JWKS."""
    return json.dumps({"keys": keys}).encode()


def pem(algorithm: str, number: int = 1) -> bytes:
    """Return the public key as PEM."""
    public = private_key(algorithm, number).public_key()
    found: bytes = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return found


def claims(**others: Any) -> dict[str, Any]:
    """Return good claims for an hour, with *others* in their place; None leaves one out."""
    found = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "shop",
        "exp": NOW_S + 3_600,
        "iat": NOW_S,
        "scope": "order.create",
    }
    return {name: each for name, each in (found | others).items() if each is not None}


def token(
    payload: Mapping[str, Any] | bytes | None = None,
    algorithm: str = "EdDSA",
    key: Any = None,
    **header: Any,
) -> str:
    """Return a token, signed by *key* or the first one for *algorithm*; None leaves a field out."""
    fields = {"alg": algorithm, "typ": "JWT", "kid": "k1"} | header
    kept = {name: each for name, each in fields.items() if each is not None}
    return signed(json.dumps(kept).encode(), payload, algorithm, key)


def signed(
    header: bytes,
    payload: Mapping[str, Any] | bytes | None = None,
    algorithm: str = "EdDSA",
    key: Any = None,
) -> str:
    """Return a token with this *header* to the byte."""
    body = claims() if payload is None else payload
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    content = f"{encoded(header)}.{encoded(text)}"
    material = private_key(algorithm) if key is None else key
    signature = _ALGORITHMS[algorithm]().sign(content.encode(), material)
    return f"{content}.{encoded(signature)}"


def encoded(part: bytes) -> str:
    """Return base64url without padding."""
    return urlsafe_b64encode(part).rstrip(b"=").decode()
