"""One bash that runs command after command, as somebody's shell does."""

import os
import secrets
import selectors
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from tools.waiting import NotObserved, patience_s

COMMAND_TIMEOUT_S = 30.0
CHUNK_BYTES = 65_536


class Bash:
    """A session in a folder; the variables and functions of one command are there for the next."""

    def __init__(self, cwd: Path, env: Mapping[str, str]) -> None:
        self._end = f"end-{secrets.token_hex(8)}"
        self._script = cwd.parent / f"command-{secrets.token_hex(4)}.sh"
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._script.unlink(missing_ok=True)

    def run(self, command: str, timeout_s: float = COMMAND_TIMEOUT_S) -> tuple[str, int]:
        """Return what a command prints, standard error included, and its exit status.

        NotObserved when it, or the shell, does not get to its end.
        """
        self._script.write_text(f"{command}\n")
        line = f". '{self._script}' </dev/null; printf '\\n%s %d\\n' {self._end} $?\n"
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(line.encode())
        stdin.flush()
        text = self._read_to_end(command, timeout_s)
        output, _, status = text.rpartition(f"\n{self._end} ")
        return output, int(status)

    def _read_to_end(self, command: str, timeout_s: float) -> str:
        stdout: IO[bytes] | None = self._process.stdout
        assert stdout is not None
        end = f"\n{self._end} ".encode()
        deadline_s = time.monotonic() + patience_s(timeout_s)
        read = b""
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while not (end in read and read.endswith(b"\n")):
                left_s = deadline_s - time.monotonic()
                if left_s <= 0 or not selector.select(left_s):
                    raise NotObserved(f"does not end: {command}\n{read.decode(errors='replace')}")
                chunk = os.read(stdout.fileno(), CHUNK_BYTES)
                if not chunk:
                    raise NotObserved(f"ended the shell: {command}\n{read.decode()}")
                read += chunk
        return read.decode()
