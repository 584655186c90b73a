"""`orderctl publish`: hand a command to the broker, and do not wait for what becomes of it."""

import argparse

from orderd.ctl.client import client_of
from orderd.ctl.context import Context
from orderd.ctl.request import add_request_arguments, request_of, telling_id
from orderd.protocol.exit_codes import ExitCode


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_request_arguments(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, context: Context) -> int:
    """Publish, and print the request's id once the broker has taken it."""
    request = request_of(options)
    console = context.console
    with client_of(context.settings) as client, telling_id(request, console):
        client.publish(request)
        if console.is_json:
            console.document({"id": request.request_id, "queue": request.queue})
        else:
            console.line(str(request.request_id))
        console.flush()
    return ExitCode.DONE
