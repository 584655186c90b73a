"""The words of a scope, before a token is issued for them: which of them would allow anything."""

from collections.abc import Iterator
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Final

from orderd.auth.claims import is_scope
from orderd.shop.authorize import OWN
from orderd.shop.registry import SHOP, actions_of

_FORM: Final = f"QUEUE.ACTION, QUEUE.* or *, each with {OWN} behind it or not"


def scope_faults(scope: str) -> Iterator[str]:
    """Yield why words of *scope* would allow nothing; each is a sentence that names its word."""
    if not scope.split():
        yield f"must have a word: {_FORM}"
    for word in scope.split():
        if (fault := _fault(word)) is not None:
            yield f"{word!a}: {fault}"


def _fault(word: str) -> str | None:
    if not is_scope(word):
        return f"must be {_FORM}"
    pattern = word.removesuffix(OWN)
    owned = {
        f"{entity.queue}.{action.name}": action.owner is not None
        for entity in SHOP.entities
        for action in actions_of(entity)
    }
    matching = [name for name in owned if fnmatchcase(name, pattern)]
    if not matching:
        close = get_close_matches(pattern, owned, n=1)
        return "is no action" + (f"; did you mean {close[0]}?" if close else "")
    if word.endswith(OWN) and not any(owned[name] for name in matching):
        return "allows nothing: these rows are of no user"
    return None
