"""`make sandbox`: a shell that sources its file has everything at hand; nothing of it stays."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.daemon import clean_environment
from tools.waiting import patience_s, wait_until

START_TIMEOUT_S = 120
END_TIMEOUT_S = 60


@pytest.fixture
def env_path(tmp_path: Path) -> Iterator[Path]:
    """The file that a sandbox has written for shells."""
    path = tmp_path / "sandbox" / "env"
    output = tmp_path / "output"
    command = (sys.executable, "-m", "tools.sandbox", "sandbox", "--env-file", str(path))
    with output.open("w") as out:
        running = subprocess.Popen(
            command, env=clean_environment(), stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    try:
        wait_until(
            lambda: running.poll() is not None or f". {path}" in output.read_text(),
            timeout_s=START_TIMEOUT_S,
            what="the sandbox",
        )
        assert running.poll() is None, output.read_text()
        yield path
        running.send_signal(signal.SIGINT)
        code = running.wait(patience_s(END_TIMEOUT_S))
        assert code == 0, output.read_text()
        assert not path.exists()
    finally:
        running.kill()
        running.wait()


def test_a_shell_that_sources_the_file_reaches_all_parts(env_path: Path, tmp_path: Path) -> None:
    health = shell(env_path, "orderctl health", tmp_path)
    status = shell(env_path, "orderctl status", tmp_path)
    shell(
        env_path,
        """orderctl call product create '{"name":"Mouse","price":1,"stock_quantity":1}'""",
        tmp_path,
    )
    in_table = shell(env_path, "psql -Atc 'SELECT name FROM products'", tmp_path)
    program = shell(env_path, "command -v python", tmp_path)
    logged = shell(env_path, 'grep -c consumer.started "$SANDBOX_LOG"', tmp_path)
    shell(env_path, "orderctl call product mark_out_of_stock '{\"id\":1}'", tmp_path)
    waiting = 'until grep "^To: admin@" "$SANDBOX_MAILS"; do sleep 0.1; done'
    mails = shell(env_path, waiting, tmp_path)

    assert health.startswith("live, ready")
    assert status.startswith("OK: orderd ")
    assert in_table == "Mouse\n"
    assert Path(program.strip()) == Path(sys.executable).parent / "python"
    assert int(logged) >= 1
    assert mails == "To: admin@example.com\n"
    if shutil.which("rabbitmqadmin"):
        assert "order.dlq" in shell(env_path, "rabbitmqadmin list queues", tmp_path)
    assert env_path.stat().st_mode & 0o077 == 0


def shell(env_path: Path, command: str, cwd: Path) -> str:
    done = subprocess.run(
        ["bash", "--norc", "-c", f'. "$0" && {command}', str(env_path)],
        cwd=cwd,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=patience_s(END_TIMEOUT_S),
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
