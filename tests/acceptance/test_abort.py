"""A daemon that hangs is aborted, as the service manager's watchdog does: it says where it hung."""

import re
import signal
from pathlib import Path

import pytest

from tests.acceptance.shop import Shop, order
from tools.daemon import DaemonProcess
from tools.waiting import wait_until

# Innermost first: the place where the loop stands still, the batch, the loop.
ON_THE_STACK = ("crash_points.py", "commit.py", "batch.py", "loop.py")


@pytest.mark.parametrize("point", ["loaded", "before_commit"])
def test_the_stack_of_the_main_thread_is_on_stderr_and_the_signal_ends_it(
    shop: Shop, database_url: str, vhost_url: str, tmp_path: Path, point: str
) -> None:
    shop.open_with(stock=10)
    frozen = DaemonProcess(
        {
            "ORDERD_DATABASE_URL": database_url,
            "ORDERD_RABBITMQ_URL": vhost_url,
            "ORDERD_HEALTH_FILE": str(tmp_path / "health"),
            "ORDERD_FAILPOINT": f"stop:{point}@hangs",
        }
    )
    try:
        frozen.wait_ready()
        shop.send_all([order({1: 1}, id="hangs")])
        wait_until(lambda: frozen.is_frozen, timeout_s=20, what="the loop standing still")

        # As systemd does it: the second lets a stopped process see the first.
        frozen.send(signal.SIGABRT)
        frozen.send(signal.SIGCONT)

        assert frozen.exit_code() == -signal.SIGABRT
    finally:
        frozen.kill()
    stack = frozen.output.partition("Fatal Python error: Aborted\n")[2]
    files = re.findall(r'File "[^"]*?/([\w.]+)", line \d+ in', stack)
    assert "Current thread" in stack
    assert [each for each in ON_THE_STACK if each not in files] == []
    assert files.index("crash_points.py") < files.index("batch.py") < files.index("loop.py")
    assert "hangs" not in stack
    assert shop.value("SELECT count(*) FROM orders") == 0
