"""A terminal of a given size in which a shell runs, as a person would use it (tmux)."""

import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tools.waiting import wait_until

_TIMEOUT_S = 60
_LINES = 100
_PROMPT = "ready> "


class Terminal:
    """A shell in a terminal; what it shows is read from the screen."""

    def __init__(self, socket: Path, columns: int, environ: Mapping[str, str]) -> None:
        self._tmux = ["tmux", "-S", str(socket), "-f", "/dev/null"]
        self._environ = environ
        size = ["-x", str(columns), "-y", str(_LINES)]
        shell = ["env", f"PS1={_PROMPT}", "sh"]
        self._run("new-session", "-d", *size, shlex.join(shell))

    def type(self, *keys: str) -> None:
        """Press *keys*, as tmux names them, or type the text that they are."""
        self._run("send-keys", *keys)

    def run(self, command: str) -> list[str]:
        """Run *command*, and return the lines that it left on an empty screen, and its code."""
        self.type("clear", "Enter")
        wait_until(lambda: self.screen() == [_PROMPT.strip()], timeout_s=_TIMEOUT_S, what="a shell")
        self.type(f"{command}; echo code $?", "Enter")
        self.wait_for("code ", at_end=True)
        return self.screen()[1:-1]

    def wait_for(self, text: str, *, at_end: bool = False) -> None:
        """Wait until *text* is on the screen; *at_end*: begins the last line before the prompt."""

        def is_there() -> bool:
            lines = self.screen()
            last = len(lines) > 1 and lines[-1] == _PROMPT.strip() and lines[-2].startswith(text)
            return last if at_end else any(text in line for line in lines)

        wait_until(is_there, timeout_s=_TIMEOUT_S, what=f"{text!r} on the screen")

    def screen(self, *options: str) -> list[str]:
        """Return the lines of the screen without the empty ones at its end."""
        return self._run("capture-pane", "-p", *options).rstrip().splitlines()

    @property
    def is_anything_too_wide(self) -> bool:
        """Whether the terminal had to go on in another line."""
        return len(self.screen("-J")) != len(self.screen())

    def end(self) -> None:
        """Close the terminal and all that runs in it."""
        self._run("kill-server")

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._tmux, *arguments],
            env=self._environ,
            capture_output=True,
            text=True,
            check=True,
            timeout=_TIMEOUT_S,
        )
        return done.stdout


@contextmanager
def terminal(directory: Path, columns: int, environ: Mapping[str, str]) -> Iterator[Terminal]:
    """Give a terminal of *columns*; skip the test where there is no tmux."""
    if shutil.which("tmux") is None:
        pytest.skip("needs tmux (bash tools/install --tests)")
    opened = Terminal(directory / "tmux", columns, {**environ, "LC_ALL": "C.UTF-8"})
    try:
        yield opened
    finally:
        opened.end()
