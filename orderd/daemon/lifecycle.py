"""The daemon's phase and what leads from one to the next; log, STATUS and health file render it."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from orderd.runtime.phase import Phase

# As events and metrics call them.
SERVERS: Final = ("broker", "database")


class Lifecycle:
    """The one record of how the daemon is; transitions return whether they changed anything.

    ``starting → running ⇄ paused``, with ``standby`` instead of ``running`` while all queues are
    left to other daemons and ``blocked`` while RabbitMQ takes no messages; ``draining`` is final.

    `waiting_for` names the server that is away: ``database`` or ``broker``. `has_been_running`
    tells whether the start is over. `standing_by` are queues left to other daemons, `failing`
    those that cannot be consumed, and `paused_queues` those that nothing is to be taken from, with
    the reason.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        """Start; *now_s* is the clock of durations."""
        self.waiting_for: str | None = None
        self.has_been_running = False
        self.standing_by: tuple[str, ...] = ()
        self.failing: Mapping[str, str] = {}
        self.paused_queues: Mapping[str, str] = {}
        self._now_s = now_s
        self._is_running = False
        self._is_draining = False
        self._takes_any = True
        self._paused_since_s: float | None = None
        self._blocked_since_s: float | None = None
        self._waited_s = dict.fromkeys(SERVERS, 0.0)
        self._waits_since_s = now_s()
        self._connections = dict.fromkeys(SERVERS, 0)

    @property
    def phase(self) -> Phase:
        """What the daemon is doing now."""
        if self._is_draining:
            return Phase.DRAINING
        if not self._is_running:
            return self.phase_without_server
        if self.is_blocked:
            return Phase.BLOCKED
        return Phase.RUNNING if self._takes_any else Phase.STANDBY

    @property
    def phase_without_server(self) -> Phase:
        """What the daemon is doing where a server does not answer."""
        return Phase.PAUSED if self.has_been_running else Phase.STARTING

    @property
    def is_blocked(self) -> bool:
        """Whether RabbitMQ takes no messages."""
        return self._blocked_since_s is not None

    @property
    def is_paused(self) -> bool:
        """Whether no command is taken for want of a server."""
        return self._paused_since_s is not None

    @property
    def paused_s(self) -> float:
        """For how many seconds no command has been taken for want of a server."""
        return self._since(self._paused_since_s)

    @property
    def blocked_s(self) -> float:
        """For how many seconds RabbitMQ has taken no messages."""
        return self._since(self._blocked_since_s)

    @property
    def paused_s_by_dependency(self) -> Mapping[str, float]:
        """For how many seconds in all no command was taken, by the server that was away."""
        self._note_waited()
        return self._waited_s

    @property
    def reconnects(self) -> Mapping[str, int]:
        """How many connections were made to each server after the first one."""
        return {server: max(0, count - 1) for server, count in self._connections.items()}

    def connected(self, server: str) -> None:
        """Count a connection to *server*."""
        self._connections[server] += 1

    def run(self) -> bool:
        """Take commands: both servers are there."""
        if self._is_running:
            return False
        self._note_waited()
        self._is_running = self.has_been_running = True
        self.waiting_for = self._paused_since_s = None
        return True

    def pause(self, waiting_for: str) -> bool:
        """Take no commands until the server is back."""
        self._note_waited()
        was_running, self._is_running = self._is_running, False
        self.waiting_for = waiting_for
        if self._paused_since_s is None:
            self._paused_since_s = self._now_s()
        return was_running

    def block(self, *, is_blocked: bool) -> bool:
        """Hold the unacked messages while RabbitMQ blocks publishers."""
        if is_blocked is self.is_blocked:
            return False
        self._blocked_since_s = self._now_s() if is_blocked else None
        return True

    def stand_by(self, queues: Sequence[str], *, takes_any: bool) -> bool:
        """Leave *queues* to other daemons; *takes_any*: this one still has some."""
        was, self.standing_by = self.standing_by, tuple(queues)
        self._takes_any = takes_any
        return was != self.standing_by

    def fail_queues(self, failing: Mapping[str, str]) -> bool:
        """Do without the queues that cannot be consumed."""
        was, self.failing = self.failing, dict(failing)
        return was != self.failing

    def pause_queues(self, paused: Mapping[str, str]) -> bool:
        """Take nothing from the queues of *paused*; the others go on."""
        was, self.paused_queues = self.paused_queues, dict(paused)
        return was != self.paused_queues

    def drain(self) -> bool:
        """Finish the unacked messages, and consume no more."""
        was_draining, self._is_draining = self._is_draining, True
        return not was_draining

    def _note_waited(self) -> None:
        """Add the time until now to that of the server that is waited for."""
        now_s = self._now_s()
        if self.waiting_for is not None:
            self._waited_s[self.waiting_for] += now_s - self._waits_since_s
        self._waits_since_s = now_s

    def _since(self, moment_s: float | None) -> float:
        return 0.0 if moment_s is None else self._now_s() - moment_s
