"""An example configuration file: every setting with its default, commented out."""

import json
import textwrap
from typing import Any, Final

from pydantic import SecretStr

from orderd.config.reference import ReferenceRow, reference, shown
from orderd.config.settings import Settings
from orderd.runtime.paths import CONFIG_FILE, TEMPLATES_DIRECTORY

_WIDTH: Final = 98
_HEAD: Final = f"""\
# Configuration of orderd, for {CONFIG_FILE}.
# The values below are the defaults, or examples where there is no default; remove the first # of a
# line to set it. The environment and credentials override this file. Keep passwords in credentials
# (database_url, rabbitmq_url, notify_NAME) rather than here. Settings marked [restart] take effect
# after a restart, all others after a reload too.
"""
_TOKENS: Final = """\
#[tokens.shop]
#sha256 = "fece50d2287f7245aea5819b75f95ee8bec295a14f8ef1e7a31f17f1dae9df44"
#allow = ["order.create", "product.*"]"""
_JWT: Final = """\
#[jwt]
#keys = "/etc/orderd/jwks.json"
#issuer = "https://login.example.com/"
#audience = "orderd"
#algorithms = ["EdDSA", "ES256", "RS256"]
#leeway = "30s\""""
_NOTIFY: Final = f"""\
#[notify]
#templates = "{TEMPLATES_DIRECTORY}"
#
#[[notify.channel]]
#kind = "smtp"
#for = "users"
#url = "smtp://orders@mail.example.com:587"
#from = "Shop <orders@example.com>"
#
#[[notify.channel]]
#kind = "smtp"
#name = "operators"
#for = "admins"
#types = ["system.*", "*.refused"]
#digest = "5min"
#url = "smtp://orders@mail.example.com:587"
#from = "orders@example.com"
#to = ["ops@example.com"]
#
#[[notify.channel]]
#kind = "webhook"
#for = "admins"
#url = "https://chat.example.com/hooks/orderd"
#types = ["system.*"]"""
# Tables, which have a form of their own.
_TABLES: Final = {"jwt": _JWT, "tokens": _TOKENS, "notify": _NOTIFY}


def config_example() -> str:
    """Return the file as text."""
    return "\n".join([_HEAD, *(_entry(row) for row in reference())])


def _entry(row: ReferenceRow) -> str:
    remark = "" if row.reloadable else " [restart]"
    lines = textwrap.wrap(f"{row.description}{remark}", _WIDTH - 2)
    assignment = _TABLES.get(row.key) or f"#{row.key} = {_toml(_default(row.key))}"
    return "\n".join([*(f"# {line}" for line in lines), assignment, ""])


def _default(key: str) -> Any:
    """Return the default, or an example where it differs from machine to machine."""
    field = Settings.model_fields[key]
    return field.default if field.default_factory is None else (field.examples or [""])[0]


def _toml(value: Any) -> str:
    match value:
        case bool():
            text = "true" if value else "false"
        case int():
            text = str(value)
        case float():
            text = json.dumps(shown(value))
        case SecretStr():
            text = json.dumps(value.get_secret_value())
        case tuple():
            text = f"[{', '.join(map(_toml, value))}]"
        case _:
            text = json.dumps(value)
    return text
