"""Where orderd looks for its files."""

from typing import Final

CONFIG_FILE: Final = "/etc/orderd/orderd.toml"
SECRETS_DIRECTORY: Final = "/run/secrets"
RUNTIME_DIRECTORY: Final = "/run/orderd"
