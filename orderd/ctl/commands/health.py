"""`orderctl health`: whether the daemon lives and is ready, by its health file alone.

Probes call it every few seconds, so it asks no server and loads no library that it can do without.
"""

import argparse
import json
import os
from typing import TYPE_CHECKING, Any, Final

from orderd.config import bounded_read
from orderd.ctl.durations import duration
from orderd.ctl.errors import Misconfigured
from orderd.ctl.streams import discard_stdout
from orderd.protocol.exit_codes import ExitCode
from orderd.runtime import health_file
from orderd.runtime.paths import (
    CONFIG_FILE,
    DROP_INS,
    NOTIFY_RUNTIME_DIRECTORY,
    RUNTIME_DIRECTORY,
    SHIPPED_FILE,
)
from orderd.runtime.phase import Phase

if TYPE_CHECKING:
    from orderd.ctl.context import Context

# As long as systemd's watchdog leaves between two signs of life of a daemon that is well.
MAX_AGE_S: Final = 60.0
VARIABLE: Final = "ORDERD_HEALTH_FILE"
SETTING: Final = "health_file"
# Where the health file of each daemon is unless that is set.
_DIRECTORIES: Final = {"orderd": RUNTIME_DIRECTORY, "orderd-notify": NOTIFY_RUNTIME_DIRECTORY}


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    wanted = parser.add_mutually_exclusive_group()
    wanted.add_argument(
        "--live",
        action="store_true",
        help="exit with 0 if the loop turns, even if a server is unreachable",
    )
    wanted.add_argument(
        "--ready",
        action="store_true",
        help="exit with 0 if it also consumes commands or is on standby; the default",
    )
    parser.add_argument(
        "--max-age",
        dest="max_age_s",
        metavar="DURATION",
        type=duration,
        default=MAX_AGE_S,
        help="maximum age of the loop's last turn, for example 10s or 2min; default: 60s",
    )
    parser.add_argument(
        "--file", metavar="FILE", help="the daemon's health file; default: its setting health_file"
    )
    parser.add_argument(
        "--program",
        choices=sorted(_DIRECTORIES),
        help="the daemon to look at, where its health file is not set; default: orderd",
    )
    parser.epilog = (
        "Exit codes: 0 live and, unless --live is given, ready; 1 live but not ready (starting, "
        "paused, blocked, draining); 69 not live; 2 usage; 78 the configuration cannot be read."
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, _context: "Context") -> int:
    """Print how the daemon is; the exit code says it again."""
    path = options.file or _configured(options.config, options.program)
    found = look(path, options.max_age_s)
    try:
        # A console would take longer to load than all the rest.
        print(json.dumps(found) if options.json else _in_words(found), flush=True)  # noqa: T201
    except OSError:
        # Probes read the exit code, whatever stdout is.
        discard_stdout()
    if not found["live"]:
        return ExitCode.UNAVAILABLE
    return ExitCode.DONE if found["ready"] or options.live else ExitCode.FAILED


def look(path: str, max_age_s: float = MAX_AGE_S) -> dict[str, Any]:
    """Return what the file says, and what that means."""
    try:
        content = health_file.read(path)
    except health_file.NoHealth as fault:
        return {"live": False, "ready": False, "why": str(fault)}
    why = _death(content, max_age_s)
    is_ready = why is None and Phase(content["state"]).is_working
    return {"live": why is None, "ready": is_ready, "why": why, **content}


def _death(content: dict[str, Any], max_age_s: float) -> str | None:
    age_s = content["age_s"]
    if age_s < 0:
        return "the file was written before the last boot of this machine"
    if not health_file.is_alive(content["pid"]):
        return f"process {content['pid']} is gone"
    if age_s > max_age_s:
        return f"the loop has not turned for {age_s:.1f} s"
    return None


def _in_words(found: dict[str, Any]) -> str:
    if "state" not in found:
        return f"not live: {found['why']}"
    state = state_of(found)
    if found["why"]:
        return f"not live: {found['why']}; it was {state} since {found['since']}"
    word = "ready" if found["ready"] else "not ready"
    return f"live, {word}: {state} since {found['since']}, last turn {found['age_s']:.1f} s ago"


def state_of(found: dict[str, Any]) -> str:
    """Return the state in words, for what the file of some daemon says."""
    state: str = found["state"]
    if found["waiting_for"]:
        state = f"{state}: waiting for the {found['waiting_for']}"
    if found["standing_by"]:
        state = f"{state}: {', '.join(found['standing_by'])} left to another daemon"
    return state


def _configured(config: str | None, program: str | None) -> str:
    """Return the path that the daemon's settings give, of those that are read without pydantic."""
    if path := os.environ.get(VARIABLE):
        return path
    for file in _files() if config is None else (str(config),):
        if path := _of_file(file, is_named=config is not None):
            return path
    if program is None:
        return health_file.default_path(os.environ)
    return f"{_DIRECTORIES[program]}/{health_file.FILE_NAME}"


def _files() -> list[str]:
    """Return the files that may say where it is, the one that counts most first."""
    directory = f"{os.path.dirname(CONFIG_FILE)}/{DROP_INS}"  # noqa: PTH120 (pathlib is slow to load)
    try:
        names = sorted(os.listdir(directory), reverse=True)  # noqa: PTH208
    except OSError:
        names = []
    drop_ins = [f"{directory}/{name}" for name in names if _is_drop_in(name)]
    return [*drop_ins, CONFIG_FILE, SHIPPED_FILE]


def _is_drop_in(name: str) -> bool:
    return name.endswith(".toml") and not name.startswith(".")


def _of_file(file: str, *, is_named: bool) -> str | None:
    """Return what the file says; nothing where it is not for everyone and was not asked for."""
    try:
        text = bounded_read.read(file).decode()
        # Most containers have no such file, and then its parser need not be loaded.
        import tomllib  # noqa: PLC0415

        path: str | None = tomllib.loads(text).get(SETTING)
    except FileNotFoundError:
        if is_named:
            raise Misconfigured(f"configuration: {file}: file not found") from None
        return None
    except PermissionError as error:
        if is_named:
            raise Misconfigured(f"configuration: {file}: {error}") from error
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise Misconfigured(f"configuration: {file}: {error}") from error
    return path
