"""`orderd` and `orderd-notify`, the programs; the first one also as `python -m orderd`.

They handle signals before anything else.
"""

import faulthandler
import gc
import os
import signal
import sys
from types import FrameType

from orderd.logs.descriptors import occupy

_STOPS = (signal.SIGINT, signal.SIGTERM)
_OTHERS = (signal.SIGHUP, signal.SIGUSR1)
_STDERR = 2
# What the system does at these stays as it is: the end, a stop and its end, what tells of a fault
# of the program, what does nothing by itself.
_LEFT = {
    *("QUIT", "KILL", "STOP", "TSTP", "TTIN", "TTOU", "CONT"),
    *("SEGV", "BUS", "FPE", "ILL", "ABRT", "TRAP", "SYS"),
    *("CHLD", "URG", "WINCH"),
}


def main() -> int:
    """Run `orderd` until it is told to stop; return its exit code."""
    return _run("ORDERD")


def notify() -> int:
    """Run `orderd-notify` until it is told to stop; return its exit code."""
    return _run("NOTIFY")


def _run(tenant: str) -> int:
    """Run a daemon, given by its name in `orderd.protocol.tenants`.

    Its modules take some tenths of a second to load. A stop in that time ends it at once: nothing
    was begun. Then `Signals` takes over, each signal in one step; those that mean nothing to it
    stay ignored.
    """
    for number in _meaningless():
        signal.signal(number, signal.SIG_IGN)
    for number in _STOPS:
        signal.signal(number, _leave)
    # The pipe of the signals would be stdin and stdout, and the log go into it.
    occupy()
    # systemd's watchdog ends a daemon that hangs by SIGABRT: where it hung is on stderr then. The
    # signal still ends it, and so do those that tell of a fault of the program.
    faulthandler.enable(file=_STDERR)
    # Plugins of pydantic that are installed beside orderd have no say in what is valid, and are not
    # searched for among all packages that are installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    # Of what is made while modules load next to nothing is garbage; `main` turns it on again.
    gc.disable()
    from orderd.daemon.main import main as run  # noqa: PLC0415 (slow to load)
    from orderd.protocol import tenants  # noqa: PLC0415 (likewise)
    from orderd.runtime.exit import leave_threads  # noqa: PLC0415

    code = run(getattr(tenants, tenant))
    # The interpreter gives up its handlers before it has ended, and the default would be to die.
    # Blocked, not ignored: it complains of a signal that comes as it begins to be ignored.
    signal.pthread_sigmask(signal.SIG_BLOCK, (*_STOPS, *_OTHERS))
    leave_threads(code)
    return code


def _meaningless() -> set[signal.Signals]:
    """Return the signals that would end the program for no reason of its own."""
    left = {getattr(signal, f"SIG{name}") for name in _LEFT}
    return set(signal.valid_signals()) - left - set(_STOPS)


def _leave(_number: int, _frame: FrameType | None) -> None:
    # An exception would be lost where an import is within a callback of the interpreter's.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
