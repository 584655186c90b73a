"""Who may send which command, where tokens are configured at all."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from hashlib import sha256

from orderd.contract.commands import HealthCheck
from orderd.contract.envelope import Command, Invalid
from orderd.contract.names import InvalidCode

Grants = Mapping[str, tuple[str, ...]]
"""SHA-256 of a token (hex) to the ``queue.action`` patterns it may use; empty: all may do all."""


def authorize(grants: Grants, command: Command) -> Invalid | None:
    """Return why *command* may not be carried out, None where it may."""
    # Whether the daemon is well may be asked by everybody: by orderctl, by a probe.
    if not grants or isinstance(command.content, HealthCheck):
        return None
    if command.token is None:
        return _invalid(command, InvalidCode.UNAUTHORIZED, "auth: is missing")
    token = command.token.removeprefix("Bearer ").strip()
    # Comparing digests gives away nothing of a token by how long it takes.
    allowed = grants.get(sha256(token.encode(errors="surrogatepass")).hexdigest())
    if allowed is None:
        return _invalid(command, InvalidCode.UNAUTHORIZED, "auth: is not a known token")
    wanted = f"{command.queue}.{command.action}"
    if not any(fnmatchcase(wanted, pattern) for pattern in allowed):
        return _invalid(command, InvalidCode.FORBIDDEN, f"auth: does not allow {wanted}")
    return None


def _invalid(command: Command, code: InvalidCode, message: str) -> Invalid:
    return Invalid(code, message, command.request_id)
