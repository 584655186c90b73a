"""Masks tokens in what is printed: the mark tells them apart, and nobody can use it.

`<JWT kid=2026 sub=shop sha256=1f3870be>` stands for a JWT, `<token sha256=fece50d2>` for any other
token. The digits are the first ones of the token's SHA-256.
"""

import binascii
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

from orderd.protocol.strict_json import MalformedJson, loads

_DIGITS: Final = 8
_NAME_CHARACTERS_MAX: Final = 40
_HEADERS_TRIED_MAX: Final = 16
_HEADER_BYTES: Final = 48
_SIMILAR: Final = 0.75
_JWT_PARTS_MIN: Final = 2

# Names of members that hold a token, in lower case without separators, and what is similar to
# these: a misspelt `auth` holds one as well.
_NAMES: Final = ("auth", "authorization", "token")
_OTHER_NAMES: Final = frozenset(
    {"accesstoken", "authtoken", "bearer", "bearertoken", "idtoken", "jwt", "xauthtoken"}
)
_MARK: Final = re.compile(r"(?:bearer\s+)?<(?:JWT|token)(?: \w+=[^ <>]*)*>", re.IGNORECASE)

# Every pattern takes a run of characters once and for all (possessive, with a look behind), so
# that a body made for it costs no more time than any other.
_DOTTED: Final = re.compile(r"(?<![\w-])[\w-]++(?:\.[\w-]*+)++", re.ASCII)
_HEADER: Final = re.compile(r"e[yw]")
_JSON_OBJECT: Final = re.compile(r"\{\s*\"[^\x00-\x1f\ufffd]*\Z")
_BEARER: Final = re.compile(r"(?<!\w)((?:Bearer|BEARER)[ \t]++)([^\s\"'\\,;<>]++)")
# A member: its name, quoted or not, and where its value begins.
_NAME: Final = re.compile(
    r"(?<![\w-])(?P<name>[\w-]{1,40}+)(?P<end>\\*+[\"']?)\s*+[:=]\s*+(?P<open>\\*+[\"']?)", re.ASCII
)
# What follows, by how it was opened; a quote may be escaped itself, in JSON within JSON.
_VALUES: Final = {
    '"': re.compile(r"(?:[^\"\\]|\\.)*+", re.DOTALL),
    "'": re.compile(r"(?:[^'\\]|\\.)*+", re.DOTALL),
    "": re.compile(r"(?:[Bb]earer[ \t]++)?[^\s\"'\\,;&<>(){}\[\]]++", re.ASCII),
}
_ESCAPED_VALUE: Final = re.compile(r"[^\"'\\]*+")


def masked(text: str) -> str:
    """Return *text*, written by a program, with marks for JWTs and for what follows `Bearer`."""
    return Masker().text(text)


def masked_trace(text: str) -> str:
    """Return *text*, with marks for members such as ``'auth': '…'`` as well: a traceback."""
    return Masker().body(text, is_strict=True)


def masked_body(text: str) -> str:
    """Return *text*, with marks for anything that looks like a member: a body that is not JSON."""
    return Masker().body(text)


def masked_value(value: Any) -> Any:
    """Return *value*, as decoded from JSON or AMQP, with marks for its tokens."""
    return Masker().value(value)


