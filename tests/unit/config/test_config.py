import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from orderd.config.load import ConfigError, Settings, load
from orderd.config.sources import from_environment

Load = Callable[..., Settings]

SHA256 = "ab" * 32


@pytest.fixture
def load_from(tmp_path: Path) -> Load:
    """Load from given sources only, wherever the test happens to run."""

    def load_(
        toml: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        secrets: Mapping[str, str] | None = None,
        **environ: str,
    ) -> Settings:
        file = tmp_path / "orderd.toml"
        if toml is not None:
            file.write_text(toml)
        directory = tmp_path / "run-secrets"
        directory.mkdir()
        for name, content in (secrets or {}).items():
            (directory / name).write_text(content)
        return load(None, overrides, environ, default_file=file, secrets_directory=directory)

    return load_


def urls(settings: Settings) -> list[str]:
    return [url.get_secret_value() for url in settings.rabbitmq_url]


def test_without_any_source_the_defaults_hold(load_from: Load) -> None:
    settings = load_from()

    assert settings.database_url.get_secret_value() == "postgresql:///orderd"
    assert urls(settings) == ["amqp://guest:guest@localhost:5672/%2F"]
    assert settings.batch_max == 200
    assert settings.prefetch_count == 400
    assert settings.retry_delays == (5.0, 30.0, 300.0)
    assert settings.instance_name
    assert settings.tokens == {}


def test_each_source_yields_to_the_one_before_it(tmp_path: Path) -> None:
    credentials, secrets = tmp_path / "credentials", tmp_path / "secrets"
    file = tmp_path / "orderd.toml"
    credentials.mkdir()
    secrets.mkdir()
    file.write_text("".join(f"{key} = {n}\n" for key, n in _numbers(1, 5)))
    for key, number in _numbers(2, 4):
        (secrets / key).write_text(f"{number}\n")
    for key, number in _numbers(3, 3):
        (credentials / key).write_text(f"{number}\n")
    environ = {f"ORDERD_{key.upper()}": str(number) for key, number in _numbers(4, 2)}
    environ["CREDENTIALS_DIRECTORY"] = str(credentials)
    overrides = dict(_numbers(5, 1))

    settings = load(file, overrides, environ, secrets_directory=secrets)

    assert [getattr(settings, key) for key in _KEYS] == [5, 4, 3, 2000, 10]


_KEYS = ("batch_max", "prefetch", "poison_after", "body_bytes_max", "heartbeat")


def _numbers(rank: int, count: int) -> list[tuple[str, int]]:
    """Return values for the first `count` keys that tell which source they came from."""
    scale = {"body_bytes_max": 1000, "heartbeat": 10}
    return [(key, rank * scale.get(key, 1)) for key in _KEYS[:count]]


def test_options_that_were_not_given_change_nothing(load_from: Load) -> None:
    assert load_from("batch_max = 7", overrides={"batch_max": None}).batch_max == 7


def test_the_plain_names_of_the_endpoints_are_honoured(load_from: Load) -> None:
    settings = load_from(DATABASE_URL="postgresql://a/b", RABBITMQ_URL="amqp://h")

    assert settings.database_url.get_secret_value() == "postgresql://a/b"
    assert urls(settings) == ["amqp://h"]


def test_orderds_own_variables_count_more_than_the_plain_ones(load_from: Load) -> None:
    settings = load_from(
        DATABASE_URL="postgresql://a/b",
        ORDERD_DATABASE_URL="host=own",
        RABBITMQ_HOST="a",
        ORDERD_RABBITMQ_URL="amqp://own",
    )

    assert settings.database_url.get_secret_value() == "host=own"
    assert urls(settings) == ["amqp://own"]


def test_the_plain_names_count_more_than_credentials(load_from: Load) -> None:
    assert urls(load_from(secrets={"rabbitmq_url": "amqp://s"}, RABBITMQ_URL="amqp://p")) == [
        "amqp://p"
    ]


