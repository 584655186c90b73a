"""Key pairs for JWTs, and the tokens that they sign: for tests, scripts and services of one's own.

`orderctl token` alone needs it; a daemon never has a private key.
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import field, replace
from hashlib import sha256
from secrets import token_bytes
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPrivateKey,
    RSAPublicKey,
)
from cryptography.hazmat.primitives.asymmetric.rsa import (
    generate_private_key as generate_rsa_key,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from jwt.api_jws import PyJWS
from jwt.exceptions import PyJWTError

from orderd.auth.signatures import READERS, UnusableKeys, algorithm_of
from orderd.protocol.explain import shown
from orderd.protocol.strict_json import MalformedJson, loads
from orderd.protocol.values import value

EDDSA: Final = "EdDSA"
HS256: Final = "HS256"
ALGORITHMS: Final = (EDDSA, "ES256", "RS256", HS256)
RSA_BITS: Final = 3_072
HMAC_BYTES: Final = 32
_RSA_EXPONENT: Final = 65_537
_COORDINATE_BYTES: Final = 32
# The members of a public key that its thumbprint is made of. Source: RFC 7638, 3.2; RFC 8037, 2.
_THUMBPRINT: Final = {
    "OKP": ("crv", "kty", "x"),
    "EC": ("crv", "kty", "x", "y"),
    "RSA": ("e", "kty", "n"),
    "oct": ("k", "kty"),
}


@value
class SigningKey:
    """A key that signs tokens by one algorithm; `kid` is its name, None if it has none."""

    algorithm: str
    kid: str | None
    material: Any = field(repr=False)

    @property
    def is_secret_shared(self) -> bool:
        """Whether who verifies tokens by it can issue them as well."""
        return self.algorithm == HS256

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return a token with these *claims*."""
        header = {"typ": "JWT"} | ({} if self.kid is None else {"kid": self.kid})
        payload = json.dumps(claims, separators=(",", ":")).encode()
        return str(PyJWS().encode(payload, self.material, self.algorithm, header))

    def public_jwk(self) -> dict[str, str]:
        """Return what verifies its tokens, for a JWKS; with HS256 that is the secret itself."""
        named = {} if self.kid is None else {"kid": self.kid}
        return {**_members(self.material), **named, "alg": self.algorithm, "use": "sig"}

    def private_jwk(self) -> dict[str, str]:
        """Return the key itself as a JWK."""
        return {**self.public_jwk(), **_private_members(self.material)}

    def private_pem(self) -> bytes:
        """Return the key itself as PEM (PKCS #8), not encrypted; HS256 has none."""
        pem: bytes = self.material.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return pem


def generate(algorithm: str, kid: str | None = None) -> SigningKey:
    """Return a new key for *algorithm*, named *kid* or by its thumbprint."""
    material: Any
    match algorithm:
        case "EdDSA":
            material = Ed25519PrivateKey.generate()
        case "ES256":
            material = generate_private_key(SECP256R1())
        case "RS256":
            material = generate_rsa_key(_RSA_EXPONENT, RSA_BITS)
        case "HS256":
            material = token_bytes(HMAC_BYTES)
        case _:
            raise ValueError(f"unknown algorithm {algorithm}")
    return SigningKey(algorithm, kid or thumbprint(material), material)


def parse_signing_key(content: bytes, kid: str | None = None) -> SigningKey:
    """Return the private key in *content*, PEM or a JWK; raises UnusableKeys.

    It is named *kid*, or as it says itself, or by its thumbprint; a secret that has no name has
    none.
    """
    key = _from_jwk(content) if content.lstrip().startswith(b"{") else _from_pem(content)
    if kid is None and key.kid is None and not key.is_secret_shared:
        # A short secret could be guessed from its thumbprint.
        kid = thumbprint(key.material)
    return key if kid is None else replace(key, kid=kid)


def thumbprint(material: Any) -> str:
    """Return the SHA-256 thumbprint of a key, the same for both of a pair. Source: RFC 7638."""
    members = _members(material)
    wanted = {name: members[name] for name in _THUMBPRINT[members["kty"]]}
    return _encoded(sha256(json.dumps(wanted, separators=(",", ":")).encode()).digest())


