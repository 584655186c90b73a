"""Where orderd looks for its files."""

from collections.abc import Mapping
from typing import Final

CONFIG_FILE: Final = "/etc/orderd/orderd.toml"
# Beside the configuration file: files whose names end in .toml, of which a later name counts more.
DROP_INS: Final = "conf.d"
# What a package ships below the operator's files.
SHIPPED_FILE: Final = "/usr/share/orderd/orderd.toml"
SECRETS_DIRECTORY: Final = "/run/secrets"
RUNTIME_DIRECTORY: Final = "/run/orderd"
NOTIFY_RUNTIME_DIRECTORY: Final = "/run/orderd-notify"
# Texts of notifications that replace those of the package.
TEMPLATES_DIRECTORY: Final = "/etc/orderd/templates"
METRICS_FILE: Final = "metrics.prom"


def metrics_path(environ: Mapping[str, str]) -> str:
    """Return where a daemon's metrics are unless a setting says so; an empty text for nowhere."""
    directory = environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return f"{directory}/{METRICS_FILE}" if directory else ""
