"""The time of the database, known without a query each time."""

import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Returns the database's time, continued from the last query by a clock that is never set.

    Before the first query it is this machine's time.
    """

    def __init__(self) -> None:
        """Begin with the time of this machine."""
        self.learn(datetime.now(UTC))

    def learn(self, moment: datetime) -> None:
        """Take *moment* for the present one."""
        self._moment = moment.astimezone(UTC)
        self._moment_s = moment.timestamp()
        self._learned_s = _steady_s()

    def now(self) -> datetime:
        """Return the present moment, in UTC."""
        return self._moment + timedelta(seconds=_steady_s() - self._learned_s)

    def seconds(self) -> float:
        """Return the present moment in seconds since 1970."""
        return self._moment_s + _steady_s() - self._learned_s


def _steady_s() -> float:
    # It goes on while the machine is suspended.
    return time.clock_gettime(time.CLOCK_BOOTTIME)
