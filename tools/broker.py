"""A RabbitMQ server, whoever runs it: virtual hosts, URLs and rabbitmqadmin."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from urllib.parse import quote, urlsplit, urlunsplit

import pika
from pika.exceptions import ChannelClosedByBroker

from tools.management import Management

ADMIN_TIMEOUT_S = 60
QUEUES = ("product", "order", "user")
QUEUE_SUFFIXES = ("", ".dlq", ".retry.5s", ".retry.30s", ".retry.5min")
EXCHANGE = "orderd.events"


class ServerRefused(RuntimeError):
    """A server that was given to us cannot be used; the text is one line that says why."""


class RabbitServer:
    """A server at an AMQP URL, with or without a management API."""

    def __init__(self, base_url: str, management: Management | None) -> None:
        self._base_url = base_url
        self.management = management

    def url(self, vhost: str | None = None) -> str:
        """Return the AMQP URL of a virtual host; None: the one of the server's own URL."""
        if vhost is None:
            return self._base_url
        return urlunsplit(urlsplit(self._base_url)._replace(path=f"/{quote(vhost, safe='')}"))

    def has_management(self) -> bool:
        """Return whether the management API answers now."""
        return self.management is not None and self.management.is_reachable()

    def require_management(self) -> Management:
        """Return the management API; ServerRefused when the server has none."""
        if self.management is None:
            raise ServerRefused("this needs the management API: set RABBITMQ_MANAGEMENT_URL")
        return self.management

    def add_vhost(self, name: str) -> str:
        """Create a virtual host and return its URL.

        Without a management API it is the vhost of the server's own URL, and ServerRefused when a
        queue of orderd exists there: it may be somebody's.
        """
        if self.management is not None:
            self.management.add_vhost(name)
            return self.url(name)
        existing = existing_queues(self._base_url)
        if existing:
            raise ServerRefused(
                f"the queue {next(iter(existing))!r} exists on the server of RABBITMQ_URL: set "
                "RABBITMQ_MANAGEMENT_URL, so that a virtual host of our own can be made"
            )
        return self._base_url

    def delete_vhost(self, name: str) -> None:
        """Delete what `add_vhost` made: the virtual host, or orderd's queues on the shared one."""
        if self.management is not None:
            self.management.delete_vhost(name)
        else:
            delete_queues(self._base_url)

    def rabbitmqadmin(self, *args: str, vhost: str = "/") -> str:
        """Return what the real `rabbitmqadmin ARGS` prints; RuntimeError when it fails."""
        return self._rabbitmqadmin(*self.admin_options(), f"--vhost={vhost}", *args)

    def publish_by_rabbitmqadmin(
        self, vhost: str, queue: str, payload: str, properties: Mapping[str, str]
    ) -> None:
        """Publish a message to a queue with the real rabbitmqadmin, of either generation."""
        written = json.dumps(dict(properties))
        if self.has_rabbitmqadmin_2():
            to = ("publish", "message", f"--routing-key={queue}")
            self.rabbitmqadmin(*to, f"--payload={payload}", f"--properties={written}", vhost=vhost)
        else:
            to = ("publish", "exchange=amq.default", f"routing_key={queue}")
            self.rabbitmqadmin(*to, f"payload={payload}", f"properties={written}", vhost=vhost)

    def has_rabbitmqadmin_2(self) -> bool:
        """Return whether rabbitmqadmin is version 2, whose command line differs."""
        return "<COMMAND>" in self._rabbitmqadmin("--help")

    def _rabbitmqadmin(self, *args: str) -> str:
        done = subprocess.run(
            [*self.rabbitmqadmin_command(), *args],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ADMIN_TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"rabbitmqadmin {' '.join(args)}: {done.stdout}{done.stderr}")
        return done.stdout

    def rabbitmqadmin_command(self) -> list[str]:
        """Return how to call rabbitmqadmin; ServerRefused when it is not installed."""
        found = shutil.which("rabbitmqadmin")
        if found is None:
            raise ServerRefused("rabbitmqadmin is not installed here")
        return [found]

    def admin_options(self) -> list[str]:
        """Return the options that lead rabbitmqadmin to this server."""
        management = self.require_management()
        return [
            f"--host={management.host}",
            f"--port={management.port}",
            f"--username={management.user}",
            f"--password={management.password}",
        ]


def existing_queues(url: str) -> dict[str, tuple[int, int]]:
    """Return the queues of orderd that exist there: name to (ready messages, consumers)."""
    found = {}
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        for queue in QUEUES:
            for suffix in QUEUE_SUFFIXES:
                channel = connection.channel()  # an absent queue closes its channel
                try:
                    frame = channel.queue_declare(queue + suffix, passive=True)
                except ChannelClosedByBroker:
                    continue
                found[queue + suffix] = (frame.method.message_count, frame.method.consumer_count)
                channel.close()
    return found


def delete_queues(url: str) -> None:
    """Delete orderd's queues and its exchange; those that do not exist are fine."""
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        for queue in QUEUES:
            for suffix in QUEUE_SUFFIXES:
                channel.queue_delete(queue + suffix)
        channel.exchange_delete(EXCHANGE)
