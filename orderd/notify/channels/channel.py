"""What every channel can do."""

from typing import Protocol

from orderd.notify.message import Message


class Channel(Protocol):
    """A way to send messages; it has one owner, and waits only while it sends."""

    @property
    def name(self) -> str:
        """The name in settings, logs and tables."""

    @property
    def kind(self) -> str:
        """`log`, `smtp` or `webhook`."""

    def send(self, message: Message) -> None:
        """Send it, and return when the other side has taken it.

        Raises `Unreachable`, `RefusedForNow` and `RefusedForGood`, and what keep-alive work raises.
        """

    def rest(self) -> None:
        """Let a connection go that has been idle for long; to be called freely."""

    def close(self) -> None:
        """Let an idle connection go; the next message opens one."""
