"""`orderctl dlq edit`: correct the body of a dead letter, and send it to its queue."""

import argparse
import getpass
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orderd.amqp.browse import Browser
from orderd.amqp.confirmed import ConfirmedPublisher
from orderd.amqp.faults import Unpublishable
from orderd.amqp.message import Delivery, OutgoingMessage
from orderd.ctl.broker import broker_of
from orderd.ctl.console import Console
from orderd.ctl.context import Context
from orderd.ctl.database import database_of
from orderd.ctl.dlq.archive import fingerprint, stored_properties
from orderd.ctl.dlq.browse import DeadLetters
from orderd.ctl.dlq.dead_letters import DeadLetter
from orderd.ctl.dlq.editable import Editable
from orderd.ctl.dlq.filters import Filters
from orderd.ctl.dlq.replayer import obstacles
from orderd.ctl.errors import Failure, WrongUsage
from orderd.ctl.interrupts import left_to_child, uninterrupted
from orderd.pipeline.receipts import Receipts, read_key
from orderd.protocol.exit_codes import ExitCode
from orderd.protocol.names import HEADER_EDITED_BY, HEADER_ORIGINAL_BYTES, HEADER_RECEIVED
from orderd.runtime.crash_points import reach

if TYPE_CHECKING:
    from orderd.config.settings import Settings

_EDITORS: Final = ("VISUAL", "EDITOR")
_DEFAULT_EDITOR: Final = "editor"
_NAME_CHARACTERS_MAX: Final = 100


def edit(options: argparse.Namespace, context: Context) -> int:
    """Have the operator change the body, check it, send the copy, then delete the original."""
    settings, console = context.settings, context.console
    original = _find(options, context)
    # No connection is kept open while the editor runs: that may take an hour.
    body = _edited_body(original, settings, console)
    if body is None:
        return _report(options, console, original, "nothing changed")
    edited = _with_body(original, body, settings)
    if not options.force:
        with database_of(settings) as ledger:
            for why in obstacles(ledger, [edited]).values():
                raise Failure(f"{why}; nothing changed; give it another id, or pass --force")
    if not options.dry_run:
        _swap(context, original, edited)
    done = f"sent to queue {edited.origin}"
    return _report(options, console, edited, f"would be {done}" if options.dry_run else done)


def _find(options: argparse.Namespace, context: Context) -> DeadLetter:
    """Return the dead letter of the request; raises Failure unless there is exactly one."""
    with broker_of(context.settings) as publisher:
        dead_letters = DeadLetters(context.settings, publisher, options.queue, context.console)
        with closing(dead_letters.each(Filters(ids=[options.id]), None, lambda: None)) as matching:
            found = [each for each, _ in zip(matching, range(2), strict=False)]
    if not found:
        raise Failure(f"no dead letter with id {options.id} ({dead_letters.seen} checked)")
    if len(found) > 1:
        raise Failure(
            f"several dead letters have the id {options.id}; name the queue, or delete one: "
            f"orderctl dlq discard --id {shlex.quote(options.id)} --limit 1 --yes"
        )
    [letter] = found
    if HEADER_ORIGINAL_BYTES in letter.headers:
        raise Failure(f"{options.id}: the body was cut by the broker's limit and cannot be sent")
    return letter


def _edited_body(original: DeadLetter, settings: "Settings", console: Console) -> bytes | None:
    """Return the new body, which the daemon takes; None where nothing was changed."""
    editable = Editable(original)
    shown = editable.text
    with tempfile.TemporaryDirectory(prefix="orderctl-") as folder:
        file = Path(folder) / "body.json"
        file.write_bytes(shown)
        while True:
            _run_editor(file)
            text = file.read_bytes()
            if text == shown:
                return None
            # An editor ends the last line; a body has no need of that.
            body = editable.restored(text.removesuffix(b"\n"))
            if (why := editable.fault(body) or _fault(original, body, settings)) is None:
                return body
            console.complain(f"the daemon would not take it: {why}")
            if not _is_tried_again():
                raise Failure("nothing changed")


def _with_body(original: DeadLetter, body: bytes, settings: "Settings") -> DeadLetter:
    """Return the letter with another body, and with its receipt for that where it has one.

    So the edited command is not turned away either because its token has expired meanwhile.
    """
    edited = replace(original.delivery, body=body)
    if HEADER_RECEIVED not in original.headers:
        return DeadLetter(edited)
    with database_of(settings) as database, database.transaction() as tx:
        receipts = Receipts(read_key(tx))
    headers = {
        **original.headers,
        **receipts.transferred(replace(original.delivery, queue=original.origin), body),
    }
    return DeadLetter(replace(edited, properties=replace(edited.properties, headers=headers)))


