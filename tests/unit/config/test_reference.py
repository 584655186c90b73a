from pathlib import Path

from orderd.config.load import Settings, load
from orderd.config.reference import describe, reference
from orderd.config.reload import reload_settings

SHA256 = "ab" * 32
TOKENS = f'{{"shop": {{"sha256": "{SHA256}", "allow": ["product.*", "order.get"]}}}}'


def settings_from(**environ: str) -> Settings:
    nowhere = Path("/nonexistent")
    return load(None, {}, environ, default_file=nowhere, secrets_directory=nowhere)


def test_each_setting_is_shown_with_its_source() -> None:
    rows = {row.key: row for row in describe(settings_from(ORDERD_SHUTDOWN_TIMEOUT="90"), {})}

    assert list(dict.fromkeys(key.split(".")[0] for key in rows)) == list(Settings.model_fields)
    assert rows["shutdown_timeout"].value == "90s"
    assert rows["shutdown_timeout"].source == "environment variable ORDERD_SHUTDOWN_TIMEOUT"
    assert rows["retry_delays"].value == "5s, 30s, 5min"
    assert rows["wait_for_servers"].value == "true"
    assert rows["batch_max"].source == "default"


def test_no_secret_is_shown() -> None:
    settings = settings_from(
        DATABASE_URL="host=h password=hunter2",
        RABBITMQ_URL="amqp://a:hunter2@h1,amqp://b:hunter2@h2",
        ORDERD_TOKENS=TOKENS,
    )

    shown = repr(describe(settings, {})) + repr(settings) + repr(reference())

    assert "hunter2" not in shown
    assert SHA256 not in shown
    assert "amqp://a:***@h1, amqp://b:***@h2" in shown


def test_a_setting_is_shown_by_its_own_mask() -> None:
    settings = settings_from(DATABASE_URL="host=h password=hunter2")

    rows = {row.key: row for row in describe(settings, {"database_url": str.upper})}

    assert rows["database_url"].value == "HOST=H PASSWORD=HUNTER2"


def test_each_token_has_a_row_with_what_it_allows() -> None:
    rows = {row.key: row for row in describe(settings_from(ORDERD_TOKENS=TOKENS), {})}

    assert rows["tokens.shop"].value == "product.*, order.get"
    assert rows["tokens.shop"].source == "environment variable ORDERD_TOKENS"


def test_the_reference_describes_every_setting() -> None:
    rows = reference()

    assert [row.key for row in rows] == list(Settings.model_fields)
    assert all(row.description for row in rows)
    assert rows[0].variable == "ORDERD_DATABASE_URL"


def test_a_reload_takes_what_may_change_and_names_the_rest() -> None:
    current = settings_from(ORDERD_BATCH_MAX="10", ORDERD_HEARTBEAT="10")
    fresh = settings_from(ORDERD_BATCH_MAX="20", ORDERD_HEARTBEAT="30", ORDERD_LOG_LEVEL="debug")

    reload = reload_settings(current, fresh)

    assert reload.changed == ("batch_max", "log_level")
    assert reload.needs_restart == ("heartbeat",)
    assert (reload.settings.batch_max, reload.settings.heartbeat) == (20, 10.0)
    assert reload.settings.origins["log_level",] == "environment variable ORDERD_LOG_LEVEL"
    assert current.batch_max == 10


def test_a_reload_that_changes_nothing_says_so() -> None:
    reload = reload_settings(settings_from(), settings_from())

    assert (reload.changed, reload.needs_restart) == ((), ())
