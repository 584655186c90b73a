"""The exporter, `orderctl metrics --listen`, as a program."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tools.daemon import clean_environment


@contextmanager
def serving(file: Path, servers: Mapping[str, str]) -> Iterator[str]:
    """Serve the metrics in *file* and those of *servers* on any port; yield the URL."""
    command = [sys.executable, "-m", "orderd.ctl", "metrics", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(
        [*command, "--file", str(file)],
        env=clean_environment() | dict(servers),
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stderr is not None
            yield server.stderr.readline().split()[-1]
            server.send_signal(signal.SIGINT)
            assert server.wait(20) == 128 + signal.SIGINT
        finally:
            server.kill()
