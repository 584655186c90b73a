"""The connection string of PostgreSQL: read, checked and shown with the help of libpq itself."""

import errno
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import Any, Final

import psycopg2
from psycopg2.extensions import make_dsn, parse_dsn

from orderd.logs.redaction import HIDDEN

_SECRETS: Final = (
    "password",
    "sslpassword",
    "oauth_client_secret",
    "scram_client_key",
    "scram_server_key",
)
# libpq reads these only once it has a socket.
_WHOLE_NUMBERS: Final = (
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
)
_PORT_MAX: Final = 65_535
_CHECKED: Final = "verify-full"
# No directory, so there can be no socket in it.
_NOWHERE: Final = "/dev/null/orderd"
# What a connection ends with there, or on a machine that has no socket left to try it.
_NO_REFUSAL: Final = (_NOWHERE, os.strerror(errno.EMFILE), os.strerror(errno.ENFILE))
_VARIABLES: Final = {"host": "PGHOST", "hostaddr": "PGHOSTADDR", "port": "PGPORT"}

_NUMBER: Final = re.compile(r"\s*[+-]?\d+\s*")
# As libpq does: up to the first "@" or "/" there may be a user and a password.
_URL: Final = re.compile(r"(\w+://)(?:([^:@/]*)(:[^@/]*)?@)?([^?]*)(.*)", re.DOTALL)
_LOGIN: Final = re.compile(r"^(\w+://[^:@/]*).*@", re.DOTALL)
_SECRET_NAMES: Final = "|".join(_SECRETS)
_IN_QUERY: Final = re.compile(rf"(?<=[?&])({_SECRET_NAMES})=[^&]*")
_IN_KEYWORDS: Final = re.compile(
    rf"(?<!\S)({_SECRET_NAMES})\s*=\s*(?:'(?:[^'\\]|\\.)*'|(?:\\.|\S)*)", re.DOTALL
)


def check_dsn(dsn: str) -> dict[str, Any]:
    """Return the parameters of *dsn*, or raise ValueError where it can never work.

    The text names each wrong option. It quotes nothing, for any part may be half of a password.
    """
    try:
        parameters = parse_dsn(dsn)
    except psycopg2.Error:
        raise ValueError("database_url: is not one that libpq can read") from None
    except UnicodeError:
        # Its text quotes a byte, which may be one of the password.
        raise ValueError("database_url: is not UTF-8") from None
    problems = _address_problems(dsn, parameters) + _number_problems(parameters)
    problems += _option_problems(parameters)
    if problems:
        raise ValueError(f"database_url: {'; '.join(problems)}")
    return parameters


def shown_dsn(dsn: str) -> str:
    """Return *dsn* as it was written, with `***` in the place of each password.

    libpq's parser is the judge: where it finds anything else in the result than it should,
    the string is rebuilt.
    """
    try:
        parameters = parse_dsn(dsn)
    except (psycopg2.Error, UnicodeError):
        return HIDDEN
    if _is_torn(dsn):
        return _LOGIN.sub(rf"\1:{HIDDEN}@", dsn)
    hidden = {
        name: HIDDEN if name in _SECRETS and value else value for name, value in parameters.items()
    }
    text = _masked_url(dsn) if _is_url(dsn) else _IN_KEYWORDS.sub(rf"\1={HIDDEN}", dsn)
    with suppress(psycopg2.Error):
        if parse_dsn(text) == hidden:
            return text
    return make_dsn(**hidden)


def unchecked_hosts(dsn: str) -> list[str]:
    """Return which hosts are connected to without a proof that they are who they should be.

    Only `sslmode=verify-full` compares the name in the server's certificate.
    """
    try:
        parameters = parse_dsn(dsn)
    except (psycopg2.Error, UnicodeError):
        # What can never work is refused for that.
        return []
    mode = parameters.get("sslmode") or os.environ.get("PGSSLMODE") or "prefer"
    if mode == _CHECKED or "service" in parameters or os.environ.get("PGSERVICE"):
        return []
    hosts = (_value(parameters, "hostaddr")[1] or _value(parameters, "host")[1]).split(",")
    return [
        f"database_url: sslmode={mode} does not check that the server is {host}; "
        f"use sslmode={_CHECKED}"
        for host in dict.fromkeys(hosts)
        if not _is_local(host)
    ]


