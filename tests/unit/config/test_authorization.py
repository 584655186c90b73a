"""What the settings come to, and which files take protection away: only those that say so."""

from pathlib import Path

import pytest

from orderd.config.authorization import described, ignored
from orderd.config.load import ConfigError, Settings, load

SHA256 = "ab" * 32
OTHER_SHA256 = "cd" * 32
TOKENS = f'[tokens.shop]\nsha256 = "{SHA256}"\nallow = ["product.*", "order.get"]\n'
JWT = """[jwt]
keys = "/etc/orderd/jwks.json"
issuer = "https://login.example.com/"
audience = "orderd"
"""
FILE = f"""# The shop.
database_url = "postgresql://orderd@db1,db2/orderd"
batch_max = 100
retry_delays = ["5s", "30s"]

[tokens.shop]  # the web shop
sha256 = "{SHA256}"
allow = ["product.*", "order.get"]

[tokens.web]
sha256 = "{OTHER_SHA256}"
allow = ["*"]
"""


def load_text(place: Path, text: str, before: Settings | None = None, **environ: str) -> Settings:
    file = place / "orderd.toml"
    file.write_text(text)
    return load(None, {}, environ, default_file=file, secrets_directory=place / "no", before=before)


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("", "none", "none (every command is allowed)"),
        (TOKENS, "tokens", "tokens (1 token)"),
        (f'authorization = "Tokens"\n{FILE}', "tokens", "tokens (2 tokens)"),
        (f'authorization = "none"\n{TOKENS}', "none", "none (every command is allowed)"),
        (JWT, "jwt", "jwt (issuer https://login.example.com/)"),
        (f"{JWT}{TOKENS}", "jwt", "jwt (issuer https://login.example.com/, and 1 token)"),
        (f'authorization = "tokens"\n{JWT}{TOKENS}', "tokens", "tokens (1 token)"),
        (
            f'authorization = "JWT"\n{JWT}{TOKENS}',
            "jwt",
            "jwt (issuer https://login.example.com/)",
        ),
    ],
)
def test_the_mode_is_as_set_or_by_what_there_are_tokens(
    tmp_path: Path, text: str, mode: str, words: str
) -> None:
    settings = load_text(tmp_path, text)

    assert settings.authorization_mode == mode
    assert described(settings) == words


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('authorization = "tokens"', "there are no tokens"),
        (f'authorization = "tokens"\n{JWT}', "there are no tokens"),
        (f'authorization = "jwt"\n{TOKENS}', "there is no [jwt] with keys"),
        (f'authorization = "off"\n{TOKENS}', "Input should be"),
    ],
)
def test_a_mode_without_what_it_authorizes_by_is_refused(
    tmp_path: Path, text: str, reason: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(tmp_path, text)

    (problem,) = caught.value.problems
    assert problem.key == "authorization"
    assert problem.origin == f"file {tmp_path}/orderd.toml"
    assert reason in problem.reason


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (TOKENS, None),
        (f"{JWT}{TOKENS}", None),
        (f'authorization = "tokens"\n{JWT}{TOKENS}', "jwt"),
        (f'authorization = "jwt"\n{JWT}{TOKENS}', "tokens"),
        (f'authorization = "none"\n{JWT}{TOKENS}', "tokens and jwt"),
    ],
)
def test_what_is_configured_and_does_not_count_is_known(
    tmp_path: Path, text: str, what: str | None
) -> None:
    assert ignored(load_text(tmp_path, text)) == what


def test_a_reload_that_loses_the_section_of_jwts_is_refused(tmp_path: Path) -> None:
    before = load_text(tmp_path, JWT)

    with pytest.raises(ConfigError, match="would change from jwt to none"):
        load_text(tmp_path, "batch_max = 7", before)


def test_no_prefix_of_a_file_takes_protection_away_at_a_reload(tmp_path: Path) -> None:
    before = load_text(tmp_path, FILE)
    is_accepted = 0

    for length in range(len(FILE)):
        try:
            fresh = load_text(tmp_path, FILE[:length], before)
        except ConfigError:
            continue
        is_accepted += 1
        assert fresh.authorization_mode == "tokens"
        assert set(fresh.tokens) <= set(before.tokens)
        assert all(before.tokens[name] == token for name, token in fresh.tokens.items())
    assert is_accepted


@pytest.mark.parametrize(
    ("text", "is_refused"), [("", True), (" \n", True), ("# nothing\n", False)]
)
def test_a_file_that_became_empty_is_refused_at_a_reload(
    tmp_path: Path, text: str, *, is_refused: bool
) -> None:
    before = load_text(tmp_path, "batch_max = 7")

    if is_refused:
        with pytest.raises(ConfigError, match=r"orderd\.toml\): is empty"):
            load_text(tmp_path, text, before)
    else:
        assert load_text(tmp_path, text, before).batch_max == 200


def test_a_file_that_was_empty_before_may_be_so_at_a_reload(tmp_path: Path) -> None:
    before = load_text(tmp_path, "", ORDERD_BATCH_MAX="7")

    assert load_text(tmp_path, "", before, ORDERD_BATCH_MAX="7").batch_max == 7


def test_only_a_file_takes_protection_away(tmp_path: Path) -> None:
    before = load_text(tmp_path, TOKENS)

    with pytest.raises(ConfigError, match="would change from tokens to none"):
        load_text(tmp_path, TOKENS, before, ORDERD_AUTHORIZATION="none")
    fresh = load_text(tmp_path, f'authorization = "none"\n{TOKENS}', before)
    assert fresh.authorization_mode == "none"
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "authorization").write_text("none\n")
    fresh = load_text(tmp_path, TOKENS, before, CREDENTIALS_DIRECTORY=str(credentials))
    assert fresh.authorization_mode == "none"
