"""`orderctl token`: makes keys, issues JWTs, and shows what is in one, never the token itself."""

import argparse
from pathlib import Path
from typing import Any, Final

from orderd.ctl.context import Context
from orderd.ctl.durations import duration
from orderd.ctl.entity import whole_number
from orderd.ctl.request import text

# As `orderd.auth.signing` has them, which takes its time to load.
ALGORITHMS: Final = ("EdDSA", "ES256", "RS256", "HS256")
NAME_CHARACTERS_MAX: Final = 255
LIFETIME_S: Final = 900.0
LIFETIME_MIN_S: Final = 1.0
LIFETIME_MAX_S: Final = 3_650 * 86_400.0


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's verbs."""
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    _register_keygen(verbs)
    _register_issue(verbs)
    inspected = verbs.add_parser(
        "inspect", help="show what is in a token, and whether the daemon accepts it"
    )
    inspected.set_defaults(run=inspect)
    inspected.add_argument(
        "token",
        metavar="TOKEN",
        nargs="?",
        default="-",
        help="the token, which other users see in the list of processes; default: -, stdin",
    )
    inspected.epilog = (
        "Exit codes: 0 the daemon accepts the token, 1 it does not, 2 usage, 3 that could not be "
        "checked, since neither keys nor tokens are configured here, 78 bad configuration."
    )


def _register_keygen(verbs: Any) -> None:
    made = verbs.add_parser("keygen", help="make a key pair; existing keys are never overwritten")
    made.set_defaults(run=keygen)
    made.add_argument(
        "--algorithm",
        choices=ALGORITHMS,
        default=ALGORITHMS[0],
        help="what the key signs by; default: EdDSA; with HS256, whoever verifies can issue tokens",
    )
    made.add_argument(
        "--kid", metavar="KID", type=_name, help="name of the key; default: its RFC 7638 thumbprint"
    )
    made.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        default=Path(),
        help="directory for private.pem, which is for its owner alone, and jwks.json, which is "
        "for the setting keys of [jwt]; default: the current one",
    )
    made.add_argument(
        "--add-to",
        metavar="JWKS",
        type=Path,
        help="add the public key to this file, in place of a jwks.json; the file is replaced "
        "as a whole",
    )
    made.add_argument(
        "--jwk",
        action="store_true",
        help="write the private key as private.jwk, with its kid; HS256 always does",
    )


def _register_issue(verbs: Any) -> None:
    issued = verbs.add_parser("issue", help="print a token, and nothing else on stdout")
    issued.set_defaults(run=issue)
    issued.add_argument(
        "--key",
        metavar="FILE",
        type=Path,
        required=True,
        help="the private key, in PEM or as a JWK, as orderctl token keygen makes it",
    )
    issued.add_argument(
        "--kid", metavar="KID", type=_name, help="name of the key; default: as for keygen"
    )
    issued.add_argument(
        "--subject", metavar="SUB", type=_name, required=True, help="who sends commands by it"
    )
    issued.add_argument(
        "--scope",
        metavar="SCOPE",
        type=text,
        required=True,
        help="what it allows, separated by blanks: QUEUE.ACTION, QUEUE.* or *, each with :own "
        "behind it for rows of the user alone",
    )
    issued.add_argument(
        "--user-id", metavar="ID", type=whole_number, help="id of the user, for :own"
    )
    issued.add_argument(
        "--expires-in",
        metavar="DURATION",
        type=_lifetime,
        default=LIFETIME_S,
        help="lifetime, for example 90s, 15min or 8h; default: 15min; over 24h warns",
    )
    for option, what in (("--issuer", "iss"), ("--audience", "aud")):
        issued.add_argument(
            option,
            metavar=option[2:].upper(),
            type=_name,
            help=f"claim {what}; default: {option[2:]} of [jwt] in the settings",
        )


def keygen(options: argparse.Namespace, context: Context) -> int:
    """Make a key pair."""
    from orderd.ctl.token import keygen as making  # noqa: PLC0415 (as what follows: slow to load)

    return making.keygen(options, context)


def issue(options: argparse.Namespace, context: Context) -> int:
    """Print a token."""
    from orderd.ctl.token import issue as issuing  # noqa: PLC0415

    return issuing.issue(options, context)


def inspect(options: argparse.Namespace, context: Context) -> int:
    """Show what is in a token."""
    from orderd.ctl.token import inspect as inspecting  # noqa: PLC0415

    return inspecting.inspect(options, context)


def _name(value: str) -> str:
    if not 1 <= len(value) <= NAME_CHARACTERS_MAX or not value.isprintable():
        raise argparse.ArgumentTypeError(
            f"must have 1 to {NAME_CHARACTERS_MAX} printable characters"
        )
    return text(value)


def _lifetime(value: str) -> float:
    seconds = duration(value)
    if not LIFETIME_MIN_S <= seconds <= LIFETIME_MAX_S:
        raise argparse.ArgumentTypeError("must be from 1s to 3650d")
    return seconds
