"""The phases of a daemon's life, as health file, STATUS and metrics name them."""

from enum import StrEnum


class Phase(StrEnum):
    """What the daemon is doing."""

    STARTING = "starting"
    RUNNING = "running"
    STANDBY = "standby"
    PAUSED = "paused"
    BLOCKED = "blocked"
    DRAINING = "draining"

    @property
    def is_working(self) -> bool:
        """Whether commands are applied, here or by the daemon that has the queues."""
        return self in {Phase.RUNNING, Phase.STANDBY}
