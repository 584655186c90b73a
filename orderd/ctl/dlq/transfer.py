"""`orderctl dlq export` and `import`: dead letters to a file and back, to the byte."""

import argparse
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from orderd.amqp.confirmed import ConfirmedPublisher
from orderd.amqp.faults import Unpublishable
from orderd.amqp.message import Delivery, OutgoingMessage
from orderd.ctl.broker import broker_of
from orderd.ctl.console import Console
from orderd.ctl.context import Context
from orderd.ctl.dlq.archive import (
    NotALetter,
    fingerprint,
    line_of,
    masked_line_of,
    message_of,
    stored_properties,
)
from orderd.ctl.dlq.browse import DeadLetters
from orderd.ctl.dlq.filters import Filters, filters_of
from orderd.ctl.errors import Failure
from orderd.protocol.exit_codes import ExitCode

_REMARKS_MAX: Final = 20
# Of a line: RabbitMQ takes bodies of 16 MiB by default, JSON may need six bytes for each.
_LINE_BYTES_MAX: Final = 128 << 20
_STDIO: Final = "-"


def export_letters(options: argparse.Namespace, context: Context) -> int:
    """Write the matching dead letters down, one JSON document a line, and leave them there."""
    console, exported, failed = context.console, 0, 0
    with (
        broker_of(context.settings) as publisher,
        _output(options.file, console) as write,
    ):
        filters = filters_of(options, context)
        dead_letters = DeadLetters(context.settings, publisher, options.queue, console)
        with (
            console.progress("exporting", dead_letters.total) as advance,
            closing(dead_letters.each(filters, options.limit, advance)) as matching,
        ):
            for dead_letter in matching:
                try:
                    write(dead_letter.delivery)
                    exported += 1
                except Unpublishable as fault:
                    failed += 1
                    _remark(console, failed, f"{dead_letter.delivery.queue}: not exported: {fault}")
    if console.is_json and options.file != _STDIO:
        counts = {"exported": exported, "failed": failed, "looked_at": dead_letters.seen}
        console.document({"file": options.file, **counts})
    console.note(f"{exported} exported; {dead_letters.seen} of {dead_letters.total} checked")
    return dead_letters.code(is_whole=not failed, console=console)


def import_letters(options: argparse.Namespace, context: Context) -> int:
    """Put the dead letters of a file into their queues, but for those that are there."""
    console, counts = context.console, Counter[str]()
    with _input(options.file) as lines:
        total = _checked(lines, options.file, console)
        with broker_of(context.settings) as publisher:
            there = _there(lines, context, publisher)
            with console.progress("importing", total) as advance:
                for message in _messages(lines):
                    outcome, why = _imported(publisher, message, there, is_dry=options.dry_run)
                    counts[outcome] += 1
                    if why is not None:
                        _remark(console, counts[outcome], f"{message.routing_key}: {why}")
                    advance()
    _report(options, console, counts, total)
    return ExitCode.FAILED if counts["failed"] else ExitCode.DONE


def _imported(
    publisher: ConfirmedPublisher,
    message: OutgoingMessage,
    there: Counter[bytes],
    *,
    is_dry: bool,
) -> tuple[str, str | None]:
    """Publish *message* unless its queue has it; return what became of it, and why it failed."""
    key = fingerprint(message.routing_key, message.body, message.properties)
    if there[key] > 0:
        there[key] -= 1
        return "skipped", None
    try:
        publisher.check(message)
        why = None if is_dry else publisher.publish(message)
    except Unpublishable as fault:
        why = f"AMQP cannot carry it: {fault}"
    return ("imported", None) if why is None else ("failed", f"not imported: {why}")


def _there(lines: IO[bytes], context: Context, publisher: ConfirmedPublisher) -> Counter[bytes]:
    """Count what the queues of these *lines* have, so that a second import doubles nothing."""
    queues = {message.routing_key for message in _messages(lines)}
    found: Counter[bytes] = Counter()
    for queue in sorted(queues):
        dead_letters = DeadLetters(context.settings, publisher, queue, context.console)
        with (
            context.console.progress(f"looking into {queue}", dead_letters.total) as advance,
            closing(dead_letters.each(Filters(), None, advance)) as all_there,
        ):
            for dead_letter in all_there:
                delivery = dead_letter.delivery
                found[fingerprint(queue, delivery.body, stored_properties(delivery))] += 1
    return found


def _checked(lines: IO[bytes], name: str, console: Console) -> int:
    """Return how many *lines* there are; raises Failure, with nothing done, where one is wrong."""
    total = wrong = 0
    for total, line in enumerate(_lines(lines), 1):
        try:
            message_of(line)
        except NotALetter as error:
            wrong += 1
            _remark(console, wrong, f"{name}: line {total}: {error}")
    if wrong:
        noun = "line is" if wrong == 1 else "lines are"
        raise Failure(f"{name}: {wrong} {noun} no exported dead letter; nothing imported")
    return total


def _messages(lines: IO[bytes]) -> Iterator[OutgoingMessage]:
    return map(message_of, _lines(lines))


def _lines(lines: IO[bytes]) -> Iterator[bytes]:
    lines.seek(0)
    while line := lines.readline(_LINE_BYTES_MAX):
        yield line


@contextmanager
def _input(name: str) -> Iterator[IO[bytes]]:
    """Give the file to import, which is read more than once."""
    try:
        source: IO[bytes] = sys.stdin.buffer if name == _STDIO else open(name, "rb")  # noqa: PTH123, SIM115 (closed below)
    except OSError as error:
        raise Failure(f"{name}: {error.strerror}") from error
    with source:
        if name != _STDIO and source.seekable():
            yield source
            return
        with tempfile.TemporaryFile(prefix="orderctl-") as copy:
            shutil.copyfileobj(source, copy)
            yield copy


@contextmanager
def _output(name: str, console: Console) -> Iterator[Callable[[Delivery], None]]:
    """Give what writes a dead letter; a file appears whole, at the end, or not at all.

    It is for its owner alone, as the tokens in it are. A terminal shows these masked.
    """
    if name == _STDIO:
        if sys.stdout.isatty():
            yield lambda delivery: console.exact(f"{masked_line_of(delivery)}\n")
            console.note("tokens are masked on a terminal: for import, use --output or a pipe")
        else:
            yield lambda delivery: console.exact(f"{line_of(delivery)}\n")
        return
    target = Path(name)
    try:
        descriptor, part = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise Failure(f"{name}: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            yield lambda delivery: print(line_of(delivery), file=file)
            file.flush()
            os.fsync(file.fileno())
        Path(part).replace(target)
    except OSError as error:
        raise Failure(f"{name}: {error.strerror}") from error
    finally:
        with suppress(FileNotFoundError):
            Path(part).unlink()


def _remark(console: Console, count: int, text: str) -> None:
    if count <= _REMARKS_MAX:
        console.note(text)
    elif count == _REMARKS_MAX + 1:
        console.note("more of these are not shown")


def _report(
    options: argparse.Namespace, console: Console, counts: Counter[str], total: int
) -> None:
    if console.is_json:
        console.document(
            {
                "dry_run": options.dry_run,
                "looked_at": total,
                **{name: counts[name] for name in ("imported", "skipped", "failed")},
            }
        )
        return
    verb = "would be imported" if options.dry_run else "imported"
    skipped = f", {counts['skipped']} already there" if counts["skipped"] else ""
    failed = f", {counts['failed']} failed" if counts["failed"] else ""
    console.line(f"{counts['imported']} {verb}{skipped}{failed}; {total} in the file")
