"""Verifies JWTs: signature, then claims; a token that comes again costs next to nothing."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from orderd.auth.claims import TOKEN_CHARACTERS_MAX, Claims, Header, read_claims, read_header
from orderd.auth.signatures import Key, candidates
from orderd.protocol.explain import shown
from orderd.protocol.values import value
from orderd.shop.authorize import Scope, TurnedAway

# A claim is at most as long as a token: this is about 16 MiB where each is that long.
TOKENS_KEPT_MAX: Final = 1_000
READ_AGAIN_AFTER_S: Final = 60.0


@value
class Rules:
    """What tokens have to be like; `leeway_s` is how much clocks may differ."""

    algorithms: tuple[str, ...]
    issuer: str
    audience: str
    leeway_s: float


class JwtVerifier:
    """Tells what tokens allow, by keys that are read again where a token names an unknown one."""

    def __init__(
        self,
        rules: Rules,
        keys: Sequence[Key],
        read_again: Callable[[], Sequence[Key] | None],
        steady_s: Callable[[], float],
    ) -> None:
        """Begin with *keys*; *read_again* returns those of now, None where they cannot be used."""
        self._rules = rules
        self._keys = tuple(keys)
        self._read_again = read_again
        self._steady_s = steady_s
        self._read_s = steady_s()
        self._known: OrderedDict[bytes, Claims] = OrderedDict()

    @property
    def keys(self) -> Sequence[Key]:
        """The keys by which it verifies now."""
        return self._keys

    def verify(self, token: str, now_s: float, received_s: float) -> Scope:
        """Return what *token* allows, which came at *received_s*; in seconds since 1970.

        Raises `Expired` where it had expired by then, and `TurnedAway` where it is not valid.
        """
        if len(token) > TOKEN_CHARACTERS_MAX:
            # Also where it is not ASCII, no digest of it is taken.
            read_header(token)
        digest = sha256(token.encode(errors="surrogatepass")).digest()
        claims = self._known.get(digest)
        if claims is None:
            claims = self._verified(token)
            self._keep(digest, claims)
        else:
            self._known.move_to_end(digest)
        claims.assert_valid_at(now_s, received_s, self._rules.leeway_s)
        return claims.scope

    def _verified(self, token: str) -> Claims:
        header = read_header(token)
        if header.algorithm not in self._rules.algorithms:
            raise TurnedAway(f"has an algorithm that is not allowed: {shown(header.algorithm)}")
        keys = self._candidates(header)
        if not keys:
            name = "" if header.kid is None else f": kid {shown(header.kid)}"
            raise TurnedAway(f"has an unknown key{name}")
        if not any(key.verifies(token) for key in keys):
            raise TurnedAway("has a wrong signature")
        return read_claims(token, self._rules.issuer, self._rules.audience)

    def _candidates(self, header: Header) -> list[Key]:
        found = candidates(self._keys, header.algorithm, header.kid)
        if header.kid is None or any(key.kid == header.kid for key in self._keys):
            return found
        # A key that is not known: it may be a new one. However many of these come, the file is
        # read once a minute.
        if self._steady_s() - self._read_s < READ_AGAIN_AFTER_S:
            return found
        self._read_s = self._steady_s()
        fresh = self._read_again()
        if fresh is not None:
            self._keys = tuple(fresh)
            # By which of them a token was verified is not kept, and one may be gone.
            self._known.clear()
        return candidates(self._keys, header.algorithm, header.kid)

    def _keep(self, digest: bytes, claims: Claims) -> None:
        self._known[digest] = claims
        if len(self._known) > TOKENS_KEPT_MAX:
            self._known.popitem(last=False)
