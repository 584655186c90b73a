"""Fields that a body has too many of.

They are left out before the models see them: a model makes an error of each unknown field, so a
hundred thousand of them in one mebibyte would take a hundred megabytes.
"""

from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any, Final

from orderd.protocol.commands import CommandData
from orderd.protocol.explain import shown

UNKNOWN_FIELDS_MAX: Final = 10
IGNORED_FIELDS_MAX: Final = 5
_NAME_CHARACTERS_MAX: Final = 100


def without_excess(model: type[CommandData], content: Any) -> tuple[Any, int]:
    """Return *content* with `UNKNOWN_FIELDS_MAX` unknown fields, and how many it had more.

    A list that is too long keeps one member too many, so that the model still refuses it.
    """
    if not isinstance(content, dict):
        return content, 0
    kept, left_out = content, 0
    if len(content) > UNKNOWN_FIELDS_MAX:
        kept, left_out = _without_unknown(model, content)
    for name, (member_model, members_max) in model.members.items():
        members = kept.get(name)
        if isinstance(members, list):
            parts = [without_excess(member_model, each) for each in members[: members_max + 1]]
            kept = {**kept, name: [member for member, _ in parts]}
            left_out += sum([more for _, more in parts])
    return kept, left_out


def _without_unknown(
    model: type[CommandData], content: Mapping[str, Any]
) -> tuple[dict[str, Any], int]:
    known = model.model_fields.keys()
    unknown = (name for name in content if name not in known)
    shown = set(islice(unknown, UNKNOWN_FIELDS_MAX))
    kept = {name: content[name] for name in content if name in known or name in shown}
    return kept, len(content) - len(kept)


def ignored(envelope: Mapping[str, Any], known: Collection[str]) -> str:
    """Return a clause that names the fields of *envelope* that are not *known*, or an empty text.

    It tells a producer who put the arguments beside `data`, or under another name, where they are.
    """
    others = [name for name in envelope if name not in known]
    if not others:
        return ""
    names = ", ".join(_name(name) for name in others[:IGNORED_FIELDS_MAX])
    more = len(others) - IGNORED_FIELDS_MAX
    tail = f" and {more} more" if more > 0 else ""
    return f"; ignored fields: {names}{tail} (put the action's arguments into data)"


def _name(name: str) -> str:
    is_plain = name.isidentifier() and len(name) <= _NAME_CHARACTERS_MAX
    return name if is_plain else shown(name)
