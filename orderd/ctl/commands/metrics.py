"""`orderctl metrics`: the daemons' metrics with live figures of its servers, printed or served."""

import argparse
import re
from typing import Final

from orderd.ctl.context import Context
from orderd.ctl.errors import WrongUsage
from orderd.protocol.exit_codes import ExitCode

_ADDRESS: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:\s]*):([0-9]{1,5})")
_PORT_MAX: Final = 65_535


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--listen",
        metavar="ADDRESS",
        type=_address,
        help="serve them over HTTP at /metrics, for example on 127.0.0.1:9645, until interrupted",
    )
    parser.add_argument(
        "--file",
        dest="files",
        metavar="FILE",
        action="append",
        default=[],
        help="metrics file of a daemon, repeatable; default: that of the setting metrics_file and, "
        "where it is there, that of orderd-notify",
    )
    parser.epilog = (
        "Prints Prometheus' text format. Exit codes: 0 everything was found, 1 the metrics file "
        "cannot be read, 69 a server cannot be reached; what was found is printed all the same."
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, context: Context) -> int:
    """Print the metrics, or serve them; complain of what could not be had."""
    if context.console.is_json:
        raise WrongUsage("metrics are text: they have no JSON form")
    # Loaded here: with its libraries it takes longer than all the rest of orderctl.
    from orderd.ctl.scrape import scrape_of, serve  # noqa: PLC0415

    settings = context.settings
    scrape = scrape_of(settings, options.files)
    if options.listen is not None:
        serve(options.listen, scrape, context.console)
        return ExitCode.DONE
    text, failures = scrape()
    context.console.write(text)
    for failure in failures:
        context.console.complain(str(failure))
    return max((failure.code for failure in failures), default=ExitCode.DONE)


def _address(text: str) -> tuple[str, int]:
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found[2]) > _PORT_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT, such as 127.0.0.1:9645")
    return found[1].strip("[]"), int(found[2])
