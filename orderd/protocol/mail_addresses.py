"""E-mail addresses as far as their form goes: "ada@example.com", "Shop <shop@example.com>"."""

import re
from typing import Final

_LABEL: Final = r"\w(?:[\w-]{0,61}\w)?"
_ADDRESS: Final = re.compile(
    rf"""(?P<local>[^\s@<>()\[\],;:\\"]{{1,64}})@(?P<domain>{_LABEL}(?:\.{_LABEL}){{0,30}})"""
)
_NAME_CHARS_MAX: Final = 100


def split_address(text: str) -> tuple[str, str]:
    """Return the parts before and behind the @. Raise ValueError where *text* is no address."""
    found = _ADDRESS.fullmatch(text) if text.isprintable() else None
    if found is None:
        raise ValueError("is not an e-mail address such as ada@example.com")
    local, domain = found.groups()
    if local.startswith(".") or local.endswith(".") or ".." in local:
        raise ValueError("has a dot at the edge of the part before the @, or two in a row")
    return local, domain


def split_mailbox(text: str) -> tuple[str, str]:
    """Return name, perhaps empty, and address of "Shop <shop@example.com>"; raise ValueError."""
    name, address = "", text.strip()
    if address.endswith(">"):
        name, _, address = address[:-1].rpartition("<")
        name = name.strip().removeprefix('"').removesuffix('"').strip()
    split_address(address)
    if not name.isprintable() or len(name) > _NAME_CHARS_MAX:
        raise ValueError(
            f"the name before the address must be printable, up to {_NAME_CHARS_MAX} characters"
        )
    return name, address
