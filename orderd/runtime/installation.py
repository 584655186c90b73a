"""What the package has installed on this machine, as far as messages and orderctl need it."""

from pathlib import Path
from typing import Final

from orderd.protocol.values import value
from orderd.runtime.paths import NOTIFY_RUNTIME_DIRECTORY, RUNTIME_DIRECTORY

MIGRATE_UNIT: Final = "orderd-migrate"
OWNER_CREDENTIALS: Final = "/etc/orderd/owner-credentials"
ENVIRONMENT_FILE: Final = "/etc/orderd/orderd.env"
_SYSTEMD_RUNS: Final = "/run/systemd/system"
_UNITS: Final = ("/usr/lib/systemd/system", "/usr/local/lib/systemd/system")


@value
class Account:
    """As whom a daemon's unit runs, with which files."""

    user: str
    unit: str
    credentials: str
    runtime_directory: str
    environment_files: tuple[str, ...]

    @property
    def running_credentials(self) -> str:
        """Where systemd puts the credentials of the unit while it runs, for its user alone."""
        return f"/run/credentials/{self.unit}"


DAEMON: Final = Account(
    "orderd",
    "orderd.service",
    "/etc/orderd/credentials",
    RUNTIME_DIRECTORY,
    (ENVIRONMENT_FILE,),
)
NOTIFIER: Final = Account(
    "orderd-notify",
    "orderd-notify.service",
    "/etc/orderd/notify-credentials",
    NOTIFY_RUNTIME_DIRECTORY,
    (ENVIRONMENT_FILE, "/etc/orderd/orderd-notify.env"),
)


def migrate_command() -> str:
    """Return what an operator types here to bring the schema up to date, with the right role."""
    is_installed = any(Path(place, f"{MIGRATE_UNIT}.service").exists() for place in _UNITS)
    if is_installed and Path(_SYSTEMD_RUNS).is_dir():
        return f"systemctl start {MIGRATE_UNIT}"
    return "orderctl migrate"
