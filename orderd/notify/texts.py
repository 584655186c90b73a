"""Text of others as it may stand in lines, mails and headers: nothing that is not seen."""

import hashlib
import re
import unicodedata
from typing import Final

_JOINERS: Final = "\u200c\u200d"
_BREAKS: Final = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
_SAFE_ID: Final = re.compile(r"[A-Za-z0-9_+=/-]+(\.[A-Za-z0-9_+=/-]+)*")
_ID_CHARS_MAX: Final = 64
SUBJECT_CHARS_MAX: Final = 200


def block(text: str) -> str:
    """Return *text* with its lines, and no character in it that is not seen."""
    if text.isprintable():
        return text
    return "".join(_visible(each) for each in _BREAKS.sub("\n", text))


def line(text: str, chars_max: int | None = None) -> str:
    """Return *text* as one line, as `block` does, with single spaces, cut where it is too long."""
    one = " ".join(block(text).split())
    if chars_max is not None and len(one) > chars_max:
        return f"{one[: chars_max - 1]}…"
    return one


def subject(text: str) -> str:
    """Return *text* as a subject: one line, in which no reader finds an encoded word."""
    # "=?" begins an encoded word (RFC 2047), which may hold line breaks and anything else.
    return line(text.replace("=?", "= ?"), SUBJECT_CHARS_MAX)


def safe_id(text: str) -> str:
    """Return *text* where it can stand in a Message-ID and a Webhook-Id, else a digest of it."""
    if len(text) <= _ID_CHARS_MAX and _SAFE_ID.fullmatch(text):
        return text
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _visible(character: str) -> str:
    if character in "\n\t" or character in _JOINERS:
        return character
    category = unicodedata.category(character)
    if category == "Zs":
        return " "
    # Control and format characters, lone surrogates: left out would join what they keep apart.
    return "\N{REPLACEMENT CHARACTER}" if category in {"Cc", "Cf", "Cs"} else character
