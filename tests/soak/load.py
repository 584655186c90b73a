"""A producer that does not rest: publishes with confirms, and keeps a record of them."""

import threading
import time
from collections import Counter
from contextlib import closing
from typing import Any, Protocol

import pika
from pika.exceptions import AMQPError, NackError, UnroutableError

from tests.acceptance.shop import parameters
from tests.soak.workload import Request

PATIENCE_S = 0.1
STOP_TIMEOUT_S = 30
CONNECT_TIMEOUT_S = 5


class Source(Protocol):
    """What makes requests."""

    def next(self) -> Request:
        """Return the next one."""
        ...


class Load:
    """Publishes the requests of a workload from a thread, *rate* a second at most.

    A publish that was not confirmed is repeated, as good producers do, until it is.
    """

    def __init__(self, url: str, workload: Source, rate: float) -> None:
        self._parameters = parameters(url)
        for one in self._parameters:
            one.heartbeat = 0
            one.socket_timeout = CONNECT_TIMEOUT_S
            one.stack_timeout = CONNECT_TIMEOUT_S
        self._workload = workload
        self._interval_s = 1 / rate
        self._pending: Request | None = None
        self._given_up = False
        self._stopping = threading.Event()
        self._going = threading.Event()
        self._at_rest = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.requests: dict[str, Request] = {}
        self.confirmed: Counter[str] = Counter()

    def start(self) -> None:
        self._going.set()
        self._thread.start()

    def pause(self) -> None:
        """Return once nothing is being sent; what was sent is confirmed."""
        self._going.clear()
        assert self._at_rest.wait(STOP_TIMEOUT_S), "the load does not come to rest"

    def resume(self) -> None:
        self._at_rest.clear()
        self._going.set()

    def stop(self) -> None:
        """Return once everything that was sent is confirmed."""
        self._stopping.set()
        self._going.set()
        self._thread.join(STOP_TIMEOUT_S)
        assert not self._thread.is_alive(), "the load does not end"

    def give_up(self) -> None:
        """End, whatever is confirmed or not."""
        self._given_up = True
        self._stopping.set()
        self._going.set()

    def _run(self) -> None:
        while not self._is_over():
            try:
                with closing(pika.BlockingConnection(self._parameters)) as connection:
                    channel = connection.channel()
                    channel.confirm_delivery()
                    self._publish_until_stopped(channel)
            except (AMQPError, OSError):
                # The broker is away: again and again until it is back.
                self._stopping.wait(PATIENCE_S)

    def _publish_until_stopped(self, channel: Any) -> None:
        next_s = time.monotonic()
        while not self._is_over():
            if self._pending is None and not self._going.is_set():
                self._at_rest.set()
                self._going.wait()
                next_s = time.monotonic()
                continue
            request = self._pending = self._pending or self._workload.next()
            self._publish(channel, request)
            next_s = max(next_s + self._interval_s, time.monotonic() - 1)
            self._stopping.wait(max(0.0, next_s - time.monotonic()))

    def _publish(self, channel: Any, request: Request) -> None:
        message = request.message
        self.requests[request.token] = request
        try:
            channel.basic_publish(
                "", message.queue, message.body, message.properties, mandatory=True
            )
        except (UnroutableError, NackError):
            # The queue is gone for the moment: not taken, so not lost either.
            self._stopping.wait(PATIENCE_S)
            return
        self.confirmed[request.token] += 1
        self._pending = None

    def _is_over(self) -> bool:
        return self._given_up or (self._stopping.is_set() and self._pending is None)
