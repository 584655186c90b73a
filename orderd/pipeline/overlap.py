"""Work that is done while PostgreSQL works.

A transaction waits for PostgreSQL's answers, most of all for that to COMMIT. In these waits is done
what has no part in it: the batch before is settled, deliveries are read, and the next ones decoded.
"""

from collections.abc import Callable

Job = Callable[[], bool]
"""Does one short step; returns whether there may be more of the same to do now."""


class Overlap:
    """Runs *jobs* while an answer of PostgreSQL is awaited, and keeps the fault of one of them.

    Nothing that a job raises may end the wait: psycopg2 would close the connection, and whether a
    COMMIT took effect would not be known. So a fault is kept, and no job is run until it is raised.
    """

    def __init__(self) -> None:
        """Start without jobs; the app gives them once the parts exist."""
        self.jobs: tuple[Job, ...] = ()
        self._fault: Exception | None = None

    @property
    def has_failed(self) -> bool:
        """Whether a fault is kept."""
        return self._fault is not None

    def work(self, is_answered: Callable[[], bool]) -> None:
        """Run steps of the jobs, in their order, until PostgreSQL has answered; never raises."""
        if self._fault is not None:
            return
        try:
            for job in self.jobs:
                while not is_answered() and job():
                    pass
        except Exception as fault:  # noqa: BLE001 - kept, and raised after the statement
            self._fault = fault

    def raise_fault(self) -> None:
        """Raise the fault of a job, once, where there was one."""
        fault, self._fault = self._fault, None
        if fault is not None:
            raise fault

    def forget_fault(self) -> None:
        """Forget it: what it was about is given up."""
        self._fault = None
