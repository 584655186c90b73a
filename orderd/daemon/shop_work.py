"""`orderd`'s work: it applies the shop's commands, and publishes the events of its outbox."""

import time
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final

from orderd.amqp.message import Delivery
from orderd.config.authorization import described
from orderd.config.settings import Settings
from orderd.daemon.authorization_record import AuthorizationRecord
from orderd.daemon.jwt_keys import key_changes, verifier_of
from orderd.daemon.work import Parts, Program
from orderd.db.table_queries import PREPARED
from orderd.pipeline.arrivals import Arrivals
from orderd.pipeline.commit import Committer
from orderd.pipeline.context import BatchContext
from orderd.pipeline.decode import Decoder
from orderd.pipeline.deferrals import Deferrals
from orderd.pipeline.outbox.publish import Sweeper
from orderd.pipeline.overlap import Job
from orderd.pipeline.results import Result
from orderd.pipeline.shop_labels import shop_labels
from orderd.protocol.tenants import ORDERD

SWEEP_EVERY_S_MIN: Final = 0.25
SWEEPS_PER_GRACE: Final = 5


class ShopWork:
    """Decodes and commits commands, keeps their places, and sweeps the outbox."""

    def __init__(self, parts: Parts) -> None:
        """Work with *parts*; raises `ConfigError` where no key for JWTs can be used."""
        self._parts = parts
        self._settings = parts.settings
        self._authorization = AuthorizationRecord(parts.database, parts.receipts)
        self._verifier = self._next_verifier = verifier_of(self._settings)
        parts.policy.verifier = self._verifier
        self._deferrals = Deferrals(parts.database, parts.policy)
        self.sweeper = Sweeper(
            parts.database, parts.publisher, parts.confirmed, parts.measures.events
        )
        self._next_sweep_s = 0.0
        self.decoder = Decoder(
            parts.policy,
            self._deferrals,
            parts.receipts,
            measures=parts.measures,
            now_s=parts.database.clock.seconds,
            keep_alive=parts.keep_alive,
        )
        arrivals = Arrivals(parts.consumer, parts.policy, parts.retried)
        self.committer = Committer(
            parts.database,
            parts.policy,
            BatchContext(arrivals.queues, parts.keep_alive, parts.assert_able),
            quarantine=parts.quarantine,
            deferrals=self._deferrals,
            measures=parts.measures,
        )

    @property
    def has_committed(self) -> bool:
        """Whether any transaction was committed yet."""
        return self.committer.has_committed

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Read what the next batch will bring, and decode it."""
        return self._read_ahead, self._decode_ahead

    def about(self) -> str:
        """Return how commands are authorized."""
        return f", authorization {described(self._settings)}"

    def connected(self) -> None:
        """Put on record how commands are authorized; search the outbox when that is possible."""
        self._authorization.remember(self._settings)
        if not (self._parts.consumer.is_ready and self._parts.publisher.is_ready):
            self._next_sweep_s = 0.0

    def examine(self, settings: Settings) -> None:
        """Raise `ConfigError` where no key for JWTs can be used; keep the keys for `take_over`."""
        self._next_verifier = verifier_of(settings)

    def take_over(self, settings: Settings) -> Sequence[str]:
        """Decode by these settings, also what was decoded ahead; return which keys have changed."""
        before, after = self._verifier, self._next_verifier
        self._settings = settings
        self._parts.policy.verifier = self._verifier = after
        self.decoder.forget_ahead()
        changes = "" if before is None or after is None else key_changes(before.keys, after.keys)
        return [changes] if changes else []

    def places(self, deliveries: Sequence[Delivery]) -> Mapping[int, str]:
        """Keep the places of commands of which copies go to the end of their queues."""
        return self._deferrals.renew(deliveries, self.decoder.decode_one)

    def note_dead(self, results: Sequence[Result]) -> None:
        """Take commands that became dead letters out of their lines."""
        self._deferrals.note_gone(results)

    def turn(self) -> None:
        """Delete and mark rows of the outbox; publish, now and then, what a crash left behind."""
        parts, grace_s = self._parts, self._settings.outbox_grace
        self.sweeper.delete_confirmed(grace_s)
        self.sweeper.mark()
        if parts.publisher.blocked or time.monotonic() < self._next_sweep_s:
            return
        # What is unconfirmed here must not be taken for left behind.
        parts.finish()
        parts.announcer.outbox_recovered(self.sweeper.sweep(grace_s, parts.keep_alive))
        parts.quarantine.forget_settled()
        self.tidy()
        self._next_sweep_s = time.monotonic() + max(SWEEP_EVERY_S_MIN, grace_s / SWEEPS_PER_GRACE)

    def wait_s(self, longest_s: float) -> float:
        """Return how long an idle loop may wait until rows have gathered."""
        return self.sweeper.wait_s(longest_s, self._settings.outbox_grace)

    def tidy(self) -> None:
        """Take places that have ended off the record."""
        self._deferrals.forget_ended()

    def end(self) -> None:
        """Delete the rows of confirmed events."""
        self.sweeper.delete_confirmed(0.0)

    def close(self) -> None:
        """Hold nothing of its own."""

    def _read_ahead(self) -> bool:
        consumer = self._parts.consumer
        return consumer.is_ready and consumer.read(self._settings.batch_max)

    def _decode_ahead(self) -> bool:
        inbox = self._parts.consumer.inbox
        return self.decoder.decode_ahead(islice(inbox, self._settings.batch_max))


ORDERD_PROGRAM: Final = Program(ORDERD, shop_labels, PREPARED, ShopWork)
