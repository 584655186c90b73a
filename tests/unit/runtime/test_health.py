import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orderd.runtime import health_file
from orderd.runtime.health import Health
from orderd.runtime.phase import Phase


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "health"


@pytest.fixture
def health(path: Path) -> Iterator[Health]:
    path.parent.mkdir()
    health = Health(str(path))
    yield health
    health.close()


def content_of(path: Path) -> Any:
    return json.loads(path.read_text())


def test_the_file_says_who_how_since_when_and_when_last(path: Path, health: Health) -> None:
    before_s = health_file.now_s()

    health.note(Phase.PAUSED, "database")

    content = content_of(path)
    assert content["pid"] == os.getpid()
    assert (content["state"], content["waiting_for"]) == ("paused", "database")
    assert content["since"].endswith("Z")
    assert before_s - 0.001 <= content["monotonic_s"] <= health_file.now_s()


def test_a_turn_is_never_noted_as_later_than_it_was(path: Path) -> None:
    path.parent.mkdir()

    Health(str(path), now_s=lambda: 7.0009).note(Phase.RUNNING)

    assert content_of(path)["monotonic_s"] == 7.0


def test_turns_are_written_once_a_second_and_changes_at_once(path: Path) -> None:
    path.parent.mkdir()
    clock = iter([10.0, 10.5, 10.9, 11.0, 11.1, 11.2])
    health = Health(str(path), now_s=lambda: next(clock))
    seen = []

    for state in (*4 * [Phase.RUNNING], *2 * [Phase.BLOCKED]):
        health.note(state)
        content = content_of(path)
        seen.append((content["state"], content["monotonic_s"]))

    assert seen == [
        ("running", 10.0),
        ("running", 10.0),
        ("running", 10.0),
        ("running", 11.0),
        ("blocked", 11.1),
        ("blocked", 11.1),
    ]


def test_the_time_of_a_state_is_that_of_its_beginning(path: Path, health: Health) -> None:
    health.note(Phase.RUNNING)
    since = content_of(path)["since"]
    health.note(Phase.RUNNING)
    assert content_of(path)["since"] == since


def test_everybody_may_read_the_file_whatever_the_umask(path: Path, health: Health) -> None:
    umask = os.umask(0o077)
    try:
        health.note(Phase.RUNNING)
    finally:
        os.umask(umask)

    assert path.stat().st_mode & 0o777 == 0o644


def test_an_end_in_good_order_leaves_no_file(path: Path, health: Health) -> None:
    health.note(Phase.RUNNING)

    health.close()
    health.beat()

    assert list(path.parent.iterdir()) == []


