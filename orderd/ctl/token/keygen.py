"""`orderctl token keygen`: a private key for who issues tokens, a public one for the daemon."""

import argparse
from pathlib import Path
from typing import Final

from orderd.auth.signing import HS256, SigningKey, generate
from orderd.ctl.context import Context
from orderd.ctl.json_text import pretty
from orderd.ctl.tables import Column, Table, Whole
from orderd.ctl.token.key_files import EVERYBODY, OWNER_ALONE, add_key, create, jwks_of
from orderd.protocol.exit_codes import ExitCode

_JWKS: Final = "jwks.json"


def keygen(options: argparse.Namespace, context: Context) -> int:
    """Write both keys, or none; print where they are."""
    key = generate(options.algorithm, options.kid)
    is_jwk = options.jwk or key.is_secret_shared
    private = options.out / ("private.jwk" if is_jwk else "private.pem")
    content = f"{pretty(key.private_jwk())}\n".encode() if is_jwk else key.private_pem()
    create(private, content, OWNER_ALONE)
    try:
        public = _publish(key, options.out, options.add_to)
    except BaseException:
        # Of no use without the other one, and in the way of the next try.
        private.unlink(missing_ok=True)
        raise
    _report(context, key, private, public)
    return ExitCode.DONE


def _publish(key: SigningKey, directory: Path, added_to: Path | None) -> Path:
    """Write the public key where it was asked for, and return where that is."""
    is_secret = key.is_secret_shared
    if added_to is None:
        file = directory / _JWKS
        create(file, jwks_of(key.public_jwk()), OWNER_ALONE if is_secret else EVERYBODY)
        return file
    add_key(added_to, key.public_jwk(), is_secret=is_secret)
    return added_to


def _report(context: Context, key: SigningKey, private: Path, public: Path) -> None:
    console = context.console
    told = {"kid": key.kid, "algorithm": key.algorithm}
    told |= {"private_key": str(private), "jwks": str(public)}
    if console.is_json:
        console.document(told)
    else:
        cells = [(name.replace("_", " "), Whole(text)) for name, text in told.items()]
        console.table(Table((Column("what"), Column("value", is_long=True)), cells))
    if key.is_secret_shared:
        console.note(
            f"{HS256}: one secret signs and verifies: whoever may read {private} or {public} can "
            f'issue tokens; [jwt] has to name it: algorithms = ["{HS256}"]'
        )
