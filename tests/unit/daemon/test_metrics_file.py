"""The metrics file: replaced whole, readable by others, and never in the way of the work."""

import json
import os
import stat
from pathlib import Path

import pytest

from orderd.daemon.metrics_file import INTERVAL_S, MetricsFile
from orderd.runtime.paths import metrics_path


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.prom"


def test_it_is_written_when_it_is_time(path: Path, clock: Clock) -> None:
    texts = iter([b"first\n", b"second\n"])
    file = MetricsFile(str(path), lambda: next(texts), clock)

    file.tick()
    assert not path.exists()
    clock.now_s = INTERVAL_S
    file.tick()
    file.tick()
    assert path.read_bytes() == b"first\n"
    clock.now_s += INTERVAL_S
    file.tick()

    assert path.read_bytes() == b"second\n"
    assert list(path.parent.iterdir()) == [path]


def test_others_may_read_it_whatever_the_umask(path: Path) -> None:
    before = os.umask(0o077)
    try:
        MetricsFile(str(path), lambda: b"x\n").write()
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_reader_never_sees_half_of_it(path: Path) -> None:
    file = MetricsFile(str(path), lambda: b"new\n" * 10_000)
    path.write_bytes(b"old\n")
    with path.open("rb") as reader:
        file.write()

        assert reader.read() == b"old\n"
    assert path.read_bytes() == b"new\n" * 10_000


def test_a_link_in_place_of_the_new_file_is_not_followed(path: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    Path(f"{path}.{os.getpid()}.new").symlink_to(victim)

    MetricsFile(str(path), lambda: b"x\n").write()

    assert victim.read_bytes() == b"mine"


@pytest.mark.usefixtures("log_to_stdout")
def test_a_file_that_cannot_be_written_is_said_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = MetricsFile(str(tmp_path / "none" / "metrics.prom"), lambda: b"x\n")

    for _ in range(3):
        file.write()

    (line,) = capfd.readouterr().out.splitlines()
    assert json.loads(line)["event"] == "metrics.failed"


def test_no_path_is_no_file(clock: Clock) -> None:
    file = MetricsFile("", lambda: pytest.fail("asked for a text"), clock)
    clock.now_s = INTERVAL_S

    file.tick()
    file.write()


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"RUNTIME_DIRECTORY": "/run/orderd"}, "/run/orderd/metrics.prom"),
        ({"RUNTIME_DIRECTORY": "/run/a:/run/b"}, "/run/a/metrics.prom"),
        ({}, ""),
    ],
)
def test_it_is_in_the_runtime_directory_if_there_is_one(environ: dict[str, str], path: str) -> None:
    assert metrics_path(environ) == path
