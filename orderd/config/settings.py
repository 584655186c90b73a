"""The settings of the daemon and of orderctl: names, types, limits, defaults, meanings."""

import os
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from orderd.config.jwt import JwtSettings
from orderd.config.layers import LayeredSettings
from orderd.config.notify import NotifySettings
from orderd.config.tokens import Token
from orderd.config.types import (
    EXCLUSIVE,
    SHARED,
    AmqpUrls,
    DatabaseUrl,
    FilePath,
    Listed,
    Lowered,
    Mapped,
    Modes,
    QueuePattern,
    Seconds,
    WholeNumber,
)
from orderd.protocol.names import Queue
from orderd.protocol.values import value
from orderd.runtime.health_file import path_to_write
from orderd.runtime.paths import metrics_path

_PREFETCH_MAX = 65_535
_MIB = 1 << 20
# What the unit's MemoryHigh= allows: as JSON in memory, a body is up to fifty times as large.
_BODY_BYTES_LIMIT = 3 * _MIB // 2
_DAY_S = 86_400.0


@value
class Mark:
    """What a setting is besides its value."""

    name: str


RELOADABLE = Mark("reloadable")
SECRET = Mark("secret")

_Delay = Annotated[Seconds, Field(ge=0.1, le=86_400)]


class Settings(LayeredSettings):
    """Every setting; durations are in seconds. Made by `config.load`, immutable afterwards."""

    database_url: Annotated[DatabaseUrl, SECRET] = Field(
        default=SecretStr("postgresql:///orderd"),
        description="PostgreSQL: a libpq URL or keyword string; several hosts are tried in turn",
    )
    rabbitmq_url: Annotated[AmqpUrls, SECRET] = Field(
        default=(SecretStr("amqp://guest:guest@localhost:5672/%2F"),),
        min_length=1,
        max_length=20,
        description="RabbitMQ: an amqp:// or amqps:// URL, or several, which are tried in turn",
    )
    rabbitmq_ca_file: FilePath = Field(
        default="",
        description="certification authorities in PEM that sign RabbitMQ's certificate (amqps://), "
        "or the credential of this name; default: those of the system",
    )
    rabbitmq_cert_file: FilePath = Field(
        default="",
        description="client certificate for RabbitMQ in PEM, with its chain, or the credential of "
        "this name; default: none",
    )
    rabbitmq_key_file: Annotated[FilePath, SECRET] = Field(
        default="",
        description="private key of rabbitmq_cert_file in PEM, without a passphrase, or the "
        "credential of this name",
    )
    batch_max: Annotated[WholeNumber, RELOADABLE] = Field(
        default=200, ge=1, le=1_000, description="maximum commands per transaction, 1 to 1000"
    )
    prefetch: Annotated[WholeNumber, RELOADABLE] = Field(
        default=0,
        ge=0,
        le=_PREFETCH_MAX,
        description="maximum unacknowledged messages per queue, up to 65535; 0 is twice batch_max",
    )
    retry_delays: Annotated[tuple[_Delay, ...], Listed, RELOADABLE] = Field(
        default=(5.0, 30.0, 300.0),
        min_length=1,
        max_length=10,
        description="delay before each retry: 1 to 10 distinct durations of 100ms to 24h",
    )
    body_bytes_max: Annotated[WholeNumber, RELOADABLE] = Field(
        default=_MIB,
        ge=1_024,
        le=_BODY_BYTES_LIMIT,
        description="maximum message body in bytes, 1024 to 1572864; a larger one is "
        "rejected as too_large",
    )
    reply_bytes_max: Annotated[WholeNumber, RELOADABLE] = Field(
        default=_MIB,
        ge=_MIB // 16,
        le=4 * _MIB,
        description="maximum reply to a query in bytes, 65536 to 4194304: pages end earlier, and a "
        "larger row is reply_too_large",
    )
    reply_queues: Annotated[tuple[QueuePattern, ...], Listed, RELOADABLE] = Field(
        default=("*",),
        max_length=100,
        description="names of queues to which replies may be sent, with * for any text; direct "
        "reply-to is always allowed, a queue of orderd never",
    )
    shutdown_timeout: Annotated[Seconds, RELOADABLE] = Field(
        default=30.0,
        ge=1,
        le=3_600,
        description="maximum duration of the drain after SIGTERM, 1s to 1h",
    )
    queue_type: Literal["", "classic", "quorum"] = Field(
        default="",
        description="type of the queues that orderd creates: classic, quorum, or empty for the "
        "virtual host's default",
    )
    consume: Modes = Field(
        default=SHARED,
        description="shared: any number of daemons consume a queue; exclusive: one at a time, in "
        "the order sent, while the others stand by; for all queues, or a table of some by name",
    )
    log_level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"], Lowered, RELOADABLE
    ] = Field(
        default="info", description="minimum log level: debug, info, warning, error, critical"
    )
    log_format: Annotated[Literal["json", "text", "journal"], Lowered, RELOADABLE] = Field(
        default="json",
        description="json: one object per line; text: human-readable; journal: entries of "
        "systemd's journal, with fields",
    )
    log_priority_prefix: Annotated[Literal["auto", "always", "never"], Lowered, RELOADABLE] = Field(
        default="auto",
        description="syslog priority before each line, as <6>; auto: when stdout is the journal",
    )
    events_source: Annotated[str, RELOADABLE] = Field(
        default="orderd",
        min_length=1,
        max_length=255,
        pattern=r"^[!-~]+$",
        description="`source` of the events: a URI reference",
    )
    outbox_grace: Annotated[Seconds, RELOADABLE] = Field(
        default=5.0,
        ge=0.1,
        le=3_600,
        description="age at which another daemon's unsent event is taken over, 100ms to 1h",
    )
    instance_name: str = Field(
        default_factory=lambda: os.uname().nodename,
        min_length=1,
        max_length=64,
        pattern=r"^[!-~]+$",
        examples=["orderd-1"],
        description="name of this daemon on its connections and in its reports; default: host name",
    )
    heartbeat: Seconds = Field(
        default=20.0,
        ge=10,
        le=600,
        multiple_of=1,
        description="requested AMQP heartbeat, 10s to 10min, whole seconds",
    )
    poison_after: Annotated[WholeNumber, RELOADABLE] = Field(
        default=3,
        ge=2,
        le=100,
        description="number of crashes during the same message after which it is dead-lettered",
    )
    trip_after: Annotated[WholeNumber, RELOADABLE] = Field(
        default=5,
        ge=0,
        le=1_000,
        description="number of different messages of one action that fail as `unexpected` one "
        "after the other before their queue is paused; 0: never",
    )
    give_back_after: Annotated[Seconds, RELOADABLE] = Field(
        default=30.0,
        ge=1,
        le=1_500,
        description="database outage after which unacked messages are returned to the broker, "
        "1s to 25min",
    )
    lock_patience: Annotated[Seconds, RELOADABLE] = Field(
        default=_DAY_S,
        ge=1,
        le=30 * _DAY_S,
        description="maximum time that a command waits for a lock of another session before it is "
        "dead-lettered, 1s to 30d",
    )
    wait_for_servers: bool = Field(
        default=True,
        description="wait for servers that cannot be reached at start; false: exit with 69",
    )
    ledger_retention: Annotated[Seconds, RELOADABLE] = Field(
        default=90 * _DAY_S,
        ge=_DAY_S,
        le=36_500 * _DAY_S,
        description="minimum retention of requests and notifications: `orderctl prune` deletes "
        "older ones, 1d to 36500d",
    )
    health_file: FilePath = Field(
        default_factory=lambda: path_to_write(os.environ),
        examples=["/run/orderd/health"],
        description="file for `orderctl health`, best on a tmpfs; default: `health` in "
        "$RUNTIME_DIRECTORY, else in /run/orderd if that can be written; empty: none",
    )
    metrics_file: FilePath = Field(
        default_factory=lambda: metrics_path(os.environ),
        examples=["/var/lib/prometheus/node-exporter/orderd.prom"],
        description="file for metrics in Prometheus' text format, written every 10 s; default: "
        "`metrics.prom` in $RUNTIME_DIRECTORY; empty: none",
    )
    watchdog: Annotated[Seconds, RELOADABLE] = Field(
        default=30.0,
        ge=0,
        le=3_600,
        description="watchdog interval if the service manager passes none (podman); 0: none",
    )
    authorization: Annotated[Literal["", "none", "tokens", "jwt"], Lowered, RELOADABLE] = Field(
        default="",
        description="none: every command is allowed; tokens: only commands that a token allows; "
        "jwt: only commands that the scope of a JWT allows; empty: by the tokens and JWTs that are "
        "configured, else none",
    )
    # The last ones: in the file, nothing but tables can stand behind them.
    jwt: Annotated[JwtSettings | None, Mapped, SECRET, RELOADABLE] = Field(
        default_factory=lambda: None,
        description="JSON Web Tokens: `keys`, the path of a JWKS or PEM file (or the credential "
        "jwt_keys), `issuer`, `audience`, `algorithms`, `leeway`",
    )
    tokens: Annotated[Mapping[str, Token], Mapped, SECRET, RELOADABLE] = Field(
        default_factory=dict,
        max_length=1_000,
        description="name → `sha256` of a bearer token (hex) and `allow`, a list such as "
        '["product.*", "order.create"] or ["*"]',
    )
    notify: Annotated[NotifySettings, Mapped, SECRET, RELOADABLE] = Field(
        default_factory=NotifySettings,
        description="notifications: `channel`, a list of tables, and `templates`, the directory of "
        "texts that replace those of the package",
    )

    @property
    def authorization_mode(self) -> Literal["none", "tokens", "jwt"]:
        """How commands are authorized: as set, or by what is configured."""
        found: Literal["tokens", "none"] = "tokens" if self.tokens else "none"
        return self.authorization or (found if self.jwt is None else "jwt")

    @property
    def takes_tokens(self) -> bool:
        """Whether the configured tokens are accepted."""
        return bool(self.tokens) and self.authorization in {"", "tokens"}

    @property
    def takes_jwt(self) -> bool:
        """Whether JSON Web Tokens are accepted."""
        return self.jwt is not None and self.authorization in {"", "jwt"}

    @property
    def exclusive_queues(self) -> frozenset[Queue]:
        """The queues from which one daemon at a time takes."""
        modes = self.consume
        by_queue = dict.fromkeys(Queue, modes) if isinstance(modes, str) else modes
        return frozenset(Queue(queue) for queue, mode in by_queue.items() if mode == EXCLUSIVE)

    @property
    def prefetch_count(self) -> int:
        """The prefetch to ask the broker for: as set, or twice the largest batch."""
        return self.prefetch or min(2 * self.batch_max, _PREFETCH_MAX)

    @field_validator("retry_delays")
    @classmethod
    def _delays_differ(cls, delays: tuple[float, ...]) -> tuple[float, ...]:
        # The retry queue is named after its delay, so two equal steps would be one queue.
        if len(set(delays)) < len(delays):
            raise ValueError("must be different from each other")
        return delays

    @field_validator("tokens")
    @classmethod
    def _tokens_differ(cls, tokens: Mapping[str, Token]) -> Mapping[str, Token]:
        if len({token.sha256 for token in tokens.values()}) < len(tokens):
            raise ValueError("two tokens have the same sha256")
        return tokens


def has_mark(key: str, mark: Mark) -> bool:
    """Return whether the setting bears the mark; an unknown key bears none."""
    field = Settings.model_fields.get(key)
    return field is not None and mark in field.metadata
