"""What the package has installed on this machine, as far as messages and orderctl need it."""

from pathlib import Path
from typing import Final

USER: Final = "orderd"
DAEMON_UNIT: Final = "orderd.service"
MIGRATE_UNIT: Final = "orderd-migrate"
CREDENTIALS: Final = "/etc/orderd/credentials"
OWNER_CREDENTIALS: Final = "/etc/orderd/owner-credentials"
ENVIRONMENT_FILE: Final = "/etc/orderd/orderd.env"
# Where systemd puts the credentials of a unit that runs, for the unit's user alone.
RUNNING_CREDENTIALS: Final = f"/run/credentials/{DAEMON_UNIT}"
_SYSTEMD_RUNS: Final = "/run/systemd/system"
_UNITS: Final = ("/usr/lib/systemd/system", "/usr/local/lib/systemd/system")


def migrate_command() -> str:
    """Return what an operator types here to bring the schema up to date, with the right role."""
    is_installed = any(Path(place, f"{MIGRATE_UNIT}.service").exists() for place in _UNITS)
    if is_installed and Path(_SYSTEMD_RUNS).is_dir():
        return f"systemctl start {MIGRATE_UNIT}"
    return "orderctl migrate"
