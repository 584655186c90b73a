import fcntl
import os
import select
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from orderd.logs.stream import LogStream

PATIENCE_S = 0.02


class Pipe:
    """A real pipe whose reader reads when the test says so."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        self.stream = LogStream(self.write_end, patience_s=PATIENCE_S)

    def fill(self) -> None:
        """Put in all that fits, so that the next write would block."""
        os.set_blocking(self.write_end, False)
        with suppress(BlockingIOError):
            while True:
                os.write(self.write_end, b"." * 4096)
        os.set_blocking(self.write_end, True)

    def drain(self) -> bytes:
        content = b""
        try:
            while chunk := os.read(self.read_end, 1 << 20):
                content += chunk
        except BlockingIOError:
            pass
        return content

    def close(self) -> None:
        for descriptor in (self.read_end, self.write_end):
            if descriptor >= 0:
                os.close(descriptor)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def test_lines_are_written_whole_and_in_order(pipe: Pipe) -> None:
    long = b"b" * 20_000 + b"\n"

    assert pipe.stream.write(b"a\n")
    assert pipe.stream.write(long)

    assert pipe.drain() == b"a\n" + long
    assert pipe.stream.dropped == 0


def test_a_full_pipe_costs_a_bounded_wait_once_and_then_none(pipe: Pipe) -> None:
    pipe.fill()
    began_s = time.monotonic()
    assert not pipe.stream.write(b"a\n")
    first_s = time.monotonic() - began_s
    for _ in range(1_000):
        pipe.stream.write(b"b\n")
    rest_s = time.monotonic() - began_s - first_s

    assert PATIENCE_S * 0.9 <= first_s < 20
    # A wait for each of them would be 20 s.
    assert rest_s < 10
    assert pipe.stream.dropped == 1_001


def test_asking_for_room_in_a_full_pipe_does_not_begin_another_wait(pipe: Pipe) -> None:
    pipe.fill()
    pipe.stream.write(b"a\n")
    began_s = time.monotonic()
    for _ in range(1_000):
        assert not pipe.stream.has_room()
        pipe.stream.write(b"b\n")

    assert time.monotonic() - began_s < 10


def test_writing_goes_on_when_the_pipe_is_read_again(pipe: Pipe) -> None:
    pipe.fill()
    pipe.stream.write(b"lost\n")
    pipe.drain()

    assert pipe.stream.has_room()
    assert pipe.stream.write(b"kept\n")
    assert pipe.drain() == b"kept\n"


def test_a_line_that_went_out_by_half_is_finished_before_the_next(pipe: Pipe) -> None:
    fcntl.fcntl(pipe.write_end, fcntl.F_SETPIPE_SZ, 8192)
    line = bytes(range(97, 123)) * 1_000 + b"\n"

    assert pipe.stream.write(line)
    assert not pipe.stream.write(b"lost\n")
    content = b""
    while not content.endswith(b"next\n"):
        content += pipe.drain()
        pipe.stream.write(b"next\n")

    assert content.startswith(line)
    assert set(content[len(line) :].splitlines()) == {b"next"}


def test_a_closed_reader_costs_lines_and_nothing_else(pipe: Pipe) -> None:
    os.close(pipe.read_end)
    pipe.read_end = -1

    assert not pipe.stream.write(b"a\n")
    assert not pipe.stream.write(b"b" * 10_000)
    assert pipe.stream.dropped == 2


def test_the_rest_of_a_line_is_given_up_when_the_reader_closes(pipe: Pipe) -> None:
    fcntl.fcntl(pipe.write_end, fcntl.F_SETPIPE_SZ, 4096)
    assert pipe.stream.write(b"a" * 10_000)
    os.close(pipe.read_end)
    pipe.read_end = -1

    pipe.stream.finish()

    assert not pipe.stream.write(b"b\n")


def test_a_descriptor_that_others_made_non_blocking_still_works(pipe: Pipe) -> None:
    os.set_blocking(pipe.write_end, False)
    pipe.stream.write(b"a\n")
    assert pipe.drain() == b"a\n"

    pipe.fill()
    os.set_blocking(pipe.write_end, False)
    assert not pipe.stream.write(b"b\n")


def test_the_descriptor_is_left_blocking(pipe: Pipe) -> None:
    pipe.stream.write(b"a\n")

    assert os.get_blocking(pipe.write_end)


def test_a_full_disk_costs_lines_and_nothing_else() -> None:
    with Path("/dev/full").open("wb") as file:
        stream = LogStream(file.fileno())

        assert not stream.write(b"a\n")
        assert stream.dropped == 1


def test_a_regular_file_takes_everything(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as file:
        stream = LogStream(file.fileno())
        for _ in range(100):
            assert stream.write(b"x" * 10_000 + b"\n")

    assert (tmp_path / "log").stat().st_size == 100 * 10_001


def test_pieces_fit_what_poll_promises(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def write(_descriptor: int, content: bytes) -> int:
        sizes.append(len(content))
        return len(content)

    monkeypatch.setattr(os, "write", write)
    pipe.stream.write(b"x" * 10_000)

    assert sizes == [select.PIPE_BUF, select.PIPE_BUF, 10_000 - 2 * select.PIPE_BUF]


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """The two ends of a terminal: the one that shows it, and the one that programs have."""
    try:
        shown, given = os.openpty()
    except FileNotFoundError:
        pytest.skip("no terminals here")
    os.set_blocking(shown, False)
    yield shown, given
    for descriptor in (shown, given):
        os.close(descriptor)


def test_a_terminal_that_nobody_reads_holds_no_line_up(terminal: tuple[int, int]) -> None:
    shown, given = terminal
    stream = LogStream(given, patience_s=PATIENCE_S)
    line = b"x" * 999 + b"\n"
    written: list[bool] = []
    writer = threading.Thread(
        target=lambda: written.extend(stream.write(line) for _ in range(500)), daemon=True
    )

    writer.start()
    writer.join(timeout=30)

    assert len(written) == 500
    assert stream.dropped == written.count(False) > 0
    # Others share it, and expect it as it was.
    assert os.get_blocking(given)
    seen = b""
    with suppress(BlockingIOError):
        while part := os.read(shown, 1 << 16):
            seen += part
    assert stream.write(b"after\n")
    assert set(seen.replace(b"\r", b"").split(b"\n")[:-1]) == {line[:-1]}


def test_a_terminal_that_is_stopped_holds_no_line_up(terminal: tuple[int, int]) -> None:
    shown, given = terminal
    os.write(shown, b"\x13")  # Ctrl-S
    stream = LogStream(given, patience_s=PATIENCE_S)

    assert not stream.write(b"unseen\n")

    os.write(shown, b"\x11")
    assert stream.write(b"seen\n")