def _run_editor(file: Path) -> None:
    named = next((os.environ[name] for name in _EDITORS if os.environ.get(name)), _DEFAULT_EDITOR)
    try:
        # As git does: the variable is a command line for the shell, which waits for its end.
        command = ["/bin/sh", "-c", f'trap : INT; {named} "$@"', named, str(file)]
        with subprocess.Popen(command) as editor, left_to_child():  # noqa: S603 (the operator's)
            code = editor.wait()
    except OSError as error:
        raise WrongUsage(f"{named}: {error.strerror}; set EDITOR") from error
    if code:
        raise Failure(f"the editor {named} ended with {code}; nothing changed")


def _fault(original: DeadLetter, body: bytes, settings: "Settings") -> str | None:
    """Return why the daemon would not take *body*; tokens are not looked at."""
    from orderd.protocol.amqp10 import message_id_of  # noqa: PLC0415
    from orderd.protocol.envelope import Invalid  # noqa: PLC0415 (slow to load)

    properties = original.delivery.properties
    message_id = message_id_of(properties.message_id, properties.headers)
    decode = _decode_notice if original.is_notice else _decode_command
    decoded = decode(original.origin, body, message_id, settings.body_bytes_max)
    return f"{decoded.code}: {decoded.message}" if isinstance(decoded, Invalid) else None


def _decode_notice(queue: str, body: bytes, message_id: str | None, body_bytes_max: int) -> object:
    from orderd.notify.notice import decode  # noqa: PLC0415

    return decode(queue, body, message_id, 0, body_bytes_max)


def _decode_command(queue: str, body: bytes, message_id: str | None, body_bytes_max: int) -> object:
    from orderd.protocol.envelope import ANYBODY, decode  # noqa: PLC0415
    from orderd.shop.registry import SHOP  # noqa: PLC0415

    return decode(
        queue,
        body,
        message_id,
        0,
        body_bytes_max,
        models=SHOP.models,
        permit=lambda _claim: ANYBODY,
    )


def _is_tried_again() -> bool:
    """Ask whether to go back into the editor; no where there is no terminal to ask on."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    sys.stderr.write("edit again? [Y/n] ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer:
        # Ctrl-D leaves the cursor behind the question.
        sys.stderr.write("\n")
        return False
    return answer.strip().lower() in {"", "y", "yes"}


def _swap(context: Context, original: DeadLetter, edited: DeadLetter) -> None:
    """Publish the edited copy to its queue; delete the original once it is confirmed."""
    queue = original.delivery.queue
    wanted = _fingerprint(original.delivery)
    with broker_of(context.settings) as publisher:
        copy = _copy(edited, publisher)
        dead_letters = DeadLetters(
            context.settings, publisher, queue, context.console, is_moving=True
        )
        swapped: list[DeadLetter] = []

        def swap(browser: Browser, all_there: Iterator[DeadLetter]) -> None:
            for letter in all_there:
                if not swapped and _fingerprint(letter.delivery) == wanted:
                    _publish_and_ack(publisher, copy, browser, letter)
                    swapped.append(letter)

        dead_letters.go_through(Filters(), None, lambda: None, swap)
    if not swapped:
        raise Failure(f"the dead letter is no longer in {queue}; the edited copy was not sent")


def _publish_and_ack(
    publisher: ConfirmedPublisher, copy: OutgoingMessage, browser: Browser, letter: DeadLetter
) -> None:
    with uninterrupted():
        why = publisher.publish(copy)
        if why is None:
            reach("dlq_replay_published", (letter.request_id,))
            browser.ack([letter.delivery])
    if why is not None:
        raise Failure(f"queue {copy.routing_key}: {why}; the dead letter stays")


def _copy(edited: DeadLetter, publisher: ConfirmedPublisher) -> OutgoingMessage:
    message = edited.original(publisher.connection.user)
    headers = {**(message.properties.headers or {}), HEADER_EDITED_BY: _operator()}
    copy = replace(message, properties=replace(message.properties, headers=headers))
    try:
        publisher.check(copy)
    except Unpublishable as fault:
        raise Failure(f"AMQP cannot carry it: {fault}; the dead letter stays") from fault
    return copy


def _operator() -> str:
    """Return the login name of who edits, also under sudo."""
    named = os.environ.get("SUDO_USER")
    if not named:
        try:
            named = getpass.getuser()
        except (OSError, KeyError):
            named = str(os.getuid())
    return named[:_NAME_CHARACTERS_MAX]


def _fingerprint(delivery: Delivery) -> bytes:
    return fingerprint(delivery.queue, delivery.body, stored_properties(delivery))


def _report(options: argparse.Namespace, console: Console, letter: DeadLetter, what: str) -> int:
    if console.is_json:
        is_sent = what.startswith("sent")
        document = {"id": letter.request_id, "queue": letter.origin, "sent": is_sent}
        console.document({"dry_run": options.dry_run, **document})
    else:
        console.line(what)
    return ExitCode.DONE
