"""`log_format = "journal"` where there is no journal; with one, tests/system tries it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from orderd.logs.journal import PATH
from tools.daemon import clean_environment

# No server is needed: what a start without one logs is enough.
NOWHERE = {
    "ORDERD_DATABASE_URL": "postgresql://u@127.0.0.1:1/x",
    "ORDERD_RABBITMQ_URL": "amqp://127.0.0.1:1/",
}


@pytest.mark.skipif(Path(PATH).exists(), reason=f"there is {PATH}")
def test_without_a_journal_all_lines_are_on_stderr_and_the_first_says_so() -> None:
    command = [sys.executable, "-m", "orderd", "--no-wait", "--log-format", "journal"]
    done = subprocess.run(
        command, env=clean_environment() | NOWHERE, capture_output=True, timeout=60, check=False
    )

    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert (done.returncode, done.stdout) == (69, b"")
    assert lines[0]["event"] == "config.warning"
    assert f"no journal at {PATH}: No such file or directory" in lines[0]["message"]
    assert "database.disconnected" in {line["event"] for line in lines}
