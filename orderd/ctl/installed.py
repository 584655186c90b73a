"""orderctl where the package is installed: root works as a daemon, with what that would have.

systemd hands a daemon its credentials; orderctl takes the same files while it is still root, and
then drops to the daemon's user, as whom PostgreSQL knows it too. `orderctl notify` works as
orderd-notify, where that is set up.
"""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orderd.ctl.errors import Misconfigured
from orderd.runtime import installation
from orderd.runtime.config_errors import ConfigError
from orderd.runtime.installation import DAEMON, NOTIFIER, Account
from orderd.runtime.paths import CONFIG_FILE

if TYPE_CHECKING:
    from pwd import struct_passwd

    from orderd.config.settings import Settings

# As their units, these have the owner's role; the daemon's may neither create nor delete.
_OF_OWNER: Final = frozenset({"migrate", "prune"})
_WITHOUT_BROKER: Final = _OF_OWNER | {"ledger", "outbox"}
_WITHOUT_SERVER: Final = frozenset({"config"})
# Also what is done for orderd-notify by `orderctl config`.
_OF_NOTIFIER: Final = frozenset({"notify"})
_DIRECTORY: Final = "CREDENTIALS_DIRECTORY"


def environment(command: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return *environ* with the variables and the credentials of the unit that does the same.

    Nothing is added where systemd has already done so, or where no package is installed; what is
    not for orderd's settings, but for libpq or about places, goes into the program's environment
    as well. Raises Misconfigured where the file of variables cannot be read.
    """
    own = dict(environ)
    if _DIRECTORY in environ:
        return own
    account = _account(command)
    if os.geteuid() != 0:
        if os.access(account.running_credentials, os.R_OK | os.X_OK):
            own[_DIRECTORY] = account.running_credentials
        return own
    if _user(account) is None:
        return own
    own[_DIRECTORY] = _credentials(command, account)
    whole: dict[str, str] = {}
    for file in account.environment_files:
        whole |= _variables(Path(file))
    whole |= own
    if os.path.isdir(account.runtime_directory):  # noqa: PTH112 (raises nothing)
        os.environ.setdefault("RUNTIME_DIRECTORY", account.runtime_directory)
    os.environ.update({name: text for name, text in whole.items() if name.startswith("PG")})
    return whole


def with_files_held(command: str, settings: "Settings") -> "Settings":
    """Return *settings* with copies, in memory, of the files of TLS that root alone may read.

    For who gives up root afterwards, see `become_user`. Raises Misconfigured where one is unusable.
    """
    if command in _WITHOUT_BROKER or not _gives_up_root(command):
        return settings
    from orderd.config.broker_tls import broker_tls  # noqa: PLC0415 (only needed here)

    try:
        files = broker_tls(settings).given
    except ConfigError as error:
        problems = [f"configuration: {problem}" for problem in error.problems]
        raise Misconfigured("\n".join(problems)) from error
    held = {setting: _held(setting, path) for setting, path in files.items()}
    return settings.model_copy(update=held)


def become_user(command: str) -> None:
    """Give up root for the user of the command, for good; do nothing where none is installed."""
    user = _user(_account(command))
    if user is None or not _gives_up_root(command):
        return
    os.initgroups(user.pw_name, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    # libpq looks for its own files in the home directory, and may not look into root's any more.
    os.environ.update(HOME=user.pw_dir, USER=user.pw_name, LOGNAME=user.pw_name)


def default_file(command: str) -> Path:
    """Return the configuration file, or an empty one where this user may not read that.

    Its settings are the daemon's; a user without the right to read them has his own variables.
    """
    is_for_others = command not in _WITHOUT_SERVER and are_hidden()
    return Path(CONFIG_FILE if not is_for_others or os.access(CONFIG_FILE, os.R_OK) else os.devnull)


def require_credentials(command: str, settings: "Settings") -> None:
    """Raise Misconfigured where the defaults would be tried for want of the right to read.

    As the user orderd, the default database is the right one.
    """
    if command in _WITHOUT_SERVER or not are_hidden():
        return
    account = _account(command)
    user = _user(account)
    is_orderd = user is not None and os.geteuid() == user.pw_uid
    if command in _WITHOUT_BROKER:
        setting, is_right = "database_url", is_orderd
    else:
        setting, is_right = "rabbitmq_url", False
    if is_right or (setting,) in settings.origins:
        return
    raise Misconfigured(
        f"no credentials: {account.credentials} is for root alone; run orderctl as root, or "
        f"set ORDERD_{setting.upper()}"
    )


def are_hidden(account: Account = DAEMON) -> bool:
    """Return whether the machine has credentials of the daemon that this user may not read.

    They are hidden from ExecReload= of the daemon's own unit as well.
    """
    return (
        os.path.isdir(account.credentials)  # noqa: PTH112 (raises nothing)
        and not os.access(account.credentials, os.R_OK)
        and _DIRECTORY not in os.environ
    )


def _gives_up_root(command: str) -> bool:
    is_root = os.geteuid() == 0 and _DIRECTORY not in os.environ
    return is_root and _user(_account(command)) is not None


def _held(setting: str, path: str) -> str:
    """Return the path of a copy of the file that lasts as long as this process, and is its own."""
    copy = os.memfd_create(setting)
    os.write(copy, Path(path).read_bytes())
    return f"/proc/self/fd/{copy}"


def _account(command: str) -> Account:
    """Return as which daemon the command works."""
    if command not in _OF_NOTIFIER:
        return DAEMON
    is_running = os.path.isdir(NOTIFIER.running_credentials)  # noqa: PTH112 (raises nothing)
    return NOTIFIER if is_running or _has_files(NOTIFIER.credentials) else DAEMON


def _has_files(directory: str) -> bool:
    """Return whether the directory has any, or may not be read, as by users other than root."""
    try:
        return any(Path(directory).iterdir())
    except FileNotFoundError:
        return False
    except PermissionError:
        return True


def _user(account: Account) -> "struct_passwd | None":
    """Return the user that the package has made, None where it is not installed."""
    if not Path(account.credentials).is_dir():
        return None
    import pwd  # noqa: PLC0415 (only needed here)

    try:
        return pwd.getpwnam(account.user)
    except KeyError:
        return None


def _credentials(command: str, account: Account) -> str:
    """Return the directory with what the command's unit has.

    Where the daemon's are encrypted, they are there to read while it runs.
    """
    if command in _OF_OWNER:
        return installation.OWNER_CREDENTIALS
    is_empty = not any(Path(account.credentials).iterdir())
    running = account.running_credentials
    return running if is_empty and Path(running).is_dir() else account.credentials


def _variables(file: Path) -> dict[str, str]:
    """Return what the file sets, in the syntax of systemd's EnvironmentFile=."""
    try:
        lines = file.read_text().splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Misconfigured(f"{file}: {error}") from error
    found = {}
    for line in map(str.strip, lines):
        name, is_assignment, text = line.partition("=")
        if is_assignment and not line.startswith(("#", ";")):
            found[name.strip()] = _unquoted(text.strip())
    return found


def _unquoted(text: str) -> str:
    if text[:1] not in ("'", '"'):
        return text
    try:
        return " ".join(shlex.split(text))
    except ValueError:
        return text
