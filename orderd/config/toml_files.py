"""Settings in TOML files: one file, or a directory of drop-ins as one layer."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, Final

from orderd.config.sources import MAPPINGS, Layer, entries, is_absent, read
from orderd.runtime.config_errors import ConfigError, Problem

_TOML: Final = ".toml"


def from_drop_ins(directory: Path, used: Collection[str] = ()) -> Layer:
    """Return what the files `*.toml` of the directory set; a later name counts more.

    Hidden files are passed over, *used* is as for `from_file`. Raises ConfigError with the faults
    of all files, also where the directory cannot be read.
    """
    layers: list[Layer] = []
    problems: list[Problem] = []
    for file in entries(directory, must_exist=False, what="config"):
        if file.suffix == _TOML and not file.name.startswith("."):
            try:
                layers.append(from_file(file, used, must_exist=True))
            except ConfigError as error:
                problems += error.problems
    if problems:
        raise ConfigError(problems)
    return stacked(layers)


def stacked(layers: Iterable[Layer]) -> Layer:
    """Return the layers as one, the last one counting most; tables in several are merged."""
    whole = Layer()
    for layer in layers:
        for path, origin in layer.origins.items():
            *tables, key = path
            given: Any = layer.values
            for table in tables:
                given = given[table]
            whole.put(path, given[key], origin)
    return whole


def from_file(file: Path, used: Collection[str] = (), *, must_exist: bool = False) -> Layer:
    """Return what the TOML file sets, known or not. Raises ConfigError.

    A file that is empty is refused where the origins *used* until now have it.
    """
    # Most containers have no such file, and then its parser need not be loaded.
    if not must_exist and is_absent(file):
        return Layer()
    import tomllib  # noqa: PLC0415

    text = read(file, ("config",))
    origin = f"file {file}"
    if not text.strip() and origin in used:
        raise ConfigError([Problem("config", "is empty", str(file))])
    if text.startswith("\ufeff"):
        reason = "begins with a byte order mark; save it as UTF-8 without one"
        raise ConfigError([Problem("config", reason, str(file))])
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([Problem("config", f"is not TOML: {error}", str(file))]) from error
    except (ValueError, RecursionError) as error:
        # Numbers of thousands of digits, nesting without end.
        raise ConfigError([Problem("config", "is too large", str(file))]) from error
    layer = Layer()
    for key, given in values.items():
        if key in MAPPINGS and isinstance(given, dict) and given:
            for name, entry in given.items():
                layer.put((key, name), entry, origin)
        else:
            layer.put((key,), given, origin)
    return layer
