"""The service manager's end of a notification socket, as far as a daemon can tell."""

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools.waiting import wait_until

TIMEOUT_S = 20.0
POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Told:
    """One message, and when it came."""

    at_s: float
    lines: tuple[str, ...]

    def value(self, name: str) -> str | None:
        """Return what is assigned to the name, None where nothing is."""
        found = [line.partition("=")[2] for line in self.lines if line.startswith(f"{name}=")]
        return found[0] if found else None


class ServiceManager:
    """Listens at `path`, as long as it `reads`, and keeps everything in order."""

    def __init__(self, path: Path, *, reads: bool = True) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(POLL_S)
        self._told: list[Told] = []
        self._is_over = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        if reads:
            self._reader.start()

    @property
    def told(self) -> list[Told]:
        """Everything so far, in order."""
        return self._told[:]

    def names(self) -> list[str]:
        """Return the first assignment of each message but pings and mere statuses, in order."""
        firsts = [told.lines[0] for told in self.told]
        return [line for line in firsts if not line.startswith(("WATCHDOG=", "STATUS="))]

    def pings_s(self) -> list[float]:
        """Return when the watchdog was fed."""
        return [told.at_s for told in self.told if "WATCHDOG=1" in told.lines]

    def wait_for(
        self, is_wanted: Callable[[Told], bool], *, after: int = 0, timeout_s: float = TIMEOUT_S
    ) -> Told:
        """Return the first such message from the place `after` on, waiting for it."""

        def found() -> list[Told]:
            return [told for told in self.told[after:] if is_wanted(told)]

        return wait_until(found, timeout_s=timeout_s, what="a message to the service manager")[0]

    def wait_for_status(self, *parts: str, after: int = 0, timeout_s: float = TIMEOUT_S) -> str:
        """Return the first STATUS with all these parts in it, waiting for it."""

        def is_wanted(told: Told) -> bool:
            status = told.value("STATUS")
            return status is not None and all(part in status for part in parts)

        told = self.wait_for(is_wanted, after=after, timeout_s=timeout_s)
        return told.value("STATUS") or ""

    def close(self) -> None:
        self._is_over.set()
        if self._reader.is_alive():
            self._reader.join()
        self.socket.close()

    def _read(self) -> None:
        while not self._is_over.is_set():
            try:
                message = self.socket.recv(8192)
            except TimeoutError:
                continue
            lines = tuple(message.decode().split("\n"))
            self._told.append(Told(time.monotonic(), lines))