def test_parts_of_the_brokers_address_make_a_url(load_from: Load) -> None:
    settings = load_from(
        RABBITMQ_HOST="rabbit1, rabbit2:5673, ::1",
        RABBITMQ_PORT="5671",
        RABBITMQ_USER="shop",
        RABBITMQ_PASSWORD="p/w@:",
        RABBITMQ_VHOST="/shop",
    )

    assert urls(settings) == [
        "amqp://shop:p%2Fw%40%3A@rabbit1:5671/%2Fshop",
        "amqp://shop:p%2Fw%40%3A@rabbit2:5673/%2Fshop",
        "amqp://shop:p%2Fw%40%3A@[::1]:5671/%2Fshop",
    ]


def test_the_port_that_kubernetes_sets_by_itself_is_ignored(load_from: Load) -> None:
    settings = load_from(RABBITMQ_PORT="tcp://10.0.0.1:5672")

    assert urls(settings) == ["amqp://guest:guest@localhost:5672/%2F"]
    assert settings.origins == {}


def test_several_brokers_can_be_a_text_with_commas(load_from: Load) -> None:
    settings = load_from(ORDERD_RABBITMQ_URL="amqp://a:x,y@h1, amqps://h2")

    assert urls(settings) == ["amqp://a:x,y@h1", "amqps://h2"]


def test_several_brokers_can_be_a_list(load_from: Load) -> None:
    assert urls(load_from('rabbitmq_url = ["amqp://h1", "amqps://h2"]')) == [
        "amqp://h1",
        "amqps://h2",
    ]


def test_an_empty_variable_counts_as_absent(load_from: Load) -> None:
    assert load_from("batch_max = 7", ORDERD_BATCH_MAX="", DATABASE_URL="").batch_max == 7


def test_credentials_may_bear_the_prefix_and_end_in_a_line_feed(load_from: Load) -> None:
    secrets = {"orderd_database_url": "host=a\r\n", "rabbitmq_url": "amqp://b\n", "other": "x"}
    settings = load_from(secrets=secrets)

    assert settings.database_url.get_secret_value() == "host=a"
    assert urls(settings) == ["amqp://b"]


def test_directories_of_others_among_the_secrets_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "kubernetes.io").mkdir()

    settings = load(None, {}, {}, default_file=tmp_path / "no", secrets_directory=tmp_path)

    assert settings.origins == {}


def test_hidden_entries_among_the_credentials_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    # As systemd calls a hidden file of a directory that it hands over.
    (tmp_path / "orderd_.tokens.swp").write_text("7")
    (tmp_path / "batch_max").write_text("7")

    settings = load(
        None,
        {},
        {"CREDENTIALS_DIRECTORY": str(tmp_path)},
        default_file=tmp_path / "no",
        secrets_directory=tmp_path / "no",
    )

    assert settings.batch_max == 7


def test_tokens_from_several_sources_are_merged(load_from: Load) -> None:
    settings = load_from(
        f'[tokens.shop]\nsha256 = "{SHA256}"\nallow = ["product.*"]\n',
        secrets={"tokens__web__sha256": "CD" * 32},
        ORDERD_TOKENS__WEB__ALLOW="order.create, order.get",
        ORDERD_TOKENS__SHOP__ALLOW='["*"]',
    )

    assert settings.tokens["shop"].allow == ("*",)
    assert settings.tokens["web"].allow == ("order.create", "order.get")
    assert settings.tokens["web"].sha256 == "cd" * 32


def test_tokens_can_be_one_json_text(load_from: Load) -> None:
    tokens = {"shop": {"sha256": SHA256, "allow": ["*"]}}

    assert load_from(ORDERD_TOKENS=json.dumps(tokens)).tokens["shop"].allow == ("*",)


def test_durations_are_numbers_of_seconds_or_texts(load_from: Load) -> None:
    settings = load_from('retry_delays = [1, 0.5, "2min"]\nheartbeat = "1min"')

    assert settings.retry_delays == (1.0, 0.5, 120.0)
    assert settings.heartbeat == 60.0


