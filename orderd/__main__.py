"""`orderd`, the program, also as `python -m orderd`: it handles signals before anything else."""

import os
import signal
import sys
from types import FrameType

_STOPS = (signal.SIGTERM, signal.SIGINT)
_OTHERS = (signal.SIGHUP, signal.SIGUSR1)


def main() -> int:
    """Run the daemon until it is told to stop; return its exit code.

    Its modules take some tenths of a second to load. A stop in that time ends it at once: nothing
    was begun. Then `Signals` takes over, each signal in one step.
    """
    for number in _STOPS:
        signal.signal(number, _leave)
    for number in _OTHERS:
        signal.signal(number, signal.SIG_IGN)
    from orderd.daemon.main import main as run  # noqa: PLC0415 (slow to load)

    code = run()
    # The interpreter gives up its handlers before it has ended, and the default would be to die.
    # Blocked, not ignored: it complains of a signal that comes as it begins to be ignored.
    signal.pthread_sigmask(signal.SIG_BLOCK, (*_STOPS, *_OTHERS))
    return code


def _leave(_number: int, _frame: FrameType | None) -> None:
    # An exception would be lost where an import is within a callback of the interpreter's.
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
