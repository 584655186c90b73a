"""Why a channel could not send."""


class Unreachable(Exception):
    """The server cannot be used now, whatever is to be sent: an outage, which costs no attempt."""


class RefusedForNow(Exception):
    """The server refused this message, and may take it later.

    `answer` is one printable line; `retry_after_s` is how long the server wants to be left alone.
    """

    def __init__(self, answer: str, retry_after_s: float | None = None) -> None:
        """Keep what the server answered, and its wish."""
        super().__init__(answer)
        self.answer = answer
        self.retry_after_s = retry_after_s


class RefusedForGood(Exception):
    """The server will never take this message; `answer` is one printable line."""

    def __init__(self, answer: str) -> None:
        """Keep what the server answered."""
        super().__init__(answer)
        self.answer = answer
