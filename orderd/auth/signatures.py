"""Public keys from a JWKS or PEM file, and the signatures that they verify.

With `signing`, the only module that knows PyJWT and cryptography; it is loaded where JWTs are
configured. Each key is bound to one algorithm by its type, so that no token can choose what a key
is used for.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from hashlib import sha256
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.api_jws import PyJWS
from jwt.exceptions import PyJWTError

from orderd.protocol.explain import shown
from orderd.protocol.strict_json import MalformedJson, loads
from orderd.protocol.values import value

KEYS_MAX: Final = 16
RSA_BITS_MIN: Final = 2_048
HMAC_BYTES_MIN: Final = 32
_PEM: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_PUBLIC: Final = frozenset({b"PUBLIC KEY", b"RSA PUBLIC KEY"})
READERS: Final[Mapping[str, Any]] = {
    "OKP": OKPAlgorithm,
    "EC": ECAlgorithm,
    "RSA": RSAAlgorithm,
    "oct": HMACAlgorithm,
}
# Members of a JWK that only a private key has.
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})


class UnusableKeys(ValueError):
    """A file is none of keys that can be used; the text is a predicate that says why."""


@value
class Key:
    """A key that verifies signatures of one algorithm; `kid` is its name, None if it has none."""

    algorithm: str
    kid: str | None
    material: Any = field(repr=False)

    @property
    def identity(self) -> tuple[str | None, str, bytes]:
        """Return what another key has not: two with the same are the same."""
        material = self.material
        if not isinstance(material, bytes):
            material = material.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return self.kid, self.algorithm, sha256(material).digest()

    def verifies(self, token: str) -> bool:
        """Return whether the signature of *token* is by this key, and by its algorithm."""
        try:
            PyJWS().decode_complete(token, self.material, algorithms=[self.algorithm])
        except (PyJWTError, ValueError, TypeError):
            return False
        return True


def parse_keys(content: bytes, algorithms: Collection[str]) -> tuple[Key, ...]:
    """Return the keys in *content* that are of one of the *algorithms*: at least one.

    Raises `UnusableKeys`.
    """
    is_jwks = content.lstrip().startswith(b"{")
    found = _from_jwks(content) if is_jwks else _from_pem(content)
    keys = tuple(key for key in found if key.algorithm in algorithms)
    if not keys:
        raise UnusableKeys(f"has no key for {', '.join(algorithms)}")
    if len(keys) > KEYS_MAX:
        raise UnusableKeys(f"has {len(keys)} keys; at most {KEYS_MAX} are allowed")
    return keys


def _from_jwks(content: bytes) -> list[Key]:
    try:
        document = loads(content.strip())
    except MalformedJson as error:
        raise UnusableKeys(str(error)) from error
    listed = document.get("keys")
    if not isinstance(listed, list) or not all(isinstance(each, dict) for each in listed):
        raise UnusableKeys("has no list of keys: a JWKS is an object with `keys`")
    found = [_from_jwk(each, position) for position, each in enumerate(listed, start=1)]
    return [key for key in found if key is not None]


def _from_jwk(jwk: Mapping[str, Any], position: int) -> Key | None:
    """Return the key, None where it is of another type or for another use than signatures."""
    kid = jwk.get("kid")
    name = f"key {position}"
    if kid is not None and not isinstance(kid, str):
        raise UnusableKeys(f"{name}: kid must be a string; got {shown(kid)}")
    reader = READERS.get(kty) if isinstance(kty := jwk.get("kty"), str) else None
    if reader is None or not _is_for_signatures(jwk):
        return None
    if not _PRIVATE.isdisjoint(jwk):
        raise UnusableKeys(f"{name} is a private key; orderd takes only public ones")
    try:
        material = reader.from_jwk(dict(jwk))
        algorithm = algorithm_of(material)
    except UnusableKeys as error:
        raise UnusableKeys(f"{name}: {error}") from error
    except (PyJWTError, ValueError, TypeError, KeyError, AttributeError, UnsupportedAlgorithm):
        raise UnusableKeys(f"{name} is not a key of the type {shown(kty)}") from None
    is_bound_elsewhere = jwk.get("alg", algorithm) != algorithm
    return None if algorithm is None or is_bound_elsewhere else Key(algorithm, kid, material)


def _is_for_signatures(jwk: Mapping[str, Any]) -> bool:
    operations = jwk.get("key_ops", ["verify"])
    return (
        jwk.get("use", "sig") == "sig" and isinstance(operations, list) and "verify" in operations
    )


def _from_pem(content: bytes) -> list[Key]:
    found: list[Key] = []
    for position, block in enumerate(_PEM.finditer(content), start=1):
        if block[1] not in _PUBLIC:
            kind = block[1].decode()
            raise UnusableKeys(f"key {position} is a {kind}; orderd takes only a PUBLIC KEY")
        try:
            material = load_pem_public_key(block[0])
            algorithm = algorithm_of(material)
        except UnusableKeys as error:
            raise UnusableKeys(f"key {position}: {error}") from error
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise UnusableKeys(f"key {position} is not a public key in PEM") from None
        if algorithm is not None:
            found.append(Key(algorithm, None, material))
    if not found:
        raise UnusableKeys("is neither a JWKS nor has it public keys in PEM")
    return found


def algorithm_of(material: object) -> str | None:
    """Return the one algorithm of a key, None where none is; raises UnusableKeys if it is weak."""
    match material:
        case Ed25519PublicKey():
            return "EdDSA"
        case EllipticCurvePublicKey(curve=SECP256R1()):
            return "ES256"
        case RSAPublicKey(key_size=bits):
            if bits < RSA_BITS_MIN:
                raise UnusableKeys(f"RSA needs {RSA_BITS_MIN} bits, and it has {bits}")
            return "RS256"
        case bytes():
            if len(material) < HMAC_BYTES_MIN:
                raise UnusableKeys(
                    f"HS256 needs {HMAC_BYTES_MIN} bytes, and it has {len(material)}"
                )
            return "HS256"
        case _:
            return None


def candidates(keys: Sequence[Key], algorithm: str, kid: str | None) -> list[Key]:
    """Return the keys that may have signed a token: by its `kid`, else those without a name.

    A token without `kid` may be signed by any key of its algorithm.
    """
    fitting = [key for key in keys if key.algorithm == algorithm]
    if kid is None:
        return fitting
    named = [key for key in fitting if key.kid == kid]
    return named or [key for key in fitting if key.kid is None]
