"""What a tool that was killed has left running: the next one ends it and removes its files."""

import os
import shutil
import signal
import tempfile
from contextlib import suppress
from pathlib import Path

PREFIX = "orderd-"
# In the environment of all that is started for a tool, with the name of its folder.
VARIABLE = "HARNESS_SCRATCH"
_OWNER = "owner"


def mark(scratch: Path) -> None:
    """Note in *scratch* whose it is."""
    os.environ[VARIABLE] = str(scratch)
    # In one step: another tool that begins must not read half of it.
    unfinished = scratch / f"{_OWNER}.new"
    unfinished.write_text(_identity(os.getpid()))
    unfinished.rename(scratch / _OWNER)


def clear() -> None:
    """End what was started for tools that are no more, and remove their folders."""
    for owner in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{_OWNER}"):
        with suppress(OSError):
            said = owner.read_text()
            is_ours = owner.stat().st_uid == os.geteuid()
            pid, namespace = int(said.split()[0]), said.split()[-1]
            if is_ours and namespace == _namespace() and said != _identity(pid):
                _end_all_of(owner.parent)
                shutil.rmtree(owner.parent, ignore_errors=True)


def _identity(pid: int) -> str:
    """Return what tells the process from all others; something else where there is none."""
    started = "gone"
    with suppress(OSError):
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return f"{pid} {started} {_namespace()}"


def _namespace() -> str:
    """Return in which machine, container or the like process ids mean what they mean here."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"


def _end_all_of(scratch: Path) -> None:
    """Kill each process that was started for the tool of this folder."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if _is_of(process, scratch) and int(process.name) != os.getpid():
                os.kill(int(process.name), signal.SIGKILL)


def _is_of(process: Path, scratch: Path) -> bool:
    marked = f"{VARIABLE}={scratch}".encode()
    if marked in (process / "environ").read_bytes().split(b"\0"):
        return True
    # PostgreSQL writes its titles over its environment, and lives in its data directory.
    is_postgres = (process / "exe").readlink().name == "postgres"
    return is_postgres and (process / "cwd").readlink().is_relative_to(scratch)
