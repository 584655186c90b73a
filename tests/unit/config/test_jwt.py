"""The settings of JWTs: all that is needed is asked for, and nothing of the keys is shown."""

from pathlib import Path

import pytest

from orderd.config.jwt import usable_keys
from orderd.config.load import ConfigError, Settings, load
from orderd.config.reference import describe
from tests.support.web_tokens import jwk, jwks, pem

MINIMAL = {"keys": "/k.json", "issuer": "https://login.example.com/", "audience": "orderd"}


def load_text(place: Path, text: str, **environ: str) -> Settings:
    file = place / "orderd.toml"
    file.write_text(text)
    return load(None, {}, environ, default_file=file, secrets_directory=place / "no")


def table(**values: str) -> str:
    given = {name: each for name, each in (MINIMAL | values).items() if each}
    return "[jwt]\n" + "".join(f'{name} = "{each}"\n' for name, each in given.items())


def test_three_settings_suffice(tmp_path: Path) -> None:
    jwt = load_text(tmp_path, table()).jwt

    assert jwt is not None
    assert jwt.algorithms == ("EdDSA", "ES256", "RS256")
    assert jwt.leeway == 30


def test_lists_and_durations_are_read_as_elsewhere(tmp_path: Path) -> None:
    jwt = load_text(tmp_path, table(algorithms="HS256, EdDSA"), ORDERD_JWT__LEEWAY="1min").jwt

    assert jwt is not None
    assert (jwt.algorithms, jwt.leeway) == (("HS256", "EdDSA"), 60)


@pytest.mark.parametrize(
    ("values", "key", "reason"),
    [
        ({"issuer": ""}, "jwt.issuer", "Field required"),
        ({"audience": ""}, "jwt.audience", "Field required"),
        ({"keys": "jwks.json"}, "jwt.keys", "pattern"),
        ({"keys": "https://login.example.com/jwks"}, "jwt.keys", "pattern"),
        ({"algorithms": "none"}, "jwt.algorithms[0]", "EdDSA"),
        ({"algorithms": "RS512"}, "jwt.algorithms[0]", "EdDSA"),
        ({"algorithms": "[]"}, "jwt.algorithms", "at least 1 item"),
        ({"leeway": "11min"}, "jwt.leeway", "less than or equal to 600"),
        ({"isuer": "x"}, "jwt.isuer", "unknown setting; did you mean issuer?"),
    ],
)
def test_what_is_wrong_is_said_by_name(
    tmp_path: Path, values: dict[str, str], key: str, reason: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(tmp_path, table(**values))

    (problem,) = caught.value.problems
    assert problem.key == key
    assert reason in problem.reason


def test_a_key_in_place_of_its_path_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(tmp_path, table(keys="s3cret"))

    assert "s3cret" not in str(caught.value)


def test_a_credential_is_the_file_with_the_keys(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    file = credentials / "jwt_keys"
    file.write_bytes(jwks(jwk("EdDSA")))

    settings = load_text(tmp_path, table(keys=""), CREDENTIALS_DIRECTORY=str(credentials))

    assert settings.jwt is not None
    assert settings.jwt.keys == str(file)
    assert settings.origins["jwt", "keys"] == f"credential {file}"
    assert [key.kid for key in usable_keys(settings.jwt)] == ["k1"]
    with pytest.raises(ConfigError, match="issuer"):
        load_text(tmp_path, "", CREDENTIALS_DIRECTORY=str(credentials))


def test_every_setting_is_shown_with_its_source_and_no_key(tmp_path: Path) -> None:
    file = tmp_path / "keys.pem"
    file.write_bytes(pem("EdDSA"))

    rows = describe(load_text(tmp_path, table(keys=str(file))), {})

    shown = {row.key: row.value for row in rows if row.key.startswith("jwt")}
    assert shown == {
        "jwt.keys": str(file),
        "jwt.issuer": "https://login.example.com/",
        "jwt.audience": "orderd",
        "jwt.algorithms": "EdDSA, ES256, RS256",
        "jwt.leeway": "30s",
    }


def test_the_keys_may_be_a_credential_of_the_daemon_alone(tmp_path: Path) -> None:
    settings = load_text(tmp_path, table(keys=""))
    assert settings.jwt is not None
    assert settings.authorization_mode == "jwt"

    with pytest.raises(ConfigError, match=r"jwt\.keys: is missing"):
        usable_keys(settings.jwt)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is neither a JWKS nor has it public keys in PEM"),
        (b"x" * ((1 << 20) + 1), "is over 1 MiB"),
        (jwks(jwk("HS256")), "has no key for EdDSA, ES256, RS256"),
    ],
)
def test_a_file_without_a_usable_key_is_refused(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    file = tmp_path / "keys"
    if content is not None:
        file.write_bytes(content)
    settings = load_text(tmp_path, table(keys=str(file)))
    assert settings.jwt is not None

    with pytest.raises(ConfigError) as caught:
        usable_keys(settings.jwt)

    (problem,) = caught.value.problems
    assert (problem.key, problem.reason) == ("jwt.keys", reason)
    assert problem.origin == str(file)
