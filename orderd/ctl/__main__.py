"""`orderctl`, as the program and as `python -m orderd.ctl`: Ctrl-C ends it without a traceback."""

import os
import signal
import sys
from types import FrameType
from typing import Any

_INTERRUPTED = 130


def main() -> int:
    """Run the command that was typed; return its exit code.

    Until the command begins, Ctrl-C ends the program at once: nothing was begun. Then it ends the
    command, which gives back what it has taken; a second one does not wait for that.
    """
    # Who started it with Ctrl-C ignored, as a shell does in the background, means that.
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _leave)
    from orderd.ctl.main import main as run  # noqa: PLC0415 (slow to load)

    code = run(on_begin=_begin)
    # The interpreter would tell of an interrupt while it ends.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    return code


def _begin() -> None:
    if signal.getsignal(signal.SIGINT) is _leave:
        sys.unraisablehook = _on_unraisable
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, _leave)
    raise KeyboardInterrupt


def _on_unraisable(unraisable: Any) -> None:
    # An interrupt in a callback of the interpreter's, which lets no exception out.
    if unraisable.exc_type is KeyboardInterrupt:
        os._exit(_INTERRUPTED)
    sys.__unraisablehook__(unraisable)


def _leave(_number: int, _frame: FrameType | None) -> None:
    os._exit(_INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
