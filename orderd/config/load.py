"""Loads the settings from every source and says everything that is wrong with them at once."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from orderd.config import sources, toml_files
from orderd.config.authorization import lost_protection, unusable_mode
from orderd.config.layers import merged_origins
from orderd.config.settings import SECRET, Settings, Token, has_mark
from orderd.config.sources import KeyPath, Layer, Origins
from orderd.config.tenant_defaults import of_tenant
from orderd.logs.redaction import redact
from orderd.protocol.tenants import ORDERD, Tenant
from orderd.runtime.config_errors import ConfigError, Problem
from orderd.runtime.paths import CONFIG_FILE, DROP_INS, SECRETS_DIRECTORY, SHIPPED_FILE

__all__ = ["DEFAULT_FILE", "ConfigError", "Settings", "load"]

DEFAULT_FILE = Path(CONFIG_FILE)

_VALUE_CHARS_MAX = 200


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
    return _checked(readers, None if before is None else before.authorization_mode)


def _checked(readers: Sequence[Callable[[], Layer]], mode_before: str | None) -> Settings:
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
        origins = merged_origins(layers)
        problems += [_problem(details, origins) for details in _proper(error)]
        settings = None
    if problems or settings is None:
        raise ConfigError(problems)
    found = (unusable_mode(settings), lost_protection(mode_before, settings))
    if problems := [problem for problem in found if problem is not None]:
        raise ConfigError(problems)
    return settings


def _proper(error: ValidationError) -> list[ErrorDetails]:
    """Return the errors, without those that a list is too short for want of its wrong items."""
    every = error.errors(include_url=False)
    parents = {details["loc"][:-1] for details in every}
    return [one for one in every if one["type"] != "too_short" or one["loc"] not in parents]


def _problem(details: ErrorDetails, origins: Origins) -> Problem:
    path = tuple(str(step) for step in details["loc"])
    origin = next(
        (origins[path[:end]] for end in range(len(path), 0, -1) if path[:end] in origins), ""
    )
    key = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in details["loc"])
    if details["type"] == "extra_forbidden":
        # What stands under an unknown name may well be a misspelt password.
        return Problem(key[1:], f"unknown setting{_hint(path)}", origin)
    reason = details["msg"].removeprefix("Value error, ")
    value = None if has_mark(path[0], SECRET) else _shown(details["input"])
    return Problem(key[1:], reason, origin, value)


def _hint(path: KeyPath) -> str:
    if len(path) > 1 and path[-1] in Settings.model_fields:
        # A line that was appended to the file.
        return f"; {path[-1]} has to stand before the first [table] of its file"
    # Loaded only for the sake of an error.
    import difflib  # noqa: PLC0415

    names = Settings.model_fields if len(path) == 1 else Token.model_fields
    close = difflib.get_close_matches(path[-1].replace("-", "_"), names, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _shown(value: object) -> str:
    text = redact(repr(value))
    return text if len(text) <= _VALUE_CHARS_MAX else f"{text[:_VALUE_CHARS_MAX]}…"
