"""The real orderctl, as a program."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orderd.protocol.strict_json import loads
from tools.daemon import clean_environment

TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run of orderctl ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What was printed, which has to be one JSON document."""
        return loads(self.out.encode())


Orderctl = Callable[..., Ended]


def orderctl_on(servers: Mapping[str, str]) -> Orderctl:
    """Return what runs `orderctl ARGS` with the settings *servers*, unless env says otherwise."""

    def run(*arguments: str, stdin: str = "", **env: str) -> Ended:
        done = subprocess.run(
            [sys.executable, "-m", "orderd.ctl", *arguments],
            env=clean_environment() | dict(servers) | env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run
