"""A TCP server that follows a script to the byte: for what proper servers do not do."""

import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import Self

Step = Callable[["Conversation"], None]


class Conversation:
    """One connection, seen from the server."""

    def __init__(self, connection: socket.socket, is_over: Event) -> None:
        self._connection = connection
        self._is_over = is_over
        self._unread = b""
        self.heard = b""

    def say(self, text: str) -> None:
        """Send the text at once."""
        self._connection.sendall(text.encode())

    def hear(self, end: bytes = b"\r\n") -> bytes:
        """Return what comes up to the end; EOFError where nothing more comes."""
        while end not in self._unread:
            part = self._connection.recv(65_536)
            if not part:
                raise EOFError
            self._unread += part
        found, _, self._unread = self._unread.partition(end)
        self.heard += found + end
        return found

    def dribble(self, text: str, pause_s: float = 0.05) -> None:
        """Send the text again and again, a byte at a time, until the client goes away."""
        while not self._is_over.is_set():
            for byte in text.encode():
                self._connection.sendall(bytes([byte]))
                self._is_over.wait(pause_s)

    def be_silent(self) -> None:
        """Say nothing until the client goes away."""
        with suppress(TimeoutError):
            while not self._is_over.is_set() and self._connection.recv(65_536):
                pass

    def reset(self) -> None:
        """Close the connection in the hard way: what is on its way is lost."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._connection.close()


class ScriptedServer:
    """Follows one script for each connection, the last one for all that come after it."""

    def __init__(self, *scripts: Step) -> None:
        self._scripts = scripts
        self._is_over = Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.conversations: list[Conversation] = []

    def __enter__(self) -> Self:
        """Start it."""
        self._listener.settimeout(0.1)
        self._thread = Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._is_over.set()
        self._thread.join(20)
        self._listener.close()

    def _serve(self) -> None:
        while not self._is_over.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            connection.settimeout(20)
            conversation = Conversation(connection, self._is_over)
            script = self._scripts[min(len(self.conversations), len(self._scripts) - 1)]
            self.conversations.append(conversation)
            with connection, suppress(OSError, EOFError):
                script(conversation)


def smtp_until(*steps: str) -> Step:
    """Return the beginning of an SMTP dialogue that goes well up to and with these commands."""

    def begin(conversation: Conversation) -> None:
        conversation.say("220 mail.test ready\r\n")
        for step in steps:
            said = conversation.hear().decode()
            assert said.upper().startswith(step.upper()), said
            conversation.say("354 go ahead\r\n" if step == "DATA" else "250 OK\r\n")

    return begin
