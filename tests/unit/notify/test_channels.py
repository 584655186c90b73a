"""Channels as the settings name them, and the one that needs no server."""

import json
from pathlib import Path
from typing import Any

import pytest

from orderd.config.load import ConfigError, Settings, load
from orderd.notify.channels.build import build_channels
from orderd.notify.channels.log import LogChannel
from orderd.notify.message import Message

NOWHERE = Path("/nonexistent")
MAIL = {"kind": "smtp", "for": "users", "from": "shop@example.com"}


def settings_of(*channels: dict[str, Any], secrets: Path = NOWHERE) -> Settings:
    environ = {"ORDERD_NOTIFY__CHANNEL": json.dumps(channels)} if channels else {}
    return load(None, {}, environ, default_file=NOWHERE, secrets_directory=secrets)


def nothing() -> None:
    """Keep nothing alive."""


def test_each_channel_of_the_settings_is_built_and_nothing_is_connected() -> None:
    settings = settings_of(
        MAIL | {"url": "smtp://u:p@mail.invalid"},
        {"kind": "webhook", "name": "chat", "for": "admins", "url": "https://chat.invalid/1"},
        {"kind": "log", "for": "admins"},
    )

    channels = build_channels(settings, nothing)

    assert [(each.name, each.kind) for each in channels] == [
        ("smtp", "smtp"),
        ("chat", "webhook"),
        ("log", "log"),
    ]
    for each in channels:
        each.close()


def test_without_channels_there_are_two_of_the_log() -> None:
    channels = build_channels(settings_of(), nothing)

    assert [(each.name, each.kind) for each in channels] == [("log", "log"), ("log-2", "log")]


def test_a_user_without_a_password_is_refused_and_the_credential_is_named(tmp_path: Path) -> None:
    channel = MAIL | {"name": "mail", "url": "smtp://u@mail.invalid"}

    with pytest.raises(ConfigError) as caught:
        build_channels(settings_of(channel), nothing)
    (tmp_path / "notify_mail").write_text("hunter2\n")
    (built,) = build_channels(settings_of(channel, secrets=tmp_path), nothing)

    assert str(caught.value) == (
        "notify.channel.mail (environment variable ORDERD_NOTIFY__CHANNEL): "
        "url names a user but no password, and there is no credential notify_mail"
    )
    assert built.name == "mail"
    assert "hunter2" not in repr(vars(built))


@pytest.mark.usefixtures("log_to_stdout")
def test_the_log_has_one_line_for_each_message(capfd: pytest.CaptureFixture[str]) -> None:
    message = Message("e5d7", "admin.notice", "", "Out of stock", "Product 5\n\x1b[31mis out\n", "")

    LogChannel("log").send(message)

    (line,) = map(json.loads, capfd.readouterr().out.splitlines())
    assert line["event"] == "notification.sent"
    assert line["level"] == "INFO"
    assert line["message"] == "Out of stock: Product 5 \N{REPLACEMENT CHARACTER}[31mis out"
    assert (line["id"], line["action"]) == ("e5d7", "admin.notice")
