"""What a body has too much of, left out before the models see it.

The models make an error of every unknown field: of a hundred thousand in one mebibyte, a hundred
megabytes.
"""

from collections.abc import Mapping
from itertools import islice
from typing import Any, Final

from orderd.protocol.commands import CommandData

UNKNOWN_FIELDS_MAX: Final = 10


def without_excess(model: type[CommandData], content: Any) -> tuple[Any, int]:
    """Return *content* with few unknown fields, and how many more it has.

    A list that is too long keeps one member too many, so that the model still refuses it.
    """
    if not isinstance(content, dict):
        return content, 0
    kept, left_out = _without_unknown(model, content)
    for name, (member_model, members_max) in model.members.items():
        members = kept.get(name)
        if isinstance(members, list):
            kept[name] = []
            for member in members[: members_max + 1]:
                kept_member, more = without_excess(member_model, member)
                kept[name].append(kept_member)
                left_out += more
    return kept, left_out


def _without_unknown(
    model: type[CommandData], content: Mapping[str, Any]
) -> tuple[dict[str, Any], int]:
    known = model.model_fields.keys()
    unknown = (name for name in content if name not in known)
    shown = set(islice(unknown, UNKNOWN_FIELDS_MAX))
    kept = {name: content[name] for name in content if name in known or name in shown}
    return kept, len(content) - len(kept)
