"""TLS to RabbitMQ in the settings: what cannot work is refused by name, what is unsafe is told."""

from pathlib import Path

import pytest

from orderd.config.broker_tls import broker_tls, unencrypted_brokers, without_files
from orderd.config.load import ConfigError, Settings, load
from tests.support.authority import Authority, KeyPair

URL = "amqps://u:p@mq.example.com"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> KeyPair:
    return authority.issue("client", ["client"])


def settings(place: Path, url: str = URL, **given: object) -> Settings:
    environ = {f"ORDERD_RABBITMQ_{name.upper()}": str(each) for name, each in given.items()}
    environ["ORDERD_RABBITMQ_URL"] = url
    return load(None, {}, environ, default_file=place / "no", secrets_directory=place / "no")


def reason(found: Settings) -> str:
    with pytest.raises(ConfigError) as caught:
        broker_tls(found)
    assert "u:p" not in str(caught.value)
    return str(caught.value)


def test_all_three_are_taken(tmp_path: Path, authority: Authority, pair: KeyPair) -> None:
    files = broker_tls(
        settings(
            tmp_path,
            ca_file=authority.certificate,
            cert_file=pair.certificate,
            key_file=pair.key,
        )
    )

    assert files.rabbitmq_ca_file == str(authority.certificate)
    assert files.rabbitmq_key_file == str(pair.key)


def test_without_files_nothing_is_read(tmp_path: Path) -> None:
    assert not broker_tls(settings(tmp_path)).given
    found = settings(tmp_path, ca_file="/no/such.pem")
    assert not broker_tls(without_files(found)).given


def test_credentials_are_the_files_themselves(
    tmp_path: Path, authority: Authority, pair: KeyPair
) -> None:
    directory = tmp_path / "credentials"
    directory.mkdir()
    contents = {"ca_file": authority.certificate, "cert_file": pair.certificate}
    contents |= {"key_file": pair.key}
    for name, file in contents.items():
        (directory / f"orderd_rabbitmq_{name}").write_bytes(file.read_bytes())
    (directory / "rabbitmq_url").write_text(URL)

    found = load(
        None,
        {},
        {"CREDENTIALS_DIRECTORY": str(directory)},
        default_file=tmp_path / "no",
        secrets_directory=tmp_path / "no",
    )

    assert broker_tls(found).rabbitmq_cert_file == str(directory / "orderd_rabbitmq_cert_file")


def test_certificate_and_key_go_together(tmp_path: Path, pair: KeyPair) -> None:
    variable = "environment variable ORDERD_RABBITMQ"

    assert reason(settings(tmp_path, cert_file=pair.certificate)) == (
        f"rabbitmq_cert_file = '{pair.certificate}' ({variable}_CERT_FILE): "
        "needs rabbitmq_key_file, too"
    )
    assert "needs rabbitmq_cert_file, too" in reason(settings(tmp_path, key_file=pair.key))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("amqp://u:p@mq", "rabbitmq_url needs amqps://"),
        ("amqps://u:p@a,amqp://u:p@b", "URL 2 of rabbitmq_url needs amqps://"),
        ("amqps://u:p@a?ssl_options=None", "contradicts ssl_options in rabbitmq_url"),
    ],
)
def test_urls_that_contradict_the_files(
    tmp_path: Path, authority: Authority, url: str, said: str
) -> None:
    assert said in reason(settings(tmp_path, url, ca_file=authority.certificate))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "has no certificate in PEM"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB", "has a certificate that is damaged"),
        (b"x" * ((1 << 20) + 1), "is over 1 MiB"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)

    assert reason(settings(tmp_path, ca_file=file)) == (
        f"rabbitmq_ca_file = '{file}' (environment variable ORDERD_RABBITMQ_CA_FILE): {said}"
    )


def test_a_key_that_cannot_be_used(tmp_path: Path, authority: Authority, pair: KeyPair) -> None:
    other = authority.issue("other", ["other"])

    mixed = reason(settings(tmp_path, cert_file=pair.certificate, key_file=other.key))
    none = reason(settings(tmp_path, cert_file=pair.certificate, key_file=pair.certificate))

    assert mixed.endswith("is not the key of the certificate in rabbitmq_cert_file")
    assert none.endswith("has no private key in PEM")


def test_a_key_in_place_of_its_path_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(tmp_path, key_file="s3cret")

    assert "s3cret" not in str(caught.value)


def test_only_a_broker_elsewhere_in_clear_is_told(tmp_path: Path) -> None:
    urls = "amqp://u:p@localhost,amqp://u:p@127.0.0.1,amqps://u:p@a,amqp://u:p@b"

    assert unencrypted_brokers(settings(tmp_path, urls)) == [
        "rabbitmq_url: password and messages in clear to b; use amqps://"
    ]
