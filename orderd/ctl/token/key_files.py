"""Files of keys: a new one never takes another's place, and a JWKS gets a key as a whole."""

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from orderd.auth.signatures import KEYS_MAX
from orderd.config import bounded_read
from orderd.ctl.errors import Failure
from orderd.ctl.json_text import pretty
from orderd.protocol.strict_json import MalformedJson, loads

OWNER_ALONE: Final = 0o600
EVERYBODY: Final = 0o644


def read(file: Path) -> bytes:
    """Return what *file* holds, at most 1 MiB; raises Failure."""
    try:
        content = bounded_read.read(str(file))
    except OSError as error:
        raise Failure(f"{file}: {error.strerror}") from error
    if len(content) > bounded_read.BYTES_MAX:
        raise Failure(f"{file}: is over 1 MiB")
    return content


def create(file: Path, content: bytes, mode: int) -> None:
    """Write a new *file*, which is on disk then; raises Failure where there is one already."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        descriptor = os.open(file, flags, mode)
    except FileExistsError:
        raise Failure(f"{file}: exists already, and is not overwritten") from None
    except OSError as error:
        raise Failure(f"{file}: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as stream:
            _write(stream.fileno(), content, mode)
    except OSError as error:
        file.unlink(missing_ok=True)
        raise Failure(f"{file}: {error.strerror}") from error


def jwks_of(jwk: Mapping[str, str]) -> bytes:
    """Return a JWKS with one key."""
    return _text({"keys": [jwk]})


def add_key(file: Path, jwk: Mapping[str, str], *, is_secret: bool) -> None:
    """Add *jwk* to the JWKS *file*, which is replaced as a whole; raises Failure.

    Two that add keys at once wait for each other.
    """
    # A link keeps leading to where it did.
    target = file.resolve()
    try:
        with _alone_in(target.parent):
            found = target.stat()
            if is_secret and found.st_mode & stat.S_IROTH:
                raise Failure(f"{file}: any user may read it, and the key is a secret: chmod o-r")
            document = _document(file)
            _check(file, document["keys"], jwk["kid"])
            _replace(target, _text({**document, "keys": [*document["keys"], jwk]}), found)
    except OSError as error:
        raise Failure(f"{file}: {error.strerror}") from error


def _document(file: Path) -> dict[str, Any]:
    try:
        document = loads(read(file).strip())
    except MalformedJson as error:
        raise Failure(f"{file}: {error}; keys are added to a JWKS") from error
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or not all(isinstance(each, dict) for each in keys):
        raise Failure(f"{file}: has no list of keys: a JWKS is an object with `keys`")
    return dict(document)


def _check(file: Path, keys: list[dict[str, Any]], kid: str) -> None:
    if any(key.get("kid") == kid for key in keys):
        raise Failure(f"{file}: has a key with the kid {kid!a} already")
    if len(keys) >= KEYS_MAX:
        raise Failure(f"{file}: has {len(keys)} keys; at most {KEYS_MAX} are allowed")


def _replace(target: Path, content: bytes, former: os.stat_result) -> None:
    """Put *content* in the place of *target*, with mode and owner of the *former* file."""
    descriptor, part = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            if (former.st_uid, former.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(stream.fileno(), former.st_uid, former.st_gid)
            _write(stream.fileno(), content, stat.S_IMODE(former.st_mode))
        Path(part).replace(target)
    finally:
        with suppress(FileNotFoundError):
            Path(part).unlink()


def _write(descriptor: int, content: bytes, mode: int) -> None:
    # Whatever the umask is.
    os.fchmod(descriptor, mode)
    with os.fdopen(descriptor, "wb", closefd=False) as stream:
        stream.write(content)
    os.fsync(descriptor)


@contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _text(document: Mapping[str, Any]) -> bytes:
    return f"{pretty(document)}\n".encode()
