"""A producer: commands for the daemon, and its replies."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final

from orderd import __version__
from orderd.amqp.endpoint import BrokerEndpoint
from orderd.amqp.faults import (
    ACCESS_REFUSED,
    BrokerFault,
    BrokerRefused,
    ChannelFault,
    NoReply,
    NotRouted,
    Unpublishable,
)
from orderd.amqp.inspection import Needed, is_former
from orderd.amqp.message import Properties
from orderd.amqp.rpc import RpcClient
from orderd.amqp.topology import QueueDepth
from orderd.ctl.errors import AccessRefused, Failure, Misconfigured, Unavailable, WrongUsage
from orderd.ctl.interrupts import interruptible
from orderd.logs.logger import silence_libraries
from orderd.protocol.names import Queue
from orderd.protocol.strict_json import MalformedJson, dumps, loads
from orderd.protocol.values import value
from orderd.runtime.config_errors import ConfigError

if TYPE_CHECKING:
    from orderd.amqp.connection import Connection
    from orderd.config.settings import Settings

_CONTENT_TYPE: Final = "application/json"
_PERSISTENT: Final = 2
_SHORT_STRING_BYTES_MAX: Final = 255


@value
class Request:
    """A message for the daemon, whether it will take it for a command or not."""

    queue: str
    action: str
    content: Mapping[str, Any] = field(default_factory=dict)
    request_id: str | None = None
    version: str | None = None
    token: str | None = field(default=None, repr=False)

    def body(self) -> bytes:
        """Return the envelope as JSON."""
        envelope = {
            "id": self.request_id,
            "action": self.action,
            "version": self.version,
            "data": self.content,
            "auth": self.token,
        }
        return dumps({k: v for k, v in envelope.items() if v is not None}).encode()


@value
class Reply:
    """What the daemon answered; `document` is all of it."""

    document: Mapping[str, Any]

    @property
    def error(self) -> str | None:
        """Return `code: message`, None when all went well."""
        if self.document.get("status") == "ok":
            return None
        return f"{self.document.get('code')}: {self.document.get('error')}"

    def content(self) -> Any:
        """Return the answer's `data`; raises Failure with the error where there is one."""
        if self.error is not None:
            raise Failure(self.error)
        return self.document.get("data")


class NoAnswer(Failure):
    """No reply arrived: the outcome of the request is unknown."""


class Client:
    """Publishes requests on an open connection; its faults are failures of the command."""

    def __init__(self, rpc: RpcClient) -> None:
        self._rpc = rpc

    @property
    def where(self) -> str:
        """Return the broker's host, port and virtual host."""
        return self._rpc.connection.where

    @property
    def connection(self) -> "Connection":
        """Return the connection, to look at queues by."""
        return self._rpc.connection

    def publish(self, request: Request) -> None:
        """Publish *request*, persistent, and return once the broker has it."""
        with self._failures(request.queue):
            self._rpc.publish(request.queue, request.body(), _properties(request))

    def call(self, request: Request, timeout_s: float) -> Reply:
        """Publish *request*, persistent, and return the reply; raises NoAnswer after the time."""
        return self._call(request, _properties(request), timeout_s)

    def ask(self, request: Request, timeout_s: float) -> Any:
        """Publish a query, and return the `data` of the answer; raises Failure for an error.

        The broker drops the query once the caller no longer waits.
        """
        expiration_ms = max(1, round(timeout_s * 1000))
        properties = Properties(content_type=_CONTENT_TYPE, expiration=str(expiration_ms))
        return self._call(request, properties, timeout_s).content()

    def queue_depth(self, queue: str) -> QueueDepth | None:
        """Return what *queue* holds, None when there is no such queue."""
        with self._failures(queue):
            return self._rpc.queue_depth(queue)

    def is_former(self, wanted: Needed) -> bool:
        """Return whether a retry queue that exists may lose messages; False where it is hidden."""
        with self._failures(wanted.name):
            try:
                return is_former(self._rpc.connection, wanted)
            except ChannelFault as fault:
                if fault.code != ACCESS_REFUSED:
                    raise
                return False

    def _call(self, request: Request, properties: Properties, timeout_s: float) -> Reply:
        with self._failures(request.queue):
            try:
                body = self._rpc.call(request.queue, request.body(), properties, timeout_s)
            except NoReply:
                raise NoAnswer(
                    f"{self.where}: no reply from queue {request.queue} in {timeout_s:g} s; "
                    "orderctl status shows whether a daemon runs and whether the queue is paused"
                ) from None
        try:
            document = loads(body)
        except MalformedJson as error:
            raise NoAnswer(f"the reply is not valid JSON: {error}") from error
        if not isinstance(document, dict):
            raise NoAnswer("the reply is not a JSON object")
        return Reply(document)

    @contextmanager
    def _failures(self, queue: str) -> Iterator[None]:
        try:
            yield
        except NotRouted as fault:
            raise Failure(
                f"{self.where}: no queue {queue}; orderd's are {', '.join(Queue)}, and it "
                "creates them when it first connects"
            ) from fault
        except Unpublishable as fault:
            raise WrongUsage(str(fault)) from fault
        except BrokerFault as fault:
            raise Unavailable(f"broker: {fault}") from fault


@contextmanager
def client_of(settings: "Settings") -> Iterator[Client]:
    """Give a client that is connected; raises Unavailable or Misconfigured."""
    silence_libraries()
    with closing(RpcClient(endpoint_of(settings))) as rpc, interruptible(rpc.connection):
        try:
            rpc.connect()
        except BrokerRefused as fault:
            raise AccessRefused(f"broker: {fault}") from fault
        except BrokerFault as fault:
            raise Unavailable(f"broker: {fault}") from fault
        yield Client(rpc)


def endpoint_of(settings: "Settings") -> BrokerEndpoint:
    """Return where the broker is; raises Misconfigured for a URL or file that cannot be used."""
    # Loaded here, because the settings' models take longer than all the rest.
    from orderd.config.broker_tls import broker_tls  # noqa: PLC0415

    try:
        return BrokerEndpoint(
            urls=tuple(url.get_secret_value() for url in settings.rabbitmq_url),
            connection_name=f"orderctl {__version__} {settings.instance_name} {os.getpid()}",
            tls=broker_tls(settings),
            heartbeat_s=int(settings.heartbeat),
        )
    except ConfigError as error:
        problems = [f"configuration: {problem}" for problem in error.problems]
        raise Misconfigured("\n".join(problems)) from error
    except ValueError as error:
        raise Misconfigured(f"configuration: rabbitmq_url: {error}") from error


def _properties(request: Request) -> Properties:
    request_id = request.request_id
    if request_id is not None and len(request_id.encode()) > _SHORT_STRING_BYTES_MAX:
        # It stands in the body; as a property it would be too long.
        request_id = None
    return Properties(
        content_type=_CONTENT_TYPE,
        delivery_mode=_PERSISTENT,
        message_id=request_id,
        correlation_id=request_id,
        timestamp=int(time.time()),
        app_id="orderctl",
    )
