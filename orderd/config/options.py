"""The command line of the daemons."""

import argparse
from pathlib import Path
from typing import Any, Final

from orderd import __version__
from orderd.config.settings import Settings
from orderd.protocol.tenants import NOTIFY, ORDERD, Tenant
from orderd.runtime.paths import CONFIG_FILE

_PURPOSES: Final = {
    ORDERD: "Apply a shop's commands from RabbitMQ to PostgreSQL, exactly once in effect.",
    NOTIFY: "Tell users and administrators of a shop's events, by mail, webhook or log.",
}


def build_parser(tenant: Tenant = ORDERD) -> argparse.ArgumentParser:
    """Return the parser of the command line of a daemon."""
    parser = argparse.ArgumentParser(
        prog=tenant.program,
        description=_PURPOSES[tenant],
        epilog="Every setting can also be set in the configuration file or as ORDERD_<NAME> in "
        "the environment. Exit codes: 0 stopped on request, 1 failed, 2 usage, 69 a server is "
        "unavailable (with --no-wait), 78 bad configuration or schema not migrated.",
    )
    parser.add_argument("--version", action="version", version=f"{tenant.program} {__version__}")
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help=f"configuration file; default: {CONFIG_FILE} if it exists",
    )
    parser.add_argument(
        "--no-wait",
        action="store_true",
        help="exit with 69 instead of waiting for servers that cannot be reached at start",
    )
    parser.add_argument("--log-level", metavar="LEVEL", help=_description("log_level"))
    parser.add_argument(
        "--log-format", choices=("json", "text", "journal"), help=_description("log_format")
    )
    parser.add_argument("--batch-max", metavar="N", help=_description("batch_max"))
    return parser


def overrides(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that the command line gives."""
    names = ("log_level", "log_format", "batch_max")
    given = {name: getattr(options, name) for name in names}
    overrides = {name: value for name, value in given.items() if value is not None}
    return overrides | ({"wait_for_servers": False} if options.no_wait else {})


def _description(key: str) -> str:
    return Settings.model_fields[key].description or ""
