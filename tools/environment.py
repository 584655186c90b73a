"""The file that leads a shell to a sandbox: programs, URLs, and the variables of psql."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from psycopg2.extensions import parse_dsn

# What psql calls the parts of a connection string.
PG_VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
}
HEAD = "# Source this in a shell: . build/sandbox/env\n"


def environment_text(variables: Mapping[str, str], rabbitmqadmin: Sequence[str] = ()) -> str:
    """Return shell text that sets *variables*, and those of psql that follow from them.

    *rabbitmqadmin* is the command with the options that lead to the broker; empty: there is none.
    """
    exported = dict(variables)
    for key, value in parse_dsn(variables["ORDERD_DATABASE_URL"]).items():
        if key in PG_VARIABLES:
            exported[PG_VARIABLES[key]] = value
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in exported.items()]
    if rabbitmqadmin:
        lines.append(f'rabbitmqadmin() {{ {shlex.join(rabbitmqadmin)} "$@"; }}\n')
    programs = shlex.quote(str(Path(sys.executable).parent))
    return "".join([HEAD, f'export PATH={programs}:"$PATH"\n', *lines])


def write_environment(path: Path, text: str) -> None:
    """Write the file, readable for its owner alone: it may hold passwords."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_text(text)


def remove_environment(path: Path, text: str) -> None:
    """Remove the file, unless another sandbox has written it since."""
    if path.exists() and path.read_text() == text:
        path.unlink()
