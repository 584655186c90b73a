import json
import logging
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import orderd
from orderd.logs.events import LogEvent
from orderd.logs.fields import FIELD_NAMES
from orderd.logs.handlers import LineHandler, is_journal
from orderd.logs.logger import configure, emit, is_enabled
from orderd.logs.stream import LogStream
from tests.support.web_tokens import token

from .test_log_stream import Pipe

Configure = Callable[..., None]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """Give a pipe to log into, and put logging back as it was afterwards."""
    pipe = Pipe()
    names = (None, "orderd", "pika")
    levels = {name: logging.getLogger(name).level for name in names}
    raise_exceptions = logging.raiseExceptions
    yield pipe
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if isinstance(handler, LineHandler):
            root.removeHandler(handler)
            handler.close()
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.raiseExceptions = raise_exceptions
    logging.captureWarnings(capture=False)
    pipe.close()


@pytest.fixture
def log_to_pipe(pipe: Pipe) -> Configure:
    def configure_(level: str = "debug", log_format: Any = "json", prefix: Any = "never") -> None:
        configure(level, log_format, prefix, stream=pipe.stream)

    configure_()
    return configure_


def lines_of(pipe: Pipe) -> list[dict[str, Any]]:
    return [json.loads(line) for line in pipe.drain().splitlines()]


@pytest.mark.usefixtures("log_to_pipe")
def test_a_line_has_the_fields_of_the_contract_in_their_order(pipe: Pipe) -> None:
    emit(
        LogEvent.COMMAND_REFUSED,
        "Insufficient stock",
        action="create",
        queue="order",
        id="r-1",
        correlation_id=None,
        duration_ms=1.23456,
        attempt=2,
    )

    [line] = lines_of(pipe)
    assert " ".join(line) == (
        "timestamp level logger event message queue action id attempt duration_ms"
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["timestamp"])
    assert line["level"] == "WARNING"
    assert line["logger"] == "orderd"
    assert line["event"] == "command.refused"
    assert line["duration_ms"] == 1.235
    assert line["attempt"] == 2


def test_lines_below_the_level_are_not_made(pipe: Pipe, log_to_pipe: Configure) -> None:
    log_to_pipe("info")

    emit(LogEvent.COMMAND_APPLIED, "x")
    emit(LogEvent.BATCH_COMMITTED, "x")
    emit(LogEvent.BATCH_COMMITTED, "x", level=logging.DEBUG)

    assert [line["event"] for line in lines_of(pipe)] == ["batch.committed"]
    assert not is_enabled(LogEvent.COMMAND_APPLIED)
    assert is_enabled(LogEvent.BATCH_COMMITTED)


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except type(error) as caught:
        return caught


@pytest.mark.usefixtures("log_to_pipe")
def test_a_warning_tells_type_text_and_cause_of_an_error(pipe: Pipe) -> None:
    error = raised(ValueError("no\nhost"), OSError("amqp://guest:hunter2@h"))

    emit(LogEvent.BROKER_DISCONNECTED, "lost", error=error)

    [line] = lines_of(pipe)
    assert line["error"] == "ValueError: no host; caused by OSError: amqp://guest:***@h"


@pytest.mark.usefixtures("log_to_pipe")
def test_an_error_tells_the_trace_too(pipe: Pipe) -> None:
    emit(LogEvent.MESSAGE_DEAD_LETTERED, "gone", error=raised(ValueError("password=hunter2")))

    [line] = lines_of(pipe)
    assert line["error"].startswith("ValueError: password=***\nTraceback")
    assert "in raised" in line["error"]
    assert "hunter2" not in line["error"]


@pytest.mark.usefixtures("log_to_pipe")
@pytest.mark.parametrize("character", ["a", "\0", "\ud800", "é", "😀", "\n", '"'])
def test_a_line_stays_short_and_readable_whatever_is_in_it(pipe: Pipe, character: str) -> None:
    big = character * 100_000

    fields: dict[str, Any] = dict.fromkeys(FIELD_NAMES[:-1], big)
    emit(LogEvent.DAEMON_FAILED, big, error=raised(ValueError(big)), **fields)
    content = b""
    while not content.endswith(b"\n"):
        content += pipe.drain()
        pipe.stream.finish()

    assert len(content) < 48 * 1024
    line = json.loads(content)
    assert len(line["error"]) <= 4096
    line["message"].encode()


