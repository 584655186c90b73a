"""Where settings come from: each source is read into a layer that remembers its origins."""

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import field
from pathlib import Path
from stat import S_ISREG
from typing import Any
from urllib.parse import quote

from orderd.config import bounded_read
from orderd.config.json_tables import json_table
from orderd.protocol.values import value
from orderd.runtime.config_errors import ConfigError, Problem
from orderd.runtime.tls import CA_FILE, CERT_FILE, KEY_FILE

PREFIX = "ORDERD_"
# Variables that are orderd's, but no settings.
NOT_SETTINGS = frozenset(
    {
        "ORDERD_FAILPOINT",
        "ORDERD_IMAGE",
        "ORDERD_SOAK_FACTOR",
        "ORDERD_SOAK_SEED",
        "ORDERD_TEST_SUITE",
        "ORDERD_TOKEN",
    }
)

# What Kubernetes sets in every pod for a Service called orderd, or orderd-…
_OF_KUBERNETES = re.compile(
    rf"{PREFIX}(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_OF_KUBERNETES_PORT = re.compile(rf"{PREFIX}(\w+_)?PORT")
_PORT_VALUE = re.compile(r"(tcp|udp|sctp)://")

KeyPath = tuple[str, ...]
Origins = dict[KeyPath, str]

_NESTED = "__"
MAPPINGS = frozenset({"consume", "jwt", "notify", "tokens"})
_PARSED = frozenset({*((key,) for key in MAPPINGS), ("notify", "channel")})
# A credential of one channel of notifications: `notify_NAME`.
_OF_CHANNEL = re.compile(r"notify_(?!_)(?P<channel>.+)")
# Credentials that are files themselves, of which a setting is the path.
_FILES = {
    "jwt_keys": ("jwt", "keys"),
    **{name: (name,) for name in (CA_FILE, CERT_FILE, KEY_FILE)},
}


@value
class Layer:
    """What one source sets: nested values, and where the value at each path was found."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: Origins = field(default_factory=dict)

    def put(self, path: KeyPath, value: object, origin: str) -> None:
        """Set the value at the path, making the tables on the way; whole tables come first."""
        *tables, key = path
        values = self.values
        for table in tables:
            inner = values.get(table)
            if not isinstance(inner, dict):
                inner = values[table] = {}
            values = inner
        values[key] = _parsed_table(value) if path in _PARSED else value
        self.origins[path] = origin


def from_overrides(overrides: Mapping[str, Any]) -> Layer:
    """Return what the command line sets; None is an option that was not given."""
    layer = Layer()
    for key, given in overrides.items():
        if given is not None:
            layer.put((key,), given, "command line")
    return layer


def from_environment(environ: Mapping[str, str]) -> Layer:
    """Return what `ORDERD_…` variables set, known or not; an empty variable counts as absent."""
    layer = Layer()
    names = [name for name, value in environ.items() if _is_setting(name, value)]
    for name in sorted(names, key=lambda name: (name.count(_NESTED), name)):
        if environ[name]:
            path = _path(name.removeprefix(PREFIX))
            layer.put(path, environ[name], f"environment variable {_printable(name)}")
    return layer


def _is_setting(name: str, value: str) -> bool:
    """Return whether the variable is meant to be a setting, known or not."""
    if not name.startswith(PREFIX) or name in NOT_SETTINGS or _OF_KUBERNETES.fullmatch(name):
        return False
    # As its value is always a URL, a port that somebody meant for a setting is still found.
    return not (_OF_KUBERNETES_PORT.fullmatch(name) and _PORT_VALUE.match(value))


def from_plain_environment(environ: Mapping[str, str]) -> Layer:
    """Return the two endpoints as the variables of other people's set-ups give them.

    Raises ConfigError.
    """
    layer = Layer()
    if url := environ.get("DATABASE_URL"):
        layer.put(("database_url",), url, "environment variable DATABASE_URL")
    if url := environ.get("RABBITMQ_URL"):
        layer.put(("rabbitmq_url",), url, "environment variable RABBITMQ_URL")
        return layer
    names = ("HOST", "PORT", "USER", "PASSWORD", "VHOST")
    parts = {name: value for name in names if (value := environ.get(f"RABBITMQ_{name}"))}
    if _PORT_VALUE.match(parts.get("PORT", "")):
        # Kubernetes sets this one by itself beside a service that is called rabbitmq.
        del parts["PORT"]
    if parts:
        named = ", ".join(f"RABBITMQ_{name}" for name in parts)
        origin = f"environment variables {named}"
        try:
            layer.put(("rabbitmq_url",), _amqp_urls(parts), origin)
        except UnicodeEncodeError:
            # Its text quotes the byte, which may be one of the password.
            raise ConfigError([Problem("rabbitmq_url", "is not UTF-8", origin)]) from None
    return layer


def from_credentials(directory: Path, known: Collection[str], *, is_ours: bool = False) -> Layer:
    """Return what the files of the directory set.

    A file is called as its setting, with or without `orderd_` before it. Files that name no known
    setting are passed over; where the directory *is_ours*, each counts as an unknown setting,
    except hidden ones. Raises ConfigError, also where the directory cannot be read.
    """
    layer = Layer()
    problems: list[Problem] = []
    for file in entries(directory, must_exist=is_ours):
        name = file.name.lower().removeprefix(PREFIX.lower())
        if name in _FILES:
            layer.put(_FILES[name], str(file), f"credential {file}")
            continue
        channel = _OF_CHANNEL.fullmatch(name)
        path = ("notify", "credentials", _printable(channel["channel"])) if channel else _path(name)
        if path[0] in known:
            try:
                layer.put(path, _read_regular(file, path).rstrip(), f"credential {file}")
            except ConfigError as error:
                problems += error.problems
        elif is_ours and not name.startswith("."):
            # Unread: an unknown setting is refused by its name.
            layer.put(path[:1], "", f"credential {_printable(str(file))}")
    if problems:
        raise ConfigError(problems)
    return layer


def _path(name: str) -> KeyPath:
    return tuple(_printable(name).lower().split(_NESTED))


def _printable(name: str) -> str:
    r"""Return the name with a `\udcff` for each byte that is not UTF-8, as no text can have it."""
    return name.encode(errors="backslashreplace").decode()


def _parsed_table(value: object) -> object:
    """Return the table that a JSON text holds, so that other sources can add to it."""
    if isinstance(value, str):
        try:
            return json_table(value)
        except (ValueError, RecursionError):
            return value
    return value


def _amqp_urls(parts: Mapping[str, str]) -> tuple[str, ...]:
    user, password = (
        quote(parts.get("USER", "guest"), ""),
        quote(parts.get("PASSWORD", "guest"), ""),
    )
    vhost = quote(parts.get("VHOST", "/"), "")
    port = parts.get("PORT", "5672")
    hosts = [host.strip() for host in parts.get("HOST", "localhost").split(",")]
    return tuple(
        f"amqp://{user}:{password}@{_address(host, port)}/{vhost}" for host in hosts if host
    )


def _address(host: str, port: str) -> str:
    colons = host.count(":")
    if colons == 1:
        return host
    return f"[{host}]:{port}" if colons and not host.startswith("[") else f"{host}:{port}"


def entries(directory: Path, *, must_exist: bool, what: str = "credentials") -> list[Path]:
    """Return what is in the directory: by name, tables before what is in them."""
    if not must_exist and is_absent(directory):
        return []
    try:
        files = list(directory.iterdir())
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        raise ConfigError([Problem(what, reason, str(directory))]) from error
    return sorted(files, key=lambda file: (file.name.count(_NESTED), file.name))


def is_absent(path: Path) -> bool:
    """Return whether nothing is there: neither what cannot be looked at nor a link to nowhere."""
    for place in (path, *path.parents):
        try:
            place.lstat()
        except FileNotFoundError:
            continue
        except OSError:
            return False
        # The first one that is there: a directory without the next, or a link to nowhere.
        return place != path and os.path.isdir(place)  # noqa: PTH112 - raises nothing
    return True


def _read_regular(file: Path, path: KeyPath) -> str:
    """Return what a credential holds; a FIFO is not waited for. Raises ConfigError."""
    try:
        is_regular = S_ISREG(file.stat().st_mode)
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    else:
        if is_regular:
            return read(file, path)
        reason = "is not a regular file"
    raise ConfigError([Problem(".".join(path), reason, str(file))])


def read(file: Path, path: KeyPath) -> str:
    """Return the file's text; raises ConfigError about the setting at *path*."""
    try:
        content = bounded_read.read(str(file))
        if len(content) > bounded_read.BYTES_MAX:
            raise ConfigError([Problem(_NESTED.join(path), "is over 1 MiB", str(file))])
        return content.decode()
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        reason = "is not UTF-8"
    raise ConfigError([Problem(".".join(path), reason, str(file))])
