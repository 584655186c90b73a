"""Entries for the journal, received by a real socket and decoded as the protocol is described."""

import array
import fcntl
import logging
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from orderd.logs.events import LogEvent
from orderd.logs.fields import FIELD_NAMES
from orderd.logs.handlers import JournalHandler
from orderd.logs.journal import JournalSocket, fault, field_name
from orderd.logs.logger import configure, emit

from .test_log_stream import Pipe
from .test_logs import lines_of, raised
from .test_logs import pipe as pipe  # noqa: PLC0414 (the fixture)

Configure = Callable[..., None]


class Journal:
    """The journal's end of its socket at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_memory: list[bool] = []
        self._socket: socket.socket | None = None
        self.start()

    def start(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(f"{self.path}")

    def stop(self) -> None:
        """End, and leave no socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self.path.unlink(missing_ok=True)

    def entries(self) -> list[dict[str, str]]:
        """Return what has come since the last call."""
        entries = []
        with suppress(BlockingIOError):
            while True:
                entries.append(decoded(self._receive()))
        return entries

    def fill(self) -> None:
        """Have so much wait for being read that nothing more is accepted."""
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
        with socket.socket(socket.AF_UNIX, kind) as other, suppress(BlockingIOError):
            while True:
                other.sendto(b"OTHER=1\n", f"{self.path}")

    def _receive(self) -> bytes:
        assert self._socket is not None
        content, rights, _, _ = self._socket.recvmsg(1 << 20, socket.CMSG_SPACE(4))
        self.is_memory.append(bool(rights))
        if not rights:
            return content
        assert content == b""
        [descriptor] = array.array("i", rights[0][2])
        try:
            # The journal maps it, so nobody may change it any more.
            assert fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) == 0b1111
            return os.pread(descriptor, 1 << 24, 0)
        finally:
            os.close(descriptor)


def decoded(content: bytes) -> dict[str, str]:
    """Return the fields of an entry: `NAME=value`, or name, length and value."""
    fields = {}
    while content:
        head, _, content = content.partition(b"\n")
        name, equals, value = head.partition(b"=")
        if not equals:
            (length,) = struct.unpack("<Q", content[:8])
            value, end = content[8 : 8 + length], content[8 + length : 9 + length]
            assert end == b"\n"
            content = content[9 + length :]
        assert name.decode() not in fields
        fields[name.decode()] = value.decode()
    return fields


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    journal = Journal(tmp_path / "socket")
    yield journal
    journal.stop()


@pytest.fixture
def log(pipe: Pipe, journal: Journal) -> Configure:
    """Log to the journal, with the pipe for stderr."""

    def log(level: str = "debug", log_format: Any = "journal") -> None:
        configure(level, log_format, "never", stream=pipe.stream, journal_path=f"{journal.path}")

    log()
    return log


@pytest.mark.usefixtures("log")
def test_an_entry_has_a_field_for_each_of_a_line(pipe: Pipe, journal: Journal) -> None:
    emit(
        LogEvent.COMMAND_REFUSED,
        "Insufficient stock",
        queue="order",
        id="r-1",
        correlation_id=None,
        attempt=2,
        duration_ms=1.23456,
    )

    [entry] = journal.entries()
    assert entry.pop("TIMESTAMP").endswith("Z")
    assert entry == {
        "MESSAGE": "Insufficient stock",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "orderd",
        "LEVEL": "WARNING",
        "LOGGER": "orderd",
        "EVENT": "command.refused",
        "QUEUE": "order",
        "ID": "r-1",
        "ATTEMPT": "2",
        "DURATION_MS": "1.235",
    }
    assert pipe.drain() == b""


@pytest.mark.usefixtures("log")
def test_a_trace_of_many_lines_comes_whole_and_without_passwords(journal: Journal) -> None:
    error = raised(ValueError("password=hunter2"))

    emit(LogEvent.MESSAGE_DEAD_LETTERED, "gone from amqp://u:hunter2@host", error=error)

    [entry] = journal.entries()
    assert entry["MESSAGE"] == "gone from amqp://u:***@host"
    assert entry["ERROR"].startswith("ValueError: password=***\nTraceback")
    assert "\n  File " in entry["ERROR"]
    assert "hunter2" not in f"{entry}"


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("character", ["\0", "\ud800", "é", "😀", "\n", "=", "\x1b"])
def test_no_character_breaks_an_entry(journal: Journal, character: str) -> None:
    fields: dict[str, Any] = dict.fromkeys(FIELD_NAMES[:-1], f"a{character}b")
    emit(LogEvent.DAEMON_FAILED, f"a{character}b", **fields)

    [entry] = journal.entries()
    kept = "\\ud800" if character == "\ud800" else character
    assert {entry[field_name(name)] for name in FIELD_NAMES[:-1]} == {f"a{kept}b"}
    # What a terminal would not show is escaped: journalctl shows such a message as "blob data".
    assert entry["MESSAGE"].isprintable()


