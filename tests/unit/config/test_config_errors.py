import os
from pathlib import Path

import pytest

from orderd.config.load import ConfigError, load
from orderd.runtime.config_errors import Problem

SHA256 = "ab" * 32


def problems_of(
    toml: str = "", directory: Path = Path("/nonexistent"), /, **environ: str
) -> dict[str, Problem]:
    file = directory / "orderd.toml"
    if toml:
        file.write_text(toml)
    with pytest.raises(ConfigError) as caught:
        load(file if toml else None, {}, environ, default_file=file, secrets_directory=directory)
    return {problem.key: problem for problem in caught.value.problems}


def test_every_wrong_key_is_named_with_value_reason_and_source(tmp_path: Path) -> None:
    found = problems_of(
        "batch_max = 5000\npoison_after = true\nqueue_type = 'stream'",
        tmp_path,
        ORDERD_SHUTDOWN_TIMEOUT="soon",
    )

    file = f"file {tmp_path}/orderd.toml"
    assert str(found["batch_max"]) == (
        f"batch_max = 5000 ({file}): Input should be less than or equal to 1000"
    )
    assert str(found["poison_after"]) == (
        f"poison_after = True ({file}): must be a whole number, not true or false"
    )
    assert str(found["queue_type"]) == (
        f"queue_type = 'stream' ({file}): Input should be '', 'classic' or 'quorum'"
    )
    assert str(found["shutdown_timeout"]).startswith(
        "shutdown_timeout = 'soon' (environment variable ORDERD_SHUTDOWN_TIMEOUT): a duration is"
    )


def test_unknown_keys_are_errors_with_a_suggestion_and_without_their_value(tmp_path: Path) -> None:
    found = problems_of('databse_url = "hunter2"', tmp_path, ORDERD_BATCHMAX="hunter2")

    assert found["databse_url"].reason == "unknown setting; did you mean database_url?"
    assert found["batchmax"].reason == "unknown setting; did you mean batch_max?"
    assert found["batchmax"].origin == "environment variable ORDERD_BATCHMAX"
    assert "hunter2" not in " ".join(str(problem) for problem in found.values())


def test_an_unknown_key_of_a_token_is_compared_with_its_own_keys(tmp_path: Path) -> None:
    found = problems_of(f'[tokens.shop]\nsha256 = "{SHA256}"\nalows = ["*"]', tmp_path)

    assert found["tokens.shop.alows"].reason == "unknown setting; did you mean allow?"
    assert found["tokens.shop.allow"].reason == "Field required"


def test_the_crash_point_variable_is_no_unknown_setting() -> None:
    nowhere = Path("/nonexistent")

    environ = {"ORDERD_FAILPOINT": "loaded"}

    assert load(None, {}, environ, default_file=nowhere).origins == {}


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hunter2@host",
        "user:hunter2@host:5672",
        "amqp://user:hunter2/x@host",
        "amqp://user:hunter2#x@host",
        "amqp://user:hunter2://x@host",
        "amqp://user:hun ter2@host",
        "amqp://user:12/hunter2@host",
        "amqp://user:12?hunter2@host",
        "amqp://user:12#hunter2@host",
        "amqp://us/er:hunter2@host",
        "amqp://",
        "amqp://user:hunter2@host:99999",
        "amqp://user:hunter2@host:0",
        "amqp://user:hunter2@[host",
        "amqp://host,https://user:hunter2@x",
        "",
    ],
)
def test_a_wrong_broker_url_is_refused_and_never_shown(url: str, tmp_path: Path) -> None:
    found = problems_of(f'rabbitmq_url = ["{url}"]', tmp_path)

    assert list(found) == ["rabbitmq_url"]
    assert found["rabbitmq_url"].value is None
    assert "ter2" not in str(found["rabbitmq_url"])


def test_a_list_of_no_brokers_is_refused(tmp_path: Path) -> None:
    assert "at least 1 item" in problems_of("rabbitmq_url = []", tmp_path)["rabbitmq_url"].reason


@pytest.mark.parametrize("url", ["hunter2", "mysql://a:hunter2@b", "host=a\nb=hunter2"])
def test_a_wrong_database_url_is_refused_and_never_shown(url: str) -> None:
    problem = problems_of(DATABASE_URL=url)["database_url"]

    assert problem.origin == "environment variable DATABASE_URL"
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("retry_delays", "5s,5000ms", "different"),
        ("retry_delays", "50ms", "greater than or equal to 0.1"),
        ("retry_delays", "25h", "less than or equal to 86400"),
        ("retry_delays", ",", "at least 1 item"),
        ("retry_delays", ",".join(str(n) for n in range(1, 12)), "at most 10 items"),
        ("heartbeat", "20.5s", "multiple of 1"),
        ("batch_max", "0", "greater than or equal to 1"),
        ("batch_max", "many", "valid integer"),
        ("log_level", "loud", "'debug', 'info'"),
        ("instance_name", "two words", "pattern"),
        ("tokens", "{", "not valid JSON"),
        ("tokens", "[" * 100_000, "not valid JSON"),
        ("batch_max__size", "5", "valid integer"),
    ],
)
def test_a_value_out_of_its_limits_is_refused(key: str, value: str, reason: str) -> None:
    [problem] = problems_of(**{f"ORDERD_{key.upper()}": value}).values()

    assert problem.key.startswith(key.partition("__")[0])
    assert reason in problem.reason


def test_a_token_pasted_for_its_hash_is_not_shown(tmp_path: Path) -> None:
    found = problems_of('[tokens.shop]\nsha256 = "hunter2"\nallow = ["*", "shop.x"]', tmp_path)

    assert "pattern" in found["tokens.shop.sha256"].reason
    assert "pattern" in found["tokens.shop.allow[1]"].reason
    assert "hunter2" not in " ".join(str(problem) for problem in found.values())


def test_two_tokens_with_one_hash_are_refused(tmp_path: Path) -> None:
    token = f'sha256 = "{SHA256}"\nallow = ["*"]\n'

    found = problems_of(f"[tokens.a]\n{token}[tokens.b]\n{token}", tmp_path)

    assert found["tokens"].reason == "two tokens have the same sha256"


def test_a_file_that_is_named_must_exist_and_the_rest_is_still_checked(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "no.toml", {}, {"ORDERD_BATCH_MAX": "0"}, secrets_directory=tmp_path)

    first, second = caught.value.problems
    assert str(first) == f"config ({tmp_path}/no.toml): cannot be read: No such file or directory"
    assert second.key == "batch_max"


def test_a_file_that_is_not_toml_is_named_with_the_line(tmp_path: Path) -> None:
    assert "line 2" in problems_of("batch_max = 1\nbatch_max 2", tmp_path)["config"].reason


def test_a_credential_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "database_url").write_bytes(b"\xff\xfe")

    with pytest.raises(ConfigError, match=r"database_url \(.*/database_url\): is not UTF-8"):
        load(None, {}, {}, default_file=tmp_path / "no", secrets_directory=tmp_path)


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "database_url").open("wb") as file:
        os.truncate(file.fileno(), 1 << 40)

    with pytest.raises(ConfigError, match="is over 1 MiB"):
        load(None, {}, {}, default_file=tmp_path / "no", secrets_directory=tmp_path)
