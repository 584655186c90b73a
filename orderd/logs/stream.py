"""Writes lines to a shared descriptor, without blocking on it or failing with it."""

import fcntl
import os
import select
import time
from collections.abc import Callable

_PATIENCE_S = 0.1
# ioctl_tty(2): the number of the terminal that a descriptor leads to.
_TIOCGDEV = 0x80045432


class LogStream:
    """Lines to a descriptor; what it does not take within 100 ms is dropped and counted.

    The descriptor stays blocking, since others may share it: nothing is written before it has room
    for a piece of PIPE_BUF bytes, and no piece is larger. A terminal, which may say that it has
    room and have less, is opened once more, without blocking.
    """

    def __init__(
        self,
        descriptor: int = 1,
        *,
        patience_s: float = _PATIENCE_S,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.descriptor = descriptor
        self.dropped = 0
        self._patience_s = patience_s
        self._now_s = now_s
        self._unsent = b""
        self._is_stalled = False
        self._output = _unblocked_terminal(descriptor) if os.isatty(descriptor) else descriptor
        self._poll = select.poll()
        self._poll.register(self._output, select.POLLOUT)

    def write(self, line: bytes) -> bool:
        """Write the whole line and return True, or count it as dropped.

        Once the descriptor was found full, lines do not wait any more until it has room again, so
        that many of them do not add up to a long wait.
        """
        deadline_s = self._now_s() + (0 if self._is_stalled else self._patience_s)
        if not self._send_unsent(deadline_s):
            self.dropped += 1
            return False
        self._unsent = line
        if self._send_unsent(deadline_s):
            return True
        if 0 < len(self._unsent) < len(line):
            # Half a line is out. The rest is kept for later, so that no line is ever torn.
            return True
        self._unsent = b""
        self.dropped += 1
        return False

    def has_room(self) -> bool:
        """Return whether a line would begin to be written at once."""
        return self._send_unsent(self._now_s()) and self._is_writable(0)

    def finish(self) -> None:
        """Try once more, within the patience, to get rid of the rest of a line."""
        self._send_unsent(self._now_s() + self._patience_s)

    def _send_unsent(self, deadline_s: float) -> bool:
        """Return whether nothing is left to send; a broken descriptor loses the rest."""
        if not self._unsent:
            # Nothing was sent, so nothing is known of the descriptor that was not known before.
            return True
        try:
            while self._unsent:
                left_s = max(0.0, deadline_s - self._now_s())
                if not self._is_writable(left_s) or not self._send_piece(left_s):
                    self._is_stalled = True
                    return False
        except OSError:
            self._unsent = b""
            self._is_stalled = True
            return False
        self._is_stalled = False
        return True

    def _send_piece(self, left_s: float) -> bool:
        try:
            sent = os.write(self._output, self._unsent[: select.PIPE_BUF])
        except BlockingIOError:
            # Another process made it non-blocking or filled it; try again while time is left.
            return left_s > 0
        self._unsent = self._unsent[sent:]
        return True

    def _is_writable(self, wait_s: float) -> bool:
        return bool(self._poll.poll(round(wait_s * 1_000)))


def _unblocked_terminal(descriptor: int) -> int:
    """Return a descriptor of the same terminal that is not shared and never blocks.

    Where the terminal is another user's, it can only be had as the one that controls the process;
    where that is another one, return *descriptor* itself.
    """
    for path in (f"/proc/self/fd/{descriptor}", "/dev/tty"):
        try:
            opened = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            continue
        if _terminal(opened) == _terminal(descriptor) is not None:
            return opened
        os.close(opened)
    return descriptor


def _terminal(descriptor: int) -> bytes | None:
    try:
        return fcntl.ioctl(descriptor, _TIOCGDEV, bytes(4))
    except OSError:
        return None