@pytest.mark.usefixtures("log")
def test_each_level_has_its_priority(journal: Journal) -> None:
    levels = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
    for level in levels:
        emit(LogEvent.STATUS_LOGGED, "x", level=getattr(logging, level))

    found = [(entry["LEVEL"], entry["PRIORITY"]) for entry in journal.entries()]
    assert found == list(zip(levels, "76432", strict=True))


@pytest.mark.parametrize(
    ("name", "field"),
    [("queue", "QUEUE"), ("gift-card_id", "GIFT_CARD_ID"), ("_2go", "GO"), ("a" * 80, "A" * 64)],
)
def test_names_of_fields_are_those_that_the_journal_takes(name: str, field: str) -> None:
    assert field_name(name) == field


def test_what_is_larger_than_a_datagram_is_sent_as_memory(journal: Journal) -> None:
    sender = JournalSocket(f"{journal.path}")

    assert sender.send(b"MESSAGE=small\n")
    assert sender.send(b"MESSAGE=%s\n" % (b"x" * 1_000_000))
    assert sender.send(b"MESSAGE=small\n")

    lengths = [len(entry["MESSAGE"]) for entry in journal.entries()]
    sender.close()
    assert lengths == [5, 1_000_000, 5]
    assert journal.is_memory[:3] == [False, True, False]


@pytest.mark.usefixtures("log")
def test_a_journal_that_reads_nothing_loses_lines_and_hears_their_number(
    pipe: Pipe, journal: Journal
) -> None:
    journal.fill()
    for _ in range(1_000):
        emit(LogEvent.BATCH_COMMITTED, "lost")
    assert {entry.get("OTHER") for entry in journal.entries()} == {"1"}

    emit(LogEvent.BATCH_COMMITTED, "kept")

    dropped, kept = journal.entries()
    assert dropped["EVENT"] == "log.dropped"
    assert dropped["MESSAGE"].startswith("1000 log lines were dropped because the journal")
    assert kept["MESSAGE"] == "kept"
    assert pipe.drain() == b""


@pytest.mark.usefixtures("log")
def test_without_a_journal_lines_go_to_stderr_as_json_until_it_is_back(
    pipe: Pipe, journal: Journal
) -> None:
    journal.stop()
    emit(LogEvent.BATCH_COMMITTED, "while away", batch_size=3)
    journal.start()
    emit(LogEvent.BATCH_COMMITTED, "when back")

    [line] = lines_of(pipe)
    assert (line["message"], line["batch_size"]) == ("while away", 3)
    assert [entry["MESSAGE"] for entry in journal.entries()] == ["when back"]


def test_a_reload_changes_where_lines_go(pipe: Pipe, journal: Journal, log: Configure) -> None:
    emit(LogEvent.BATCH_COMMITTED, "first")
    log(log_format="json")
    emit(LogEvent.BATCH_COMMITTED, "second")
    log(log_format="journal")
    emit(LogEvent.BATCH_COMMITTED, "third")

    assert [entry["MESSAGE"] for entry in journal.entries()] == ["first", "third"]
    assert [line["message"] for line in lines_of(pipe)] == ["second"]


def test_lines_dropped_before_a_reload_are_told_after_it(
    pipe: Pipe, journal: Journal, log: Configure
) -> None:
    other = Pipe()
    configure("debug", "json", "never", stream=other.stream)
    other.stream.dropped = 5
    configure("debug", "journal", "never", stream=pipe.stream, journal_path=f"{journal.path}")

    emit(LogEvent.BATCH_COMMITTED, "x")

    other.close()
    assert [entry["EVENT"] for entry in journal.entries()] == ["log.dropped", "batch.committed"]
    log("info")


@pytest.mark.usefixtures("pipe")
def test_stderr_stands_in_for_a_journal_that_is_not_there(tmp_path: Path) -> None:
    configure(log_format="journal", journal_path=f"{tmp_path / 'none'}")

    [handler] = [each for each in logging.getLogger().handlers if isinstance(each, JournalHandler)]

    assert handler.stream.descriptor == 2


def test_a_socket_that_cannot_be_used_is_known_beforehand(tmp_path: Path, journal: Journal) -> None:
    assert fault(f"{journal.path}") == ""
    assert fault(f"{tmp_path / 'none'}") == f"{tmp_path / 'none'}: No such file or directory"
