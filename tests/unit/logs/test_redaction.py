import pytest

from orderd.logs.redaction import redact, redact_url


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("amqp://guest:secret@host:5672/%2F", "amqp://guest:***@host:5672/%2F"),
        ("amqp://guest:se/cr@et@host", "amqp://guest:***@host"),
        ("amqp://:secret@host", "amqp://:***@host"),
        ("amqp://a:secret@h1,amqps://b:secret@h2", "amqp://a:***@h1,amqps://b:***@h2"),
        (
            "postgresql://h/db?user=a&password=secret&x=1",
            "postgresql://h/db?user=a&password=***&x=1",
        ),
        ("host=h password=secret dbname=d", "host=h password=*** dbname=d"),
        ("host=h password = 'sec ret' dbname=d", "host=h password = *** dbname=d"),
        (r"password='se\'cret' dbname=d", "password=*** dbname=d"),
        ("host=h password=sec&ret dbname=d", "host=h password=*** dbname=d"),
        ("host=h password=sec'ret dbname=d", "host=h password=*** dbname=d"),
        (r"host=h password=sec\ ret dbname=d", "host=h password=*** dbname=d"),
        ("host=h sslpassword=secret", "host=h sslpassword=***"),
        ("PGPASSWORD=secret", "PGPASSWORD=***"),
        (
            "amqps://a:secret@h/?heartbeat=5&ssl_options={'password':'secret&x'}",
            "amqps://a:***@h/?heartbeat=5&ssl_options=***",
        ),
        (
            "amqps://h?ssl%5foptions=%7B%27password%27%3A%27secret%27%7D rest",
            "amqps://h?ssl%5foptions=*** rest",
        ),
        ("postgresql:///orderd", "postgresql:///orderd"),
        ("no secret at all: a@b", "no secret at all: a@b"),
    ],
)
def test_passwords_are_hidden_and_the_rest_is_kept(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("amqp://u:secret@host/v", "amqp://u:***@host/v"),
        ("amqp://u:se/cr@et@host/v", "amqp://u:***@host/v"),
        ("amqp://u:se:cret?@host/v", "amqp://u:***@host/v"),
        ("amqp://u/x:secret@host/v", "amqp://u:***@host/v"),
        ("amqps://u@host/?ssl_options={'password':'secret'}", "amqps://u@host/"),
        ("amqp://host", "amqp://host"),
    ],
)
def test_a_redacted_url_has_no_password(url: str, shown: str) -> None:
    assert redact_url(url) == shown
