"""Who may send which command, where tokens are configured at all."""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Final

from orderd.protocol.envelope import Claim, Invalid
from orderd.protocol.explain import shown
from orderd.protocol.names import InvalidCode

Grants = Mapping[str, tuple[str, ...]] | None
"""SHA-256 of a token (hex) to the ``queue.action`` patterns it may use; None: all may do all."""

# Whether the daemon is well may be asked by everybody: by orderctl, by a probe.
_OPEN_TO_ALL: Final = "health_check"
_ACTION: Final = re.compile("[a-z_]{1,64}")


def authorize(grants: Grants, claim: Claim) -> Invalid | None:
    """Return why the message of *claim* is turned away, None where it is let in."""
    if grants is None or claim.action == _OPEN_TO_ALL:
        return None
    if claim.token is None:
        return Invalid(InvalidCode.UNAUTHORIZED, "auth is missing")
    token = claim.token.removeprefix("Bearer ").strip()
    # Comparing digests gives away nothing of a token by how long it takes.
    allowed = grants.get(sha256(token.encode(errors="surrogatepass")).hexdigest())
    if allowed is None:
        return Invalid(InvalidCode.UNAUTHORIZED, "auth is not a known token")
    wanted = f"{claim.queue}.{claim.action}"
    if not any(fnmatchcase(wanted, pattern) for pattern in allowed):
        name = claim.action if _ACTION.fullmatch(claim.action) else shown(claim.action)
        return Invalid(InvalidCode.FORBIDDEN, f"auth does not allow {claim.queue}.{name}")
    return None
