import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

import orderd
from orderd.runtime import crash_points as failpoints
from orderd.runtime.config_errors import ConfigError

ENVIRON = {"PYTHONPATH": str(Path(orderd.__file__).parents[1])}


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    failpoints.arm({})


def exit_status(armed: str, code: str) -> int:
    """Run the code in a Python of its own and return its exit status, negative for a signal."""
    program = f"from orderd.runtime.crash_points import arm, reach, reach_any\narm()\n{code}"
    return subprocess.run(
        [sys.executable, "-c", program], env=ENVIRON | {"ORDERD_FAILPOINT": armed}, check=False
    ).returncode


def test_an_armed_point_kills_at_once_and_without_clean_up() -> None:
    code = "try:\n reach('after_commit')\nfinally:\n raise SystemExit(3)"

    assert exit_status("after_commit", code) == -signal.SIGKILL


def test_a_point_can_freeze_the_daemon_instead() -> None:
    program = "from orderd.runtime.crash_points import arm, reach\narm()\nreach('loaded')"
    env = ENVIRON | {"ORDERD_FAILPOINT": "stop:loaded"}
    with subprocess.Popen([sys.executable, "-c", program], env=env) as frozen:
        _, status = os.waitpid(frozen.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        frozen.send_signal(signal.SIGCONT)
        assert frozen.wait(20) == 0


def test_other_points_are_passed() -> None:
    assert exit_status("after_commit", "reach('before_commit')") == 0


def test_the_nth_pass_kills() -> None:
    assert exit_status("loaded:3", "reach('loaded'); reach('loaded')") == 0
    assert exit_status("loaded:3", "for _ in range(3): reach('loaded')") == -signal.SIGKILL


def test_of_several_points_each_is_passed_once() -> None:
    code = "reach_any(['before_ack', 'after_ack', 'after_ack'])"

    assert exit_status("after_ack", code) == -signal.SIGKILL
    assert exit_status("after_ack:2", code) == 0
    assert exit_status("loaded", code) == 0


def test_only_passes_with_the_request_in_hand_count() -> None:
    code = "reach('decided', ['a', None]); reach('decided'); reach('decided', ['a:7'])"

    assert exit_status("decided@b", code) == 0
    assert exit_status("decided@a:7:1", code) == -signal.SIGKILL
    assert exit_status("decided@a:7:2", code) == 0


def test_several_points_can_be_armed() -> None:
    assert failpoints.arm({"ORDERD_FAILPOINT": "loaded, decided:2,decided@x"}) == (
        "loaded",
        "decided:2",
        "decided@x",
    )
    assert exit_status("loaded:9,decided", "reach('decided')") == -signal.SIGKILL


def test_unarmed_the_requests_in_hand_are_not_looked_at() -> None:
    failpoints.arm({})

    failpoints.reach("received", ids=(str(1 // 0) for _ in "x"))


@pytest.mark.parametrize("text", ["after_comit", "loaded:0", "loaded@", "loaded:x", ":3"])
def test_what_names_no_crash_point_is_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigError, match="ORDERD_FAILPOINT = "):
        failpoints.arm({"ORDERD_FAILPOINT": text})


def test_every_named_point_can_be_armed() -> None:
    for point in get_args(failpoints.Failpoint):
        assert failpoints.arm({"ORDERD_FAILPOINT": point}) == (point,)