class Masker:
    """Masks tokens; `found` has the token that each mark stands for."""

    def __init__(self) -> None:
        """Begin without any."""
        self.found: dict[str, str] = {}

    def text(self, text: str) -> str:
        """Return *text* with marks for JWTs and for what follows `Bearer`."""
        if "." in text:
            text = _DOTTED.sub(self._dotted, text)
        if "earer" in text or "EARER" in text:
            text = _BEARER.sub(lambda found: found[1] + self._mark(found[2]), text)
        return text

    def body(self, text: str, *, is_strict: bool = False) -> str:
        """Return *text*, a body that is not JSON, with marks for its tokens.

        With *is_strict*, only what is in quotes is taken for a member.
        """
        text = self.text(text)
        pieces, end = [], 0
        for name in _NAME.finditer(text):
            if name.start() < end or not holds_token(name["name"]):
                continue
            if is_strict and not (name["end"] and name["open"]):
                continue
            pattern = _ESCAPED_VALUE if "\\" in name["open"] else _VALUES[name["open"]]
            value = pattern.match(text, name.end())
            if value is not None and not _MARK.match(text, name.end()):
                pieces += [text[end : name.end()], self._whole(value[0])]
                end = value.end()
        return "".join([*pieces, text[end:]])

    def value(self, value: Any) -> Any:
        """Return *value*, as decoded from JSON or AMQP, with marks for its tokens."""
        match value:
            case str():
                return self.body(value, is_strict=True)
            case bytes():
                return self._binary(value)
            case Mapping():
                return {self._key(key): self._of(key, inner) for key, inner in value.items()}
            case list() | tuple():
                return [self.value(inner) for inner in value]
        return value

    def restored(self, text: str, form: Callable[[str], str]) -> str:
        """Return *text* with the tokens in place of their marks, each in its *form*."""
        if not self.found:
            return text
        longest_first = sorted(self.found, key=len, reverse=True)
        marks = re.compile("|".join(map(re.escape, longest_first)))
        return marks.sub(lambda mark: form(self.found[mark[0]]), text)

    def _key(self, key: Any) -> Any:
        return self.text(key) if isinstance(key, str) else key

    def _of(self, key: Any, inner: Any) -> Any:
        """Return *inner*, the member *key*, masked."""
        if not (isinstance(key, str) and holds_token(key)):
            return self.value(inner)
        match inner:
            case str():
                return self._whole(inner)
            case bytes():
                return self._whole(inner.decode("latin-1")).encode("latin-1")
            case list():
                return [self._of(key, each) for each in inner]
        return self.value(inner)

    def _binary(self, value: bytes) -> bytes:
        """Return *value*, which is not UTF-8; where tokens are in it, without its NUL (UTF-16)."""
        text = value.replace(b"\0", b"").decode("latin-1")
        shown = self.body(text)
        return value if shown == text else shown.encode("latin-1")

    def _dotted(self, found: re.Match[str]) -> str:
        """Return a run of parts that are joined by dots, from the header of a JWT on masked."""
        run = found[0]
        start = _jwt_start(run)
        if start is None:
            return run
        token = run[start:].rstrip(".")
        return run[:start] + self._mark(token) + run[start + len(token) :]

    def _whole(self, value: str) -> str:
        """Return the mark for *value*, which is a token as a whole, `Bearer` before it or not."""
        scheme = re.match(r"\s*(?:bearer\s+)?", value, re.IGNORECASE)
        before = "" if scheme is None else scheme[0]
        token = value[len(before) :].rstrip()
        if not token or _MARK.fullmatch(value.strip()):
            return value
        return before + self._mark(token) + value[len(before) + len(token) :]

    def _mark(self, token: str) -> str:
        """Return the mark of *token*, of which no other token that was found has the same."""
        digest = sha256(token.encode(errors="surrogateescape")).hexdigest()
        mark = _marked(token, digest[:_DIGITS])
        if self.found.setdefault(mark, token) != token:
            mark = _marked(token, digest)
            self.found[mark] = token
        return mark


@lru_cache(maxsize=1_000)
def holds_token(name: str) -> bool:
    """Return whether a member called *name* is one that holds a token."""
    if len(name) > _NAME_CHARACTERS_MAX:
        return False
    plain = re.sub(r"[\W_]", "", name).lower()
    return plain in _OTHER_NAMES or any(_is_similar(plain, wanted) for wanted in _NAMES)


def _is_similar(name: str, wanted: str) -> bool:
    # Loaded only where something is masked by the names of members.
    from difflib import SequenceMatcher  # noqa: PLC0415

    likeness = SequenceMatcher(None, name, wanted, autojunk=False)
    return likeness.real_quick_ratio() >= _SIMILAR and likeness.ratio() >= _SIMILAR


def _jwt_start(run: str) -> int | None:
    """Return where in *run* the header of a JWT begins, None where there is none."""
    start = 0
    parts = run.split(".")
    for part in parts[: 1 - _JWT_PARTS_MIN]:
        for found, _ in zip(_HEADER.finditer(part), range(_HEADERS_TRIED_MAX), strict=False):
            if _JSON_OBJECT.match(_decoded(part[found.start() :], _HEADER_BYTES)):
                return start + found.start()
        start += len(part) + 1
    return None


def _decoded(part: str, bytes_max: int) -> str:
    """Return the beginning of what *part*, base64url, stands for; nothing where it is none."""
    characters = part[: bytes_max * 4 // 3]
    whole = characters[: len(characters) - (len(characters) % 4 == 1)]
    try:
        binary = urlsafe_b64decode(whole + "=" * (-len(whole) % 4))
    except binascii.Error:
        return ""
    # The last character may be cut.
    text = binary.decode(errors="replace")
    return text.removesuffix("\ufffd")


def _marked(token: str, digits: str) -> str:
    parts = token.split(".")
    if len(parts) < _JWT_PARTS_MIN or _jwt_start(token) != 0:
        return f"<token sha256={digits}>"
    told = [("kid", _claim(parts[0], "kid")), ("sub", _claim(parts[1], "sub"))]
    names = "".join(f" {name}={_plain(claim)}" for name, claim in told if claim is not None)
    return f"<JWT{names} sha256={digits}>"


def _claim(part: str, name: str) -> str | None:
    """Return a claim of *part*, None where it is none or no text."""
    try:
        claims = loads(_decoded(part, len(part)).encode())
    except MalformedJson:
        return None
    found = claims.get(name) if isinstance(claims, dict) else None
    return found if isinstance(found, str) else None


def _plain(claim: str) -> str:
    """Return *claim*, which anybody may have written, short and without what has a meaning."""
    short = re.sub(r"[^A-Za-z0-9._:@|+/-]", "?", claim[: _NAME_CHARACTERS_MAX + 1])
    return short if len(short) <= _NAME_CHARACTERS_MAX else f"{short[:_NAME_CHARACTERS_MAX]}..."
