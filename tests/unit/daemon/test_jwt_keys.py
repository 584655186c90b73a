"""Which keys came and which went, in words."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from orderd.auth.signatures import parse_keys
from orderd.config.jwt import JwtSettings
from orderd.daemon import jwt_keys
from orderd.daemon.jwt_keys import key_changes
from orderd.logs.logger import LogEvent
from tests.support.web_tokens import AUDIENCE, ISSUER, jwk, jwks, pem

ALL = ("EdDSA", "ES256", "RS256", "HS256")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ([jwk("EdDSA", "a")], [jwk("EdDSA", "a")], ""),
        ([jwk("EdDSA", "a"), jwk("ES256", "b")], [jwk("ES256", "b"), jwk("EdDSA", "a")], ""),
        ([jwk("EdDSA", "a")], [jwk("EdDSA", "a"), jwk("EdDSA", "b", 2)], "added kid 'b'"),
        ([jwk("EdDSA", "a")], [jwk("EdDSA", "b")], "added kid 'b', removed kid 'a'"),
        ([jwk("EdDSA", "a")], [jwk("EdDSA", "a", 2)], "added kid 'a', removed kid 'a'"),
        (
            [jwk("EdDSA", "a")],
            [jwk("EdDSA", "a"), jwk("RS256", None), jwk("HS256", "c")],
            "added a key for RS256 without kid and kid 'c'",
        ),
    ],
)
def test_changes_of_keys_are_told_by_name(
    before: Sequence[Any], after: Sequence[Any], said: str
) -> None:
    told = key_changes(parse_keys(jwks(*before), ALL), parse_keys(jwks(*after), ALL))

    assert told == (f"jwt.keys: {said}" if said else "")


def test_keys_that_are_read_for_an_unknown_one_are_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[LogEvent, str]] = []
    monkeypatch.setattr(jwt_keys, "emit", lambda event, text: told.append((event, text)))
    path = tmp_path / "keys"
    path.write_bytes(pem("EdDSA"))
    file = jwt_keys._KeyFile(JwtSettings(keys=str(path), issuer=ISSUER, audience=AUDIENCE))  # noqa: SLF001

    path.write_bytes(pem("EdDSA") + pem("ES256"))
    fresh = [file.read_again(), file.read_again()]
    path.write_bytes(b"")

    assert [None if keys is None else len(keys) for keys in fresh] == [2, 2]
    assert file.read_again() is None
    added = "jwt.keys: added a key for ES256 without kid; read for a token with an unknown key"
    assert told[0] == (LogEvent.CONFIG_RELOADED, added)
    assert [event for event, _ in told] == [LogEvent.CONFIG_RELOADED, LogEvent.CONFIG_WARNING]
