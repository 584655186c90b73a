"""A program of orderd's on a machine whose clock is wrong."""

import sys

# The class is replaced before anything takes it from its module.
_RUN = """
import datetime, sys, time
from datetime import timedelta
off = timedelta(seconds=float(sys.argv.pop(1)))
name = sys.argv.pop(1)
true_now, true_time = datetime.datetime.now, time.time
class Shifted(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return true_now(tz) + off
datetime.datetime = Shifted
time.time = lambda: true_time() + off.total_seconds()
from importlib import import_module
sys.argv[0] = name
sys.exit(import_module(name + ".__main__").main())
"""


def on_a_wrong_clock(module: str, off_s: float) -> tuple[str, ...]:
    """Return how to run *module* where the clock is *off_s* seconds ahead, or behind."""
    return (sys.executable, "-c", _RUN, str(off_s), module)
