"""Takes the values out of a reason, so that dead letters of one cause have the same."""

import re
from typing import Final

# Where the daemon has cut a long reason, what is left differs; the beginning does not.
CHARACTERS_MAX: Final = 200
PLACEHOLDER: Final = "?"

# A quoted value, as repr() writes it; the daemon cuts one of over 100 characters, without the
# closing quote.
_QUOTED: Final = (
    r"""(?<!\w)(?:'(?:[^'\\]|\\.){0,100}'|"(?:[^"\\]|\\.){0,100}"|['"].*?(?:\.{3}|$))"""
)
_KINDS: Final = (
    "check|column|constraint|extension|function|index|operator|policy|queue|relation|role|schema"
    "|sequence|table|trigger|type"
)
_VALUES: Final = re.compile(
    rf"""
      # Names that tell causes apart stay: of objects, of SQLSTATEs, of versions of the contract.
      (?P<kept> \b(?:{_KINDS})\ "[^"]{{1,63}}" | \bSQLSTATE\ \w{{5}} | \bv[12]\b )
      # Whatever was found where something else was wanted.
    | (?P<got> \bgot\ ) (?: {_QUOTED} | [^;] )+
    | {_QUOTED}
      # E-mail addresses, then every word with a digit in it: ids, numbers, times, addresses.
    | [^\s@'"<>,;=()]+@[^\s@'"<>,;()]+
    | [^\s'"<>,;=:()\[\]]*\d[^\s'"<>,;=()\[\]]*
    """,
    re.VERBOSE,
)
_LIST: Final = re.compile(r"\?(?:(?:, | and )\?)+")


def without_values(reason: str) -> str:
    """Return *reason* in one line, each value in it replaced by a question mark."""
    bare = _VALUES.sub(_bare, " ".join(reason.split()))
    return _LIST.sub(PLACEHOLDER, bare)[:CHARACTERS_MAX]


def _bare(found: re.Match[str]) -> str:
    if found["kept"] is not None:
        return found["kept"]
    return f"{found['got'] or ''}{PLACEHOLDER}"
