"""Decoding: each delivery becomes a request, or the result that it is invalid."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from time import perf_counter
from typing import Final

from orderd.amqp.message import Delivery
from orderd.amqp.renewal import is_expired
from orderd.pipeline.deferrals import Deferrals
from orderd.pipeline.measures import Measures
from orderd.pipeline.policy import Policy
from orderd.pipeline.quarantine import was_tried
from orderd.pipeline.receipts import Receipts
from orderd.pipeline.requests import Request
from orderd.pipeline.results import Result, attempt_of
from orderd.protocol.amqp10 import TYPE_ENCODED, message_id_of
from orderd.protocol.envelope import Command, Invalid, decode
from orderd.protocol.metrics import BatchPhase
from orderd.runtime.crash_points import reach
from orderd.shop.authorize import Arrival, authorize
from orderd.shop.decide import response_to
from orderd.shop.registry import SHOP

# It takes up to two seconds to read a mebibyte of hostile JSON.
_KEEP_ALIVE_AFTER_BYTES: Final = 100_000
# A slice of what is decoded ahead: about a millisecond, so that PostgreSQL does not wait for it.
_SLICE: Final = 25
_SLICE_BYTES_MAX: Final = 20_000


class Decoder:
    """Reads deliveries as *policy* says."""

    def __init__(
        self,
        policy: Policy,
        deferrals: Deferrals,
        receipts: Receipts,
        *,
        measures: Measures,
        now_s: Callable[[], float],
        keep_alive: Callable[[], None],
    ) -> None:
        """Tell by *now_s* what has expired; *deferrals* knows commands without an id again.

        By *receipts* it is known when a message that was copied first came.
        """
        self._policy = policy
        self._receipts = receipts
        self._deferrals = deferrals
        self._measures = measures
        self._now_s = now_s
        self._keep_alive = keep_alive
        # What the next batch will bring, by tag; how many deliveries were looked at for it.
        self._ahead: dict[int, Command | Invalid] = {}
        self._looked_at = 0
        self._ahead_s = 0.0

    def decode_ahead(self, deliveries: Iterable[Delivery]) -> bool:
        """Decode a slice of *deliveries*, those of the next batch; return whether it was one.

        Not those that were tried before, whose tries are not on record yet, nor big ones.
        """
        begun_s = perf_counter()
        found = list(islice(deliveries, self._looked_at, self._looked_at + _SLICE))
        self._looked_at += len(found)
        left = _SLICE_BYTES_MAX
        for delivery in found:
            left -= len(delivery.body)
            if left < 0:
                break
            if not was_tried(delivery):
                self._ahead[delivery.tag] = self._read(delivery)
        self._ahead_s += perf_counter() - begun_s
        return bool(found)

    def forget_ahead(self) -> None:
        """Forget what was decoded ahead: what counts then has changed."""
        self._ahead.clear()
        self._looked_at = 0
        self._ahead_s = 0.0

    def decode(self, deliveries: Sequence[Delivery]) -> tuple[list[Request], list[Result]]:
        """Return the requests among *deliveries*, and the results of those that are invalid."""
        watch = self._measures.stopwatch(self._ahead_s)
        requests: list[Request] = []
        invalid: list[Result] = []
        read_bytes = 0
        for delivery in deliveries:
            if read_bytes > _KEEP_ALIVE_AFTER_BYTES:
                self._keep_alive()
                read_bytes = 0
            read_bytes += len(delivery.body)
            decoded = self.decode_one(delivery)
            if isinstance(decoded, Command):
                requests.append(Request(delivery, decoded))
            else:
                invalid.append(Result(delivery, None, decoded, response_to(decoded)))
        self.forget_ahead()
        watch.end(BatchPhase.DECODE)
        reach("decoded", (request.command.request_id for request in requests))
        return requests, invalid

    def decode_one(self, delivery: Delivery) -> Command | Invalid:
        """Return the command that *delivery* brings, or why it is none."""
        decoded = self._ahead.pop(delivery.tag, None) or self._read(delivery)
        if isinstance(decoded, Invalid):
            return decoded
        decoded = self._deferrals.known(delivery, decoded)
        # Now, not on arrival: it may have waited here for a server or for a lock.
        is_over = is_expired(delivery, self._now_s())
        return replace(decoded, is_expired=True) if is_over else decoded

    def _read(self, delivery: Delivery) -> Command | Invalid:
        properties = delivery.properties
        return decode(
            delivery.queue,
            delivery.body,
            message_id_of(properties.message_id, properties.headers),
            attempt_of(delivery),
            self._policy.body_bytes_max,
            models=SHOP.models,
            permit=partial(
                authorize,
                self._policy.grants,
                arrival=self._arrival(delivery),
                verifier=self._policy.verifier,
                now_s=self._now_s(),
            ),
            is_encoded=properties.type == TYPE_ENCODED,
        )

    def _arrival(self, delivery: Delivery) -> Arrival:
        receipt = self._receipts.of(delivery)
        sender = receipt.user_id
        return Arrival(
            receipt.received_ms / 1000,
            None if sender is None else _in_one_line(sender),
            delivery.redelivered,
        )


def _in_one_line(name: str) -> str:
    """Return the name of a RabbitMQ user, which may be anything, as it can be stored and logged."""
    return name if name.isprintable() else name.encode("unicode_escape").decode()