@pytest.mark.parametrize("log_format", ["json", "text"])
@pytest.mark.parametrize("character", ["a", "\0", "\ud800", "é", "😀", "\n", "\x1b"])
def test_the_journal_splits_no_line_whatever_the_format(
    pipe: Pipe, log_to_pipe: Configure, log_format: str, character: str
) -> None:
    log_to_pipe("debug", log_format, "always")
    big = character * 100_000

    fields: dict[str, Any] = dict.fromkeys(FIELD_NAMES[:-1], big)
    emit(LogEvent.DAEMON_FAILED, big, error=raised(ValueError(big), OSError(big)), **fields)
    content = b""
    while not content.endswith(b"\n"):
        content += pipe.drain()
        pipe.stream.finish()

    assert content.startswith(b"<2>")
    assert content.count(b"\n") == 1
    # Its LineMax, which is 48K by default.
    assert len(content) < 48 * 1024


@pytest.mark.usefixtures("log_to_pipe")
def test_libraries_log_through_the_same_lines(pipe: Pipe) -> None:
    logging.getLogger("library").warning("100%% of %s", "amqp://a:hunter2@b")
    logging.getLogger("library").info("chatter")
    logging.getLogger("pika.connection").critical("as pika has it")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)

    first, second = lines_of(pipe)
    assert first["event"] == second["event"] == "library.logged"
    assert (first["logger"], first["message"]) == ("library", "100% of amqp://a:***@b")
    assert second["logger"] == "py.warnings"


