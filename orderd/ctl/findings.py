"""What `orderctl status` found out about one part of the whole."""

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from orderd.ctl.errors import AccessRefused, Failure
from orderd.protocol.values import value


@value
class Finding:
    """How a part is: in words for people, in `facts` for programs."""

    part: str
    is_well: bool
    summary: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the finding as JSON members."""
        return {"ok": self.is_well, "summary": self.summary, **self.facts}

    @property
    def is_refused(self) -> bool:
        """Whether it could not be looked at, because the server refused this login."""
        return bool(self.facts.get("access_refused"))


def finding_of(part: str, failure: Failure) -> Finding:
    """Return the finding that *part* could not be looked at, because of *failure*."""
    summary = str(failure).removeprefix(f"{part}: ")
    facts = {"access_refused": True} if isinstance(failure, AccessRefused) else {}
    return Finding(part, is_well=False, summary=summary, facts=facts)
