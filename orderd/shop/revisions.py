"""Changes that hold for one revision of a row only."""

from orderd.protocol.commands import ConditionalChange
from orderd.protocol.names import RefusalCode
from orderd.protocol.rows import Row
from orderd.shop.outcomes import Refused


def is_outdated(row: Row, content: ConditionalChange) -> bool:
    """Return whether *content* was meant for another revision of *row*."""
    return content.if_revision not in (0, row.revision)


def revision_conflict(row: Row, content: ConditionalChange) -> Refused:
    """Return the refusal that names both revisions."""
    has = f"{type(row).__name__} {row.id} has revision {row.revision}"
    return Refused(RefusalCode.REVISION_CONFLICT, f"{has}, not {content.if_revision}")
