"""Channels of notifications in the settings: what they may be, and what is said of wrong ones."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from orderd.config.load import ConfigError, Settings, load
from orderd.config.notify import MODELS, SmtpChannel, WebhookChannel, channel_keys
from orderd.config.notify_checks import doubts, signing_keys
from orderd.config.reference import channel_reference, describe
from orderd.config.reload import reload_settings
from orderd.protocol.notifications import OPEN_PREFIXES, TYPES, Audience
from orderd.protocol.tenants import NOTIFY, ORDERD, Tenant
from orderd.shop.entity import refusal_event
from orderd.shop.registry import SHOP

NOWHERE = Path("/nonexistent")
KEY = b"k" * 24
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"
MAIL = {"kind": "smtp", "for": "users", "url": "smtp://mail", "from": "shop@example.com"}
OPERATORS = MAIL | {"for": "admins", "to": ["ops@example.com"]}
HOOK = {"kind": "webhook", "for": "admins", "url": "https://example.com/hook"}


def settings_of(*channels: dict[str, Any], secrets: Path = NOWHERE, **environ: str) -> Settings:
    given = {"ORDERD_NOTIFY__CHANNEL": json.dumps(channels)} if channels else {}
    return load(None, {}, given | environ, default_file=NOWHERE, secrets_directory=secrets)


def problems_of(*channels: dict[str, Any], secrets: Path = NOWHERE, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        settings_of(*channels, secrets=secrets, **environ)
    origin = " (environment variable ORDERD_NOTIFY__CHANNEL)"
    return [str(problem).replace(origin, "") for problem in caught.value.problems]


def loaded(tenant: Tenant = ORDERD, **environ: str) -> Settings:
    return load(environ=environ, default_file=NOWHERE, secrets_directory=NOWHERE, tenant=tenant)


def test_without_channels_both_audiences_have_lines_in_the_log() -> None:
    channels = settings_of().notify.channel

    assert [(each.kind, each.audience, each.name) for each in channels] == [
        ("log", "users", "log"),
        ("log", "admins", "log-2"),
    ]


def test_a_file_has_a_list_of_tables(tmp_path: Path) -> None:
    file = tmp_path / "orderd.toml"
    file.write_text(
        """
        [notify]
        templates = "/srv/texts"
        [[notify.channel]]
        kind = "smtp"
        for = "users"
        url = "smtps://orders:p%40ss@mail.example.com"
        from = "Shop <shop@example.com>"
        [[notify.channel]]
        kind = "webhook"
        name = "chat"
        for = "admins"
        types = ["system.*"]
        digest = "5min"
        url = "https://chat.example.com/hooks/1?key=2"
        """
    )

    notify = load(file, {}, {}, secrets_directory=NOWHERE).notify

    mail, chat = notify.channel
    assert notify.templates == "/srv/texts"
    assert isinstance(mail, SmtpChannel)
    assert (mail.name, mail.sender, mail.starttls) == ("smtp", "Shop <shop@example.com>", True)
    server = mail.server
    assert (server.host, server.port, server.is_tls) == ("mail.example.com", 465, True)
    assert (server.user, server.password) == ("orders", "p@ss")
    assert isinstance(chat, WebhookChannel)
    assert (chat.name, chat.types, chat.digest) == ("chat", ("system.*",), 300)


def test_the_channels_of_a_drop_in_replace_those_of_the_file_and_credentials_join_them(
    tmp_path: Path,
) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "secrets").mkdir()
    table = '[[notify.channel]]\nkind = "webhook"\nname = "{}"\nfor = "admins"\nurl = "https://h"\n'
    (tmp_path / "orderd.toml").write_text(f'[notify]\ntemplates = "/srv"\n{table.format("one")}')
    (tmp_path / "conf.d/a.toml").write_text(table.format("two"))
    (tmp_path / "secrets/notify_two").write_text(f"{SECRET}\n")

    settings = load(
        None,
        {},
        {"CREDENTIALS_DIRECTORY": f"{tmp_path}/secrets"},
        default_file=tmp_path / "orderd.toml",
        secrets_directory=NOWHERE,
    )

    (two,) = settings.notify.channel
    assert two.name == "two"
    assert settings.notify.credential(two) == SECRET
    assert settings.notify.templates == "/srv"
    rows = {row.key: row for row in describe(settings, {})}
    assert rows["notify.channel.two"].source == (
        f"file {tmp_path}/conf.d/a.toml, credential {tmp_path}/secrets/notify_two"
    )
    assert SECRET not in repr(rows) + repr(settings)


@pytest.mark.parametrize("name", ["notify_chat", "orderd_notify_chat", "ORDERD_NOTIFY_CHAT"])
def test_a_credential_is_named_after_its_channel(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(SECRET)

    notify = settings_of(HOOK | {"name": "chat"}, secrets=tmp_path).notify

    assert notify.credential(notify.channel[0]) == SECRET


def test_channels_without_a_name_have_that_of_their_kind() -> None:
    channels = settings_of(MAIL, OPERATORS, OPERATORS | {"name": "smtp-2"}, HOOK).notify.channel

    assert [each.name for each in channels] == ["smtp", "smtp-3", "smtp-2", "webhook"]


@pytest.mark.parametrize(
    ("channel", "problem"),
    [
        ({"for": "users"}, "notify.channel: channel 1: kind must be log, smtp or webhook"),
        (
            {"kind": "smpt", "for": "users"},
            "notify.channel: channel 1: kind must be log, smtp or webhook, not 'smpt'",
        ),
        ({"kind": "log"}, "notify.channel.log.for: Field required"),
        (
            {"kind": "log", "for": "all"},
            "notify.channel.log.for = 'all': Input should be 'users' or 'admins'",
        ),
        (
            {"kind": "log", "for": "users", "url": "hunter2"},
            "notify.channel.log.url: unknown setting",
        ),
        (
            HOOK | {"name": "chat", "typs": ["hunter2"]},
            "notify.channel.chat.typs: unknown setting; did you mean types?",
        ),
        (
            HOOK | {"name": "Chat"},
            "notify.channel[0].name = 'Chat': String should match pattern '^([a-z][a-z0-9_-]*)?$'",
        ),
        (
            {"kind": "smtp", "for": "users", "url": "smtp://u:hunter2@mail"},
            "notify.channel.smtp.from: Field required",
        ),
        (
            MAIL | {"from": "Shop <example.com>"},
            (
                "notify.channel.smtp.from = 'Shop <example.com>': "
                "is not an e-mail address such as ada@example.com"
            ),
        ),
        (MAIL | {"for": "admins"}, "notify.channel.smtp.to = (): is required for admins"),
        (
            MAIL | {"to": ["a@example.com"]},
            (
                "notify.channel.smtp.to = ['a@example.com']: "
                "only for admins; users have addresses of their own"
            ),
        ),
        (
            OPERATORS | {"to": ["a@example.com", "b\n@example.com"]},
            (
                "notify.channel.smtp.to[1] = 'b\\n@example.com': "
                "is not an e-mail address such as ada@example.com"
            ),
        ),
        (
            OPERATORS | {"to": "a@example.com, a@example.com"},
            "notify.channel.smtp.to = 'a@example.com, a@example.com': has an address twice",
        ),
        (MAIL | {"digest": "5min"}, "notify.channel.smtp.digest = '5min': only for admins"),
        (
            HOOK | {"digest": "999ms"},
            "notify.channel.webhook.digest = '999ms': Input should be greater than or equal to 1",
        ),
        (
            HOOK | {"digest": "25h"},
            "notify.channel.webhook.digest = '25h': Input should be less than or equal to 86400",
        ),
        (
            MAIL | {"types": ["ordr.*"]},
            "notify.channel.smtp.types = ['ordr.*']: ordr.* is no type of notifications for users",
        ),
        (
            MAIL | {"types": ["system.started"]},
            (
                "notify.channel.smtp.types = ['system.started']: "
                "system.started is no type of notifications for users"
            ),
        ),
        (
            MAIL | {"types": ["order created"]},
            (
                "notify.channel.smtp.types[0] = 'order created': "
                "String should match pattern '^[A-Za-z0-9_.*#-]+$'"
            ),
        ),
        (
            MAIL | {"types": []},
            (
                "notify.channel.smtp.types = []: "
                "Tuple should have at least 1 item after validation, not 0"
            ),
        ),
    ],
)
def test_a_wrong_key_is_named_with_its_channel(channel: dict[str, Any], problem: str) -> None:
    assert problems_of(channel) == [problem]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mail.example.com", "must start with smtp:// or smtps://"),
        ("smtp://", "names no host"),
        ("smtp://u:hunter2@mail:port", "host and port cannot be parsed; percent-encode / # ? @ :"),
        ("smtp://u:hunt/er2@mail", "host and port cannot be parsed; percent-encode / # ? @ :"),
        ("smtp://u:hunter2@mail/path", "must end behind host and port; percent-encode / # ?"),
        ("smtp://:hunter2@mail", "has a password and no user"),
        ("smtp://u:hunter2%FF@mail", "user and password must be UTF-8"),
        ("smtp://u:hunter2%00@mail", "user and password must not contain NUL"),
        ("smtp://u:hunter2@mail\n", "must not contain blanks or control characters"),
    ],
)
def test_a_wrong_url_of_a_mail_server_is_not_quoted(url: str, reason: str) -> None:
    (problem,) = problems_of(MAIL | {"url": url})

    assert problem.startswith(f"notify.channel.smtp.url: {reason}")
    assert "hunt" not in problem


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.com/hunter2", "must be https://, except for localhost, 127.0.0.0/8"),
        ("http://localhost.example.com/", "must be https://, except for localhost"),
        ("http://127.0.0.1.example.com/", "must be https://, except for localhost"),
        ("ftp://example.com/", "must start with https:// or http://"),
        ("https://u:hunter2@example.com/", "must have neither user nor fragment"),
        ("https://example.com/#hunter2", "must have neither user nor fragment"),
        ("https://example.com/hunter2 x", "must not contain blanks or control characters"),
        ("https://example.com/hunter2\r\nHost: b", "must not contain blanks or control"),
        ("https://example.com/hünter2", "must be ASCII"),
    ],
)
def test_a_wrong_url_of_a_web_server_is_not_quoted(url: str, reason: str) -> None:
    (problem,) = problems_of(HOOK | {"url": url})

    assert problem.startswith(f"notify.channel.webhook.url: {reason}")
    assert "nter2" not in problem


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080"])
def test_a_web_server_of_this_machine_needs_no_tls(host: str) -> None:
    settings_of(HOOK | {"url": f"http://{host}/hook"})


@pytest.mark.parametrize(
    ("channel", "secret", "reason"),
    [
        (MAIL, "hunter2", "its url names no user (smtp://USER@HOST), so there is no login"),
        (MAIL | {"url": "smtp://u:p@h"}, "hunter2", "its url has a password already"),
        (MAIL | {"url": "smtp://u@h"}, "hunter2\nhunter3", "must be one line"),
        (HOOK, "hunter2", "must be whsec_ and 24 to 64 bytes in Base64"),
        (HOOK, "whsec_hunter2", "must be whsec_ and 24 to 64 bytes in Base64"),
        (HOOK, f"{SECRET} whsec_aGk=", "must be whsec_ and 24 to 64 bytes in Base64"),
        ({"kind": "log", "for": "users"}, "hunter2", "a channel of kind log has no credential"),
    ],
)
def test_a_credential_that_its_channel_cannot_use_is_refused_and_not_quoted(
    tmp_path: Path, channel: dict[str, Any], secret: str, reason: str
) -> None:
    (tmp_path / "notify_a").write_text(secret)

    (problem,) = problems_of(channel | {"name": "a"}, secrets=tmp_path)

    assert problem == f"notify.credentials.a (credential {tmp_path}/notify_a): {reason}"


def test_a_credential_of_no_channel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notify_chta").write_text(SECRET)

    (problem,) = problems_of(HOOK | {"name": "chat"}, secrets=tmp_path)

    assert problem.endswith("/notify_chta): no channel has this name; there are chat")


def test_two_channels_of_one_name_are_refused() -> None:
    (problem,) = problems_of(HOOK | {"name": "a"}, MAIL | {"name": "a"})

    assert problem == "notify.channel: two channels have the name a"


def test_what_is_no_list_of_channels_is_refused_without_showing_it() -> None:
    assert problems_of(ORDERD_NOTIFY__CHANNEL='[{"url": "smtp://u:hunter2@h"') == [
        "notify.channel: is not valid JSON"
    ]
    assert problems_of(ORDERD_NOTIFY='{"chanel": "hunter2"}') == [
        "notify.chanel (environment variable ORDERD_NOTIFY): unknown setting; did you mean channel?"
    ]


def test_no_secret_is_shown() -> None:
    mail = MAIL | {"url": "smtp://u:hunter2@mail:587"}
    settings = settings_of(mail, HOOK | {"url": "https://example.com/hunter2"})

    rows = {row.key: row.value for row in describe(settings, {})}

    assert rows["notify.channel.smtp"] == (
        "kind smtp; for users; types *; url smtp://u:***@mail:587; starttls true; "
        "from shop@example.com"
    )
    assert rows["notify.channel.webhook"] == (
        "kind webhook; for admins; types *; url https://example.com/***"
    )
    assert "hunter2" not in repr(settings)


def test_a_password_in_clear_is_doubted_beyond_this_machine_only() -> None:
    clear = MAIL | {"starttls": False}
    settings = settings_of(
        clear | {"name": "away", "url": "smtp://u:hunter2@mail"},
        clear | {"name": "here", "url": "smtp://u:hunter2@127.0.0.1"},
        clear | {"name": "no-login"},
        clear | {"name": "tls", "url": "smtps://u:hunter2@mail"},
        MAIL | {"name": "starttls", "url": "smtp://u:hunter2@mail"},
    )

    assert doubts(settings.notify) == [
        "notify.channel.away: password in clear to mail (starttls = false)"
    ]


def test_channels_change_at_a_reload() -> None:
    outcome = reload_settings(settings_of(MAIL), settings_of(HOOK))

    assert outcome.changed == ("notify",)
    assert [each.name for each in outcome.settings.notify.channel] == ["webhook"]


@pytest.mark.parametrize(
    ("pattern", "taken"),
    [
        ("*", True),
        ("#", True),
        ("system.*", True),
        ("system.#", True),
        ("*.dead_lettered", True),
        ("system.dead_lettered", True),
        ("system.paused", False),
        ("product.*", False),
    ],
)
def test_a_channel_takes_the_types_that_its_patterns_fit(pattern: str, *, taken: bool) -> None:
    (channel,) = settings_of(HOOK | {"types": pattern}).notify.channel

    assert channel.takes("system.dead_lettered") is taken


@pytest.mark.parametrize("pattern", ["admin.*", "admin.backup.failed", "a*", "admin.backup.*"])
def test_types_of_other_services_may_be_named(pattern: str) -> None:
    settings_of(HOOK | {"types": [pattern]})


def test_the_types_are_those_of_the_registry() -> None:
    known = {str(event) for entity in SHOP.entities for event in entity.events}
    refusals = {refusal_event(entity.queue) for entity in SHOP.entities}

    assert set(TYPES[Audience.USERS]) <= known
    assert refusals < set(TYPES[Audience.ADMINS])
    assert set(OPEN_PREFIXES) == set(TYPES) == set(Audience)


def test_the_secrets_of_a_webhook_are_decoded() -> None:
    assert signing_keys(f"{SECRET}\n{SECRET}") == (KEY, KEY)


def test_every_key_of_a_channel_is_described() -> None:
    rows = channel_reference()

    for kind, model in MODELS.items():
        described = {row.key for row in rows if kind in row.kinds}
        assert described == set(channel_keys(model)) - {"kind"}
    assert [row.kinds for row in rows if row.key == "url"] == [("smtp",), ("webhook",)]
    assert [row.default for row in rows if row.key == "starttls"] == ["true"]


def test_orderd_notify_takes_small_batches_whatever_orderd_takes() -> None:
    large = {"ORDERD_BATCH_MAX": "500", "ORDERD_PREFETCH": "2000"}
    small = {"ORDERD_BATCH_MAX": "3", "ORDERD_PREFETCH": "4"}

    found = [loaded(tenant=NOTIFY, **each) for each in ({}, large, small)]

    assert [(each.batch_max, each.prefetch_count) for each in found] == [(10, 20), (10, 20), (3, 4)]


def test_orderd_notify_needs_no_tokens() -> None:
    assert loaded(tenant=NOTIFY, ORDERD_AUTHORIZATION="tokens").batch_max == 10
    with pytest.raises(ConfigError, match="authorization"):
        loaded(ORDERD_AUTHORIZATION="tokens")


def test_the_daemons_of_one_host_have_different_names() -> None:
    assert loaded(tenant=NOTIFY).instance_name == f"{loaded().instance_name}-notify"
