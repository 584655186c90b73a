"""Runs of `orderctl dlq` over many dead letters: measured, and interrupted."""

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence

from orderd.protocol.exit_codes import ExitCode
from tests.integration.ctl.letters import CAUSES, Broker, Letter, letter_of
from tools.daemon import clean_environment

# Runs orderctl, then prints the most memory in KiB that it has had resident.
MEASURED = """
import sys
from orderd.ctl.__main__ import main
code = main()
with open("/proc/self/status") as status:
    peak = next(line.split()[1] for line in status if line.startswith("VmHWM"))
print(peak, file=sys.stderr)
sys.exit(code)
"""
PROGRAM = ("-m", "orderd.ctl")
EDITOR = "sed -i s/5.00/6.00/"


class Runs:
    """Runs of `orderctl dlq` on the test's servers; counts those that were killed."""

    def __init__(self, database_url: str, vhost_url: str) -> None:
        servers = {"ORDERD_DATABASE_URL": database_url, "ORDERD_RABBITMQ_URL": vhost_url}
        self._env = (
            clean_environment() | servers | {"ORDERD_RETRY_DELAYS": "100ms", "EDITOR": EDITOR}
        )
        self.vhost_url = vhost_url
        self.kills = 0

    def peak_kib(self, *arguments: str) -> int:
        """Run it to its end, and return the most memory that it has had resident."""
        with self._start(("-c", MEASURED), arguments) as program:
            _, told = program.communicate(timeout=500)
        assert program.returncode == 0, told
        return int(told.split()[-1])

    def interrupt(self, number: int, after_s: float, *arguments: str) -> int:
        """Send signal *number* so long after the start; return how the program ended."""
        with self._start(PROGRAM, arguments) as program:
            try:
                program.communicate(timeout=after_s)
            except subprocess.TimeoutExpired:
                program.send_signal(number)
                program.communicate(timeout=60)
        code = program.returncode
        self.kills += code == -signal.SIGKILL
        assert code in {ExitCode.DONE, -signal.SIGKILL, ExitCode.INTERRUPTED}
        return code

    def _start(self, program: Sequence[str], arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, *program, "dlq", *arguments],
            env=self._env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )


def lamps(count: int, padding: str = "") -> Iterator[Letter]:
    for number in range(count):
        content = {"name": f"lamp {number}", "price": "5.00", "stock_quantity": 1}
        queue, body, headers = letter_of(CAUSES[0], number, content)
        yield queue, body + padding.encode(), headers


def ids_in(broker: Broker, *queues: str) -> Counter[str]:
    return Counter(json.loads(body)["id"] for each in queues for body in broker.take_bodies(each))
