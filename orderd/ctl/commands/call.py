"""`orderctl call`: hand a command to the daemon, and print its reply."""

import argparse
from typing import Final

from orderd.ctl.client import client_of
from orderd.ctl.context import Context
from orderd.ctl.request import (
    add_request_arguments,
    add_timeout_argument,
    request_of,
    telling_id,
)
from orderd.protocol.exit_codes import ExitCode

TIMEOUT_S: Final = 10.0


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_request_arguments(parser)
    add_timeout_argument(parser, TIMEOUT_S)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, context: Context) -> int:
    """Print the reply, a JSON document in any case; one that tells of an error is a failure."""
    request = request_of(options)
    console = context.console
    with client_of(context.settings) as client, telling_id(request, console):
        reply = client.call(request, options.timeout_s)
        console.document(reply.document)
        console.flush()
    return ExitCode.DONE if reply.error is None else ExitCode.FAILED