@pytest.mark.usefixtures("log_to_pipe")
def test_a_line_that_cannot_be_made_is_counted(
    pipe: Pipe, capfd: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger("library").warning("%d", "x")
    emit(LogEvent.DAEMON_STARTED, "100% up")

    dropped, started = lines_of(pipe)
    assert dropped["event"] == "log.dropped"
    assert dropped["message"].startswith("1 log lines were dropped")
    assert started["message"] == "100% up"
    assert capfd.readouterr().err == ""


def test_the_journal_gets_a_priority_before_each_line(pipe: Pipe, log_to_pipe: Configure) -> None:
    log_to_pipe(prefix="always")

    for level in (10, 20, 30, 40, 50, 35):
        emit(LogEvent.STATUS_LOGGED, "x", level=level)

    prefixes = [line[:4] for line in pipe.drain().splitlines()]
    assert prefixes == [b"<7>{", b"<6>{", b"<4>{", b"<3>{", b"<2>{", b"<5>{"]


def test_the_journal_is_known_by_its_device_and_inode(
    pipe: Pipe, log_to_pipe: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = os.fstat(pipe.write_end)
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    log_to_pipe(prefix="auto")
    emit(LogEvent.STATUS_LOGGED, "x")
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino + 1}")
    log_to_pipe(prefix="auto")
    emit(LogEvent.STATUS_LOGGED, "x")

    assert [line[:1] for line in pipe.drain().splitlines()] == [b"<", b"{"]


@pytest.mark.parametrize("stream", ["", "1", "1:", "a:b", "1:2"])
def test_other_streams_are_no_journal(stream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", stream)

    assert not is_journal(1)
    assert not is_journal(9_999)


def test_the_text_format_is_one_readable_line(pipe: Pipe, log_to_pipe: Configure) -> None:
    log_to_pipe(log_format="text")

    emit(LogEvent.COMMAND_REFUSED, "no\nstock\x1b[31m é", queue="order", id='a "b"', code="\x7f")

    line = pipe.drain().decode()
    assert re.match(r"\S+Z WARNING  command\.refused        no\\nstock\\x1b\[31m é queue=", line)
    assert line.endswith('queue=order id="a \\"b\\"" code="\\x7f"\n')


@pytest.mark.usefixtures("log_to_pipe")
def test_a_full_pipe_drops_lines_and_reports_their_number_later(pipe: Pipe) -> None:
    pipe.fill()
    for _ in range(7):
        emit(LogEvent.BATCH_COMMITTED, "lost")
    pipe.drain()

    emit(LogEvent.BATCH_COMMITTED, "kept")

    dropped, kept = lines_of(pipe)
    assert dropped["event"] == "log.dropped"
    assert dropped["message"].startswith("7 log lines were dropped")
    assert kept["message"] == "kept"
    assert pipe.stream.dropped == 0


@pytest.mark.usefixtures("log_to_pipe")
def test_a_closed_pipe_hurts_nobody(pipe: Pipe, capfd: pytest.CaptureFixture[str]) -> None:
    os.close(pipe.read_end)
    pipe.read_end = -1

    for _ in range(3):
        emit(LogEvent.BATCH_COMMITTED, "lost")
    logging.shutdown()

    assert pipe.stream.dropped == 3
    assert capfd.readouterr().err == ""


@pytest.mark.usefixtures("pipe")
def test_configuring_again_keeps_the_stream_and_its_count(pipe: Pipe) -> None:
    configure(stream=pipe.stream)
    pipe.stream.dropped = 5
    configure("debug", "json", "never")

    emit(LogEvent.COMMAND_APPLIED, "x")

    assert [line["event"] for line in lines_of(pipe)] == ["log.dropped", "command.applied"]


def test_a_stream_to_nowhere_is_harmless() -> None:
    read_end, write_end = os.pipe()
    stream = LogStream(write_end)
    os.close(read_end)
    os.close(write_end)

    assert not stream.write(b"x\n")


@pytest.mark.parametrize("redirection", [">&-", "2>&- >&-", "| true", "> /dev/full"])
def test_a_program_outlives_its_stdout_without_a_word(redirection: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys\n"
        "from orderd.logs.logger import LogEvent, configure, emit\n"
        "configure()\n"
        "for _ in range(1000): emit(LogEvent.BATCH_COMMITTED, 'x' * 1000)\n"
        "read_end, write_end = os.pipe()\n"
        "assert min(read_end, write_end) > 2\n"
        f"open({str(tmp_path / 'survived')!r}, 'w').close()\n"
    )

    script = f"{sys.executable} {program} {redirection}"
    environ = os.environ | {"PYTHONPATH": str(Path(orderd.__file__).parents[1])}
    ran = subprocess.run(
        ["sh", "-c", script], capture_output=True, env=environ, check=False, timeout=20
    )

    assert ran.stderr == b""
    assert (tmp_path / "survived").exists()


def test_event_names_are_noun_and_verb_and_explained() -> None:
    for event in LogEvent:
        assert re.fullmatch(
            r"[a-z]+\.[a-z_]+ed|config\.warning|daemon\.draining|queue\.failing|[a-z]+\.(split|sent|held_back|set_aside|took_over|standby)",
            event,
        )
        assert event.meaning.endswith(".")
        assert event.level in {10, 20, 30, 40, 50}
    assert len({event.value for event in LogEvent}) == len(LogEvent)


@pytest.mark.usefixtures("log_to_pipe")
def test_tokens_are_masked_in_messages_fields_and_traces(pipe: Pipe) -> None:
    jwt = token()

    error = ValueError(f"no such row: {jwt} {{'auth': 's3cret-1'}}")
    emit(LogEvent.DAEMON_FAILED, f"got Bearer {jwt}", error=error, correlation_id=jwt)
    logging.getLogger("elsewhere").warning("Bearer s3cret-2 and %s", jwt)

    text = pipe.drain().decode()
    secrets = ("s3cret-1", "s3cret-2", *jwt.split("."))
    assert not [secret for secret in secrets if secret in text]
    assert text.count("<JWT kid=k1 sub=shop sha256=") == 5
    assert text.count("<token sha256=") == 3
