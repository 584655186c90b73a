"""`orderctl publish`: hand a command to the broker, and do not wait for what becomes of it."""

import argparse

from orderd.contract.exit_codes import ExitCode
from orderd.ctl.client import client_of
from orderd.ctl.context import Context
from orderd.ctl.request import add_request_arguments, request_of, saying_how_to_repeat


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_request_arguments(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, context: Context) -> int:
    """Publish, and print the request's id once the broker has taken it."""
    request = request_of(options)
    with client_of(context.settings) as client, saying_how_to_repeat(request):
        client.publish(request)
    if context.screen.is_json:
        context.screen.document({"id": request.request_id, "queue": request.queue})
    else:
        context.screen.line(str(request.request_id))
    return ExitCode.DONE