def masked(text: str, parameters: Mapping[str, Any]) -> str:
    """Return *text*, in libpq's words, without the passwords of *parameters*."""
    told = {value for name, value in parameters.items() if name not in _SECRETS}
    for name in _SECRETS:
        secret = parameters.get(name)
        # A password that equals the role's name is not hidden: it stands in the text anyway.
        if secret and secret not in told:
            text = text.replace(secret, HIDDEN)
    return text


def _address_problems(dsn: str, parameters: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with hosts and ports."""
    found = []
    hosts = _value(parameters, "host")[1].split(",")
    if _is_torn(dsn) or any("@" in host[1:] for host in hosts):
        found.append("host: contains '@'; percent-encode / ? # @ : in a password")
    name, addresses = _value(parameters, "hostaddr")
    if addresses and not all(_is_address(address) for address in addresses.split(",")):
        found.append(f"{name}: must be numeric addresses")
    if addresses and hosts != [""] and len(addresses.split(",")) != len(hosts):
        found.append(f"{name}: there must be as many addresses as hosts")
    name, ports = _value(parameters, "port")
    if not all(_is_port(port) for port in ports.split(",")):
        found.append(f"{name}: must be whole numbers from 1 to {_PORT_MAX}")
    if ports.count(",") not in {0, (addresses or ",".join(hosts)).count(",")}:
        found.append(f"{name}: there must be one port, or as many as hosts")
    return found


def _value(parameters: Mapping[str, Any], name: str) -> tuple[str, str]:
    """Return where libpq finds the option, and its value; what a service file says is not known."""
    variable = _VARIABLES[name]
    if name in parameters or "service" in parameters or os.environ.get("PGSERVICE"):
        return name, str(parameters.get(name, ""))
    return variable, os.environ.get(variable, "")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return text == ""
    return True


def _is_port(text: str) -> bool:
    return text == "" or (_NUMBER.fullmatch(text) is not None and 1 <= int(text) <= _PORT_MAX)


def _is_local(host: str) -> bool:
    """Return whether what goes to *host* stays on this machine: by a socket, or the loopback."""
    if host in {"", "localhost"} or host.startswith(("/", "@")):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _number_problems(parameters: Mapping[str, Any]) -> list[str]:
    return [
        f"{name}: must be a whole number"
        for name in _WHOLE_NUMBERS
        if name in parameters and not _NUMBER.fullmatch(parameters[name])
    ]


def _option_problems(parameters: Mapping[str, Any]) -> list[str]:
    """Return the options that libpq refuses before it connects to anything."""
    if _is_accepted(parameters):
        return []
    if "user" not in parameters and _is_accepted({**parameters, "user": HIDDEN}):
        return [f"user: is needed: the user id {os.geteuid()} has no name on this machine"]
    if not _is_accepted({}):
        names = ", ".join(sorted(name for name in os.environ if name.startswith("PG")))
        return [f"libpq refuses one of the environment variables {names}"]
    wrong = [name for name, value in parameters.items() if not _is_accepted({name: value})]
    if not wrong:
        return ["libpq refuses the options together"]
    return [f"{name}: libpq refuses the value" for name in wrong]


def _is_accepted(parameters: Mapping[str, Any]) -> bool:
    """Return whether libpq, given these, gets as far as opening a socket; none is opened."""
    # Empty values count, unlike missing ones: no variable and no service file is asked for them.
    nowhere = {"host": _NOWHERE, "hostaddr": "", "port": ""}
    try:
        psycopg2.connect(**{"password": HIDDEN} | dict(parameters) | nowhere)
    except psycopg2.Error as error:
        return any(text in str(error) for text in _NO_REFUSAL)
    return True


def _masked_url(url: str) -> str:
    parts = _URL.match(url)
    if parts is None:
        return url
    scheme, user, password, address, query = parts.groups(default="")
    login = f"{user}:{HIDDEN}@" if len(password) > 1 else f"{user}{password}@"
    has_login = parts[2] is not None
    query = _IN_QUERY.sub(rf"\1={HIDDEN}", query)
    return f"{scheme}{login if has_login else ''}{address}{query}"


def _is_torn(dsn: str) -> bool:
    """Return whether *dsn* is a URL whose password is not encoded, and so ends too early.

    libpq takes the rest of it for the host, the port or the database.
    """
    parts = _URL.match(dsn) if _is_url(dsn) else None
    return parts is not None and "@" in parts[4]


def _is_url(dsn: str) -> bool:
    return dsn.startswith(("postgresql://", "postgres://"))
