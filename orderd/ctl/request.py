"""The arguments of a command that publishes, and the request that they make."""

import argparse
import os
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

from orderd.ctl import interrupts
from orderd.ctl.client import NoAnswer, Request
from orderd.ctl.console import Console
from orderd.ctl.context import TOKEN_VARIABLE
from orderd.ctl.durations import duration
from orderd.ctl.errors import Failure, Unavailable, WrongUsage
from orderd.ctl.streams import discard_stdout
from orderd.protocol.limits import REQUEST_ID_MAX
from orderd.protocol.names import VERSIONS
from orderd.protocol.strict_json import MalformedJson, loads

TIMEOUT_MAX_S: Final = 3600.0
_INPUT_BYTES_MAX: Final = 16 << 20
_TOKEN_BYTES_MAX: Final = 1 << 16


def add_request_arguments(parser: argparse.ArgumentParser) -> None:
    """Let *parser* take what a request consists of."""
    parser.add_argument("queue", metavar="QUEUE", type=text, help="product, order or user")
    parser.add_argument(
        "action", metavar="ACTION", type=text, help="for example create, get or list"
    )
    parser.add_argument(
        "content",
        metavar="JSON",
        nargs="?",
        default="{}",
        help="the action's data, an object; - reads stdin, @FILE a file; default: {}",
    )
    parser.add_argument(
        "--id",
        dest="request_id",
        metavar="ID",
        type=request_id,
        help="the request's id; default: a new UUID; requests with the same id are applied once",
    )
    parser.add_argument(
        "--version",
        dest="contract_version",
        choices=VERSIONS,
        help="contract version; default: v1",
    )
    add_token_argument(parser)


def add_token_argument(parser: argparse.ArgumentParser) -> None:
    """Let *parser* take a bearer token; never on the command line, which other users can read."""
    parser.add_argument(
        "--auth-file",
        type=Path,
        metavar="FILE",
        help=f"file with the bearer token to send; default: the one in {TOKEN_VARIABLE}, if any",
    )


def add_timeout_argument(parser: argparse.ArgumentParser, default_s: float) -> None:
    """Let *parser* take how long to wait for a reply."""
    parser.add_argument(
        "--timeout",
        dest="timeout_s",
        metavar="SECONDS",
        type=_timeout,
        default=default_s,
        help=f"maximum wait for a reply, for example 10, 500ms or 2min; default: {default_s:g}",
    )


def request_of(options: argparse.Namespace) -> Request:
    """Return the request that the arguments ask for; raises WrongUsage for unusable JSON."""
    return Request(
        options.queue,
        options.action,
        content_of(options.content),
        # With an id of its own the ledger protects it, whatever happens on the way.
        options.request_id or str(uuid.uuid4()),
        options.contract_version,
        token_of(options),
    )


def token_of(options: argparse.Namespace) -> str | None:
    """Return the bearer token to send, None where there is none."""
    if options.auth_file is None:
        return os.environ.get(TOKEN_VARIABLE) or None
    content = _read(options.auth_file, _TOKEN_BYTES_MAX)
    try:
        token = content.decode().strip()
    except UnicodeDecodeError:
        token = ""
    if not token:
        raise WrongUsage(f"--auth-file {options.auth_file}: does not contain a token in UTF-8")
    return token


@contextmanager
def telling_id(request: Request, console: Console) -> Iterator[None]:
    """Print the id of *request* on stderr, then run the block, which sends it and prints its end.

    Where the block ends without showing what became of it, tell so: by an interrupt, without an
    answer, or because stdout cannot be written.
    """
    console.note(f"id {request.request_id}")
    said = (
        f"it may still be applied as {request.request_id}; "
        "it is safe to send it again with the same id"
    )
    try:
        yield
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) or interrupts.has_come():
            console.interrupted()
            console.complain(said)
        elif isinstance(error, NoAnswer | Unavailable):
            raise type(error)(f"{error}\n{said}", id=request.request_id) from error
        elif isinstance(error, OSError):
            discard_stdout()
            raise Failure(f"stdout: {error.strerror}\n{said}") from error
        raise


def text(value: str) -> str:
    """Return *value*, an argument, if it is text in UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("is not valid UTF-8") from None
    return value


def request_id(value: str) -> str:
    """Return *value*, an argument, if it can be the id of a request."""
    if not 1 <= len(value) <= REQUEST_ID_MAX:
        raise argparse.ArgumentTypeError(f"must have 1 to {REQUEST_ID_MAX} characters")
    return text(value)


def _timeout(value: str) -> float:
    seconds = duration(value)
    if not 0 < seconds <= TIMEOUT_MAX_S:
        raise argparse.ArgumentTypeError(f"must be greater than 0 and at most {TIMEOUT_MAX_S:g} s")
    return seconds


def content_of(argument: str, what: str = "the action's data") -> dict[str, Any]:
    """Return *what*, an object, from JSON, - for stdin or @FILE; raises WrongUsage."""
    if argument == "-":
        source, body = "stdin", _read_stream(sys.stdin.buffer, "stdin", _INPUT_BYTES_MAX)
    elif argument.startswith("@"):
        source, body = argument[1:], _read(Path(argument[1:]), _INPUT_BYTES_MAX)
    else:
        source, body = "JSON", os.fsencode(argument)
    try:
        content = loads(body)
    except MalformedJson as error:
        raise WrongUsage(f"{source}: {error}") from error
    if not isinstance(content, dict):
        raise WrongUsage(f"{source}: must be a JSON object with {what}")
    return content


def _read(file: Path, bytes_max: int) -> bytes:
    try:
        with file.open("rb") as stream:
            return _read_stream(stream, str(file), bytes_max)
    except OSError as error:
        raise WrongUsage(f"{file}: {error.strerror}") from error


def _read_stream(stream: BinaryIO, name: str, bytes_max: int) -> bytes:
    content = stream.read(bytes_max + 1)
    if len(content) > bytes_max:
        raise WrongUsage(f"{name}: has over {bytes_max} bytes")
    return content
