"""What `orderctl status` found out about one part of the whole."""

from collections.abc import Mapping
from dataclasses import field
from typing import Any

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
