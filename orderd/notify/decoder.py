"""The step of the pipeline that reads messages: each becomes a notice with an id, or is invalid."""

from collections.abc import Sequence
from dataclasses import replace
from secrets import token_hex
from typing import Final

from orderd.amqp.message import Delivery
from orderd.amqp.renewal import is_expired
from orderd.db.connection import Database
from orderd.notify.notice import Notice, decode
from orderd.notify.records import Records
from orderd.pipeline.measures import Measures
from orderd.pipeline.policy import Policy
from orderd.pipeline.quarantine import key_of, was_tried
from orderd.pipeline.results import Result, attempt_of
from orderd.protocol.amqp10 import message_id_of
from orderd.protocol.envelope import Invalid
from orderd.protocol.metrics import BatchPhase
from orderd.protocol.names import HEADER_PLACE, HEADER_REPLAYED
from orderd.protocol.values import value
from orderd.runtime.crash_points import reach

_GIVEN: Final = "given-"
_ID_CHARS_MAX: Final = 200


@value
class Task:
    """A notice, and the delivery that brought it."""

    delivery: Delivery
    notice: Notice
    is_expired: bool = False


class NoticeDecoder:
    """Reads deliveries as *policy* says."""

    def __init__(self, policy: Policy, database: Database, measures: Measures) -> None:
        """Find in *database* the ids that were given to messages without one."""
        self._policy = policy
        self._records = Records(database)
        self._clock = database.clock
        self._measures = measures
        # With tag and generation it tells messages apart, also those of other daemons.
        self._token = token_hex(4)

    def decode(self, deliveries: Sequence[Delivery]) -> tuple[list[Task], list[Result]]:
        """Return what is to be told by *deliveries*, and the results of those that are invalid.

        Raises `DatabaseOutage`.
        """
        watch = self._measures.stopwatch()
        tasks: list[Task] = []
        invalid: list[Result] = []
        for delivery in deliveries:
            decoded = self._read(delivery)
            if isinstance(decoded, Invalid):
                invalid.append(Result(delivery, None, decoded, None))
            else:
                notice = self._identified(delivery, decoded)
                is_over = is_expired(delivery, self._clock.seconds())
                tasks.append(Task(delivery, notice, is_over))
        watch.end(BatchPhase.DECODE)
        reach("decoded", (task.notice.sender_id for task in tasks))
        return tasks, invalid

    def _read(self, delivery: Delivery) -> Notice | Invalid:
        properties = delivery.properties
        message_id = message_id_of(properties.message_id, properties.headers)
        attempt = attempt_of(delivery)
        return decode(
            delivery.queue, delivery.body, message_id, attempt, self._policy.body_bytes_max
        )

    def _identified(self, delivery: Delivery, notice: Notice) -> Notice:
        """Return *notice* with an id: the same one where the message comes again."""
        if notice.event_id:
            return notice
        prefix = given_prefix(delivery)
        # Its own retries bring it along; producers can write anything there, but not of others.
        brought = (delivery.properties.headers or {}).get(HEADER_PLACE)
        if isinstance(brought, str) and brought.startswith(f"{prefix}.") and _is_id(brought):
            return replace(notice, event_id=brought)
        may_be_known = was_tried(delivery) or HEADER_REPLAYED in (delivery.properties.headers or {})
        known = self._records.given_id(prefix) if may_be_known else None
        given = f"{prefix}.{self._token}-{delivery.generation}-{delivery.tag}"
        return replace(notice, event_id=known or given)


def given_prefix(delivery: Delivery) -> str:
    """Return how the ids begin that are given to a message like this one, which has none."""
    return f"{_GIVEN}{key_of(delivery)}"


def _is_id(text: str) -> bool:
    return len(text) <= _ID_CHARS_MAX and text.isascii() and text.isprintable()