def _from_jwk(content: bytes) -> SigningKey:
    try:
        jwk = loads(content.strip())
    except MalformedJson as error:
        raise UnusableKeys(str(error)) from error
    if "keys" in jwk:
        raise UnusableKeys("is a JWKS; a token is signed by one private key")
    kty, kid = jwk.get("kty"), jwk.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise UnusableKeys(f"kid must be a string; got {shown(kid)}")
    reader = READERS.get(kty) if isinstance(kty, str) else None
    if reader is None:
        raise UnusableKeys(f"kty must be one of {', '.join(READERS)}; got {shown(kty)}")
    try:
        material = reader.from_jwk(dict(jwk))
    except (PyJWTError, ValueError, TypeError, KeyError, AttributeError, UnsupportedAlgorithm):
        raise UnusableKeys(f"is not a key of the type {shown(kty)}") from None
    return _checked(material, kid, jwk.get("alg"))


def _from_pem(content: bytes) -> SigningKey:
    if b"PUBLIC KEY-----" in content and b"PRIVATE KEY-----" not in content:
        raise UnusableKeys("is a public key; a token is signed by the private one")
    try:
        material = load_pem_private_key(content, password=None)
    except TypeError:
        raise UnusableKeys(
            "is encrypted; give it decrypted, for example <(openssl pkey …)"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKeys("is neither a private key in PEM nor a JWK") from None
    return _checked(material, None, None)


def _checked(material: Any, kid: str | None, wanted: object) -> SigningKey:
    """Return the key, which is bound to the one algorithm of its type."""
    if isinstance(material, Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey):
        raise UnusableKeys("is a public key; a token is signed by the private one")
    is_secret = isinstance(material, bytes)
    public = material if is_secret else getattr(material, "public_key", lambda: None)()
    algorithm = algorithm_of(public)
    if algorithm is None:
        raise UnusableKeys("is of none of the types Ed25519, P-256, RSA, oct")
    if wanted not in {None, algorithm}:
        raise UnusableKeys(f"alg must be {algorithm}, the one of its type; got {shown(wanted)}")
    return SigningKey(algorithm, kid, material)


def _members(material: Any) -> dict[str, str]:
    """Return the members of a JWK that say what the public key is; of a secret, all of it."""
    match material:
        case bytes():
            return {"kty": "oct", "k": _encoded(material)}
        case Ed25519PrivateKey():
            raw = material.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            return {"kty": "OKP", "crv": "Ed25519", "x": _encoded(raw)}
        case EllipticCurvePrivateKey():
            point = material.public_key().public_numbers()
            x, y = (_number(each, _COORDINATE_BYTES) for each in (point.x, point.y))
            return {"kty": "EC", "crv": "P-256", "x": x, "y": y}
        case RSAPrivateKey():
            numbers = material.public_key().public_numbers()
            return {"kty": "RSA", "e": _number(numbers.e), "n": _number(numbers.n)}
    raise TypeError(f"{type(material).__name__} signs no tokens")


def _private_members(material: Any) -> dict[str, str]:
    """Return the members of a JWK that only its owner may have, besides those of `_members`."""
    match material:
        case Ed25519PrivateKey():
            raw = material.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
            return {"d": _encoded(raw)}
        case EllipticCurvePrivateKey():
            return {"d": _number(material.private_numbers().private_value, _COORDINATE_BYTES)}
        case RSAPrivateKey():
            own = material.private_numbers()
            numbers = {"d": own.d, "p": own.p, "q": own.q}
            numbers |= {"dp": own.dmp1, "dq": own.dmq1, "qi": own.iqmp}
            return {name: _number(each) for name, each in numbers.items()}
    return {}


def _number(number: int, size_bytes: int = 0) -> str:
    return _encoded(number.to_bytes(size_bytes or (number.bit_length() + 7) // 8, "big"))


def _encoded(binary: bytes) -> str:
    return urlsafe_b64encode(binary).rstrip(b"=").decode()