@pytest.mark.usefixtures("log_to_stdout")
def test_a_file_that_cannot_be_written_is_said_once_for_each_time_it_breaks(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    clock = iter(range(100))
    health = Health(str(path), now_s=lambda: float(next(clock) * 2))

    for _ in range(5):
        health.note(Phase.RUNNING)
    path.parent.mkdir()
    health.note(Phase.RUNNING)
    content_of(path)
    path.unlink()
    path.parent.rmdir()
    for _ in range(5):
        health.note(Phase.RUNNING)

    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["health.failed"] * 2
    assert str(path) in lines[0]["message"]


def test_nothing_is_written_where_nobody_wants_it(capfd: pytest.CaptureFixture[str]) -> None:
    Health("").note(Phase.RUNNING)

    assert capfd.readouterr().out == ""


def test_no_link_is_followed(path: Path, health: Health, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path.symlink_to(victim)

    health.note(Phase.RUNNING)

    assert victim.read_text() == "precious"
    assert not path.is_symlink()
    assert content_of(path)["state"] == "running"


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def make_link_to_fifo(path: Path) -> None:
    os.mkfifo(f"{path}.fifo")
    path.symlink_to(f"{path}.fifo")


def make_link_to_device(path: Path) -> None:
    path.symlink_to("/dev/null")


@pytest.mark.usefixtures("log_to_stdout")
@pytest.mark.parametrize(
    "make", [make_fifo, make_socket, Path.mkdir, make_link_to_fifo, make_link_to_device]
)
def test_what_is_no_regular_file_is_neither_waited_for_nor_replaced(
    path: Path, capfd: pytest.CaptureFixture[str], make: Callable[[Path], None]
) -> None:
    path.parent.mkdir()
    make(path)
    before = path.lstat()
    health = Health(str(path))

    health.claim()
    health.note(Phase.RUNNING)
    health.close()

    assert path.lstat().st_ino == before.st_ino
    [line] = capfd.readouterr().out.splitlines()
    assert json.loads(line)["event"] == "health.failed"
    assert f"{path}: not a regular file" in json.loads(line)["message"]


def test_what_a_crash_left_is_replaced_and_another_name_of_it_stays(
    path: Path, health: Health, tmp_path: Path
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    precious.chmod(0o600)
    os.link(precious, path)

    health.note(Phase.RUNNING)

    assert content_of(path)["state"] == "running"
    assert (precious.read_text(), precious.stat().st_mode & 0o777) == ("precious", 0o600)


@pytest.mark.parametrize("make", [make_fifo, make_socket, Path.mkdir, make_link_to_fifo])
def test_what_is_no_regular_file_is_read_as_none_at_once(
    path: Path, make: Callable[[Path], None]
) -> None:
    path.parent.mkdir()
    make(path)

    with pytest.raises(health_file.NoHealth, match=str(path)):
        health_file.read(str(path))


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({}, "/run/orderd/health"),
        ({"RUNTIME_DIRECTORY": "/run/orderd/a"}, "/run/orderd/a/health"),
        ({"RUNTIME_DIRECTORY": "/run/x:/run/y"}, "/run/x/health"),
    ],
)
def test_the_file_stands_where_the_service_manager_made_a_place(
    environ: dict[str, str], path: str
) -> None:
    assert health_file.default_path(environ) == path


def test_where_there_is_no_place_none_is_taken(tmp_path: Path) -> None:
    assert health_file.path_to_write({"RUNTIME_DIRECTORY": str(tmp_path)}) == f"{tmp_path}/health"
    assert health_file.path_to_write({"RUNTIME_DIRECTORY": f"{tmp_path}/none"}) == ""


FIELDS: dict[str, Any] = {
    "pid": 1,
    "state": "running",
    "waiting_for": None,
    "since": "x",
    "monotonic_s": 1.5,
}


STRANGE: list[dict[str, Any]] = [
    {"monotonic_s": None},
    {"monotonic_s": float("nan")},
    {"monotonic_s": 10**400},
    {"pid": "1"},
    {"pid": 0},
    {"pid": -1},
    {"pid": 10**30},
    {"state": []},
    {"state": "frobbing"},
    {"waiting_for": 7},
    {"since": None},
    {"standing_by": "order"},
    {"standing_by": [1]},
]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        "7",
        "null",
        "\0" * 900,
        "[" * 4_000,
        "9" * 4_096,
        *(json.dumps(FIELDS | strange) for strange in STRANGE),
    ],
)
def test_what_is_no_health_file_is_said_to_be_none(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)

    with pytest.raises(health_file.NoHealth, match=f"{path} is not a health file"):
        health_file.read(str(path))


def test_two_daemons_do_not_share_a_file(path: Path, health: Health) -> None:
    health.note(Phase.RUNNING)

    with pytest.raises(ValueError, match=f"{path}: another daemon, pid {os.getpid()}, writes"):
        Health(str(path)).claim()

    health.close()
    after = Health(str(path))
    after.claim()
    after.close()


def test_a_file_that_was_left_behind_is_taken_over(path: Path, health: Health) -> None:
    path.parent.joinpath("health").write_text("x" * 3_000)
    path.chmod(0o600)

    health.claim()
    health.note(Phase.RUNNING)

    assert content_of(path)["state"] == "running"
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_file_that_somebody_deletes_is_made_anew(path: Path) -> None:
    path.parent.mkdir()
    health = Health(str(path), now_s=iter([0.0, 2.0, 4.0]).__next__)
    health.note(Phase.RUNNING)
    path.unlink()

    health.note(Phase.RUNNING)

    assert content_of(path)["monotonic_s"] == 2.0
    health.close()


@pytest.mark.usefixtures("log_to_stdout")
def test_a_file_that_another_daemon_has_taken_meanwhile_is_left_to_it(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path.parent.mkdir()
    health = Health(str(path), now_s=iter([0.0, 2.0, 4.0]).__next__)
    health.note(Phase.RUNNING)
    path.unlink()
    other = Health(str(path), now_s=lambda: 3.0)
    other.note(Phase.PAUSED)

    health.note(Phase.RUNNING)
    health.close()

    assert content_of(path)["state"] == "paused"
    [line] = capfd.readouterr().out.splitlines()
    assert json.loads(line)["event"] == "health.failed"
    other.close()
