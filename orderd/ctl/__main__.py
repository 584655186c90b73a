"""`orderctl`, as the program and as `python -m orderd.ctl`: Ctrl-C ends it without a traceback."""

import signal
import sys

from orderd.ctl import interrupts, streams


def main() -> int:
    """Run the command that was typed; return its exit code."""
    interrupts.end_at_once()
    streams.open_closed()
    from orderd.ctl.main import main as run  # noqa: PLC0415 (slow to load)

    try:
        code = run(on_begin=interrupts.end_the_command)
    finally:
        streams.finish()
    # The interpreter would tell of an interrupt while it ends.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))
    if "threading" in sys.modules:
        from orderd.runtime.exit import leave_threads  # noqa: PLC0415 (not for a probe of health)

        leave_threads(code)
    return code


if __name__ == "__main__":
    sys.exit(main())