@pytest.mark.parametrize("text", ["100ms, 1h", '["100ms", 3600]'])
def test_a_list_in_a_variable_is_divided_by_commas_or_is_json(load_from: Load, text: str) -> None:
    assert load_from(ORDERD_RETRY_DELAYS=text).retry_delays == (0.1, 3600.0)


def test_settings_cannot_be_changed(load_from: Load) -> None:
    settings = load_from()

    with pytest.raises(ValidationError, match="frozen"):
        settings.batch_max = 5  # type: ignore[misc]


@pytest.mark.parametrize("service", ["", "METRICS_"])
def test_what_kubernetes_sets_for_a_service_is_no_setting(load_from: Load, service: str) -> None:
    written = {
        "SERVICE_HOST": "10.96.0.7",
        "SERVICE_PORT": "9187",
        "SERVICE_PORT_HTTP_METRICS": "9187",
        "PORT": "tcp://10.96.0.7:9187",
        "PORT_9187_TCP": "tcp://10.96.0.7:9187",
        "PORT_9187_TCP_PROTO": "tcp",
        "PORT_9187_TCP_PORT": "9187",
        "PORT_9187_TCP_ADDR": "10.96.0.7",
        "PORT_53_UDP": "udp://10.96.0.7:53",
        "PORT_53_UDP_ADDR": "10.96.0.7",
    }

    settings = load_from(**{f"ORDERD_{service}{name}": text for name, text in written.items()})

    assert settings.origins == {}


@pytest.mark.parametrize("name", ["ORDERD_IMAGE", "ORDERD_SOAK_SEED", "ORDERD_TOKEN"])
def test_variables_of_orderd_that_are_no_settings_are_left_alone(
    load_from: Load, name: str
) -> None:
    assert load_from(**{name: "1"}).origins == {}


@pytest.mark.parametrize("name", ["PORT", "RABBITMQ_PORT", "SERVICE", "PORT_TCP", "SERVICE_HOSTS"])
def test_a_variable_that_only_looks_like_one_of_kubernetes_is_refused(
    load_from: Load, name: str
) -> None:
    with pytest.raises(ConfigError, match=f"ORDERD_{name}.*unknown setting"):
        load_from(**{f"ORDERD_{name}": "5672"})


def test_no_setting_is_called_like_a_variable_of_kubernetes() -> None:
    settings = {f"ORDERD_{key.upper()}": "tcp://x" for key in Settings.model_fields}

    layer = from_environment(settings)

    assert {path[0] for path in layer.origins} == set(Settings.model_fields)


def test_a_checksum_may_stand_as_sha256sum_prints_it(load_from: Load) -> None:
    settings = load_from(
        ORDERD_TOKENS__SHOP__SHA256=f"{SHA256}  -\n", ORDERD_TOKENS__SHOP__ALLOW="*"
    )

    assert settings.tokens["shop"].sha256 == SHA256


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f'{{"shop": {{"sha256": "{SHA256}", "allow": "*"}}, "shop": {{}}}}', "shop"),
        (f'{{"shop": {{"sha256": "{SHA256}", "allow": "*", "allow": "user.*"}}}}', "allow"),
    ],
)
def test_a_name_that_stands_twice_in_tokens_is_refused(
    load_from: Load, text: str, name: str
) -> None:
    with pytest.raises(ConfigError, match=f"tokens.*: has the name '{name}' twice"):
        load_from(ORDERD_TOKENS=text)


def test_blanks_behind_a_credential_are_no_part_of_it(load_from: Load) -> None:
    settings = load_from(secrets={"database_url": "postgresql://u@h/d \t\r\n"})

    assert settings.database_url.get_secret_value() == "postgresql://u@h/d"


def test_a_byte_order_mark_in_the_file_is_named(load_from: Load) -> None:
    with pytest.raises(ConfigError, match="begins with a byte order mark"):
        load_from("\ufeffbatch_max = 7\n")
