"""Loads the settings from every source and says everything that is wrong with them at once."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orderd.config import sources, toml_files
from orderd.config.authorization import lost_protection, unusable_mode
from orderd.config.notify_checks import credential_faults
from orderd.config.problems import problems_of
from orderd.config.settings import Settings
from orderd.config.sources import Layer
from orderd.config.tenant_defaults import bounded, of_tenant
from orderd.protocol.tenants import ORDERD, Tenant
from orderd.runtime.config_errors import ConfigError, Problem
from orderd.runtime.paths import CONFIG_FILE, DROP_INS, SECRETS_DIRECTORY, SHIPPED_FILE

__all__ = ["DEFAULT_FILE", "ConfigError", "Settings", "load"]

DEFAULT_FILE = Path(CONFIG_FILE)


def load(
    config_file: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    default_file: Path = DEFAULT_FILE,
    secrets_directory: Path = Path(SECRETS_DIRECTORY),
    shipped_file: Path = Path(SHIPPED_FILE),
    before: Settings | None = None,
    tenant: Tenant = ORDERD,
) -> Settings:
    """Return the settings: command line, environment, credentials, files, defaults, in this order.

    Files are *config_file*, or *default_file* with its drop-ins; the shipped one counts least of
    them. Defaults are those of the daemon *tenant*. *before* are the settings in force at a reload.
    Raises ConfigError with every wrong key of every source, and where a reload would take away what
    was set without its being said.
    """
    used = frozenset(() if before is None else before.origins.values())
    environ = os.environ if environ is None else environ
    known = Settings.model_fields
    readers: list[Callable[[], Layer]] = [
        lambda: sources.from_overrides(overrides or {}),
        lambda: sources.from_environment(environ),
        lambda: sources.from_plain_environment(environ),
    ]
    if directory := environ.get("CREDENTIALS_DIRECTORY"):
        readers.append(lambda: sources.from_credentials(Path(directory), known, is_ours=True))
    readers.append(lambda: sources.from_credentials(secrets_directory, known))
    if config_file is not None:
        readers.append(lambda: toml_files.from_file(config_file, used, must_exist=True))
    else:
        readers += [
            lambda: toml_files.from_drop_ins(default_file.parent / DROP_INS, used),
            lambda: toml_files.from_file(default_file, used),
        ]
    readers.append(lambda: toml_files.from_file(shipped_file, used))
    readers.append(lambda: of_tenant(tenant, environ))
    return bounded(_checked(readers, before, tenant), tenant)


def _checked(
    readers: Sequence[Callable[[], Layer]], before: Settings | None, tenant: Tenant
) -> Settings:
    layers: list[Layer] = []
    problems: list[Problem] = []
    for read in readers:
        try:
            layers.append(read())
        except ConfigError as error:
            problems += error.problems
    try:
        settings = Settings.from_layers(layers)
    except ValidationError as error:
        problems += problems_of(error, layers)
        settings = None
    if problems or settings is None:
        raise ConfigError(problems)
    if tenant == ORDERD:
        # The tokens may be credentials of orderd alone.
        mode_before = None if before is None else before.authorization_mode
        found = (unusable_mode(settings), lost_protection(mode_before, settings))
        problems = [problem for problem in found if problem is not None]
    if problems := problems + _wrong_credentials(settings):
        raise ConfigError(problems)
    return settings


def _wrong_credentials(settings: Settings) -> list[Problem]:
    origins, table = settings.origins, ("notify", "credentials")
    return [
        Problem(".".join((*table, name)), fault, origins.get((*table, name), ""))
        for name, fault in credential_faults(settings.notify).items()
    ]
