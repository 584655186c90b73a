"""The way of a batch from the inbox to the ack: each step by name, in order."""

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from orderd.amqp.faults import DeliveriesLost
from orderd.amqp.inbox import Inbox
from orderd.amqp.message import Delivery
from orderd.pipeline.context import Withheld
from orderd.pipeline.kill_switch import KillSwitch
from orderd.pipeline.overlap import Overlap
from orderd.pipeline.policy import Policy
from orderd.pipeline.quarantine import Quarantine
from orderd.pipeline.results import Result
from orderd.pipeline.settle import Settler
from orderd.pipeline.stats import Stats
from orderd.runtime.crash_points import reach

_R = TypeVar("_R")
_R_contra = TypeVar("_R_contra", contravariant=True)


class Decodes(Protocol[_R]):
    """The step that reads messages."""

    def decode(self, deliveries: Sequence[Delivery]) -> tuple[list[_R], list[Result]]:
        """Return the requests among *deliveries*, and the results of those that are invalid."""


class Commits(Protocol[_R_contra]):
    """The step that does what was asked for."""

    def commit(self, requests: Sequence[_R_contra]) -> Iterator[list[Result]]:
        """Yield the results of *requests*, as they are final: what is yielded is settled.

        What was not yielded when it raises has no effect, or one that is known again.
        """


class Pipeline(Generic[_R]):
    """Takes batches through all steps; each step is a part that is given here."""

    def __init__(
        self,
        inbox: Inbox,
        policy: Policy,
        stats: Stats,
        *,
        quarantine: Quarantine,
        decoder: Decodes[_R],
        committer: Commits[_R],
        settler: Settler,
        kill_switch: KillSwitch,
        overlap: Overlap,
        keep_alive: Callable[[], None],
    ) -> None:
        """Take deliveries from *inbox*; *keep_alive* is called between groups of them."""
        self._inbox = inbox
        self._policy = policy
        self._stats = stats
        self._quarantine = quarantine
        self._decoder = decoder
        self._committer = committer
        self._settler = settler
        self._kill_switch = kill_switch
        self._overlap = overlap
        self._keep_alive = keep_alive

    def run_batch(self, count: int) -> None:
        """Commit and settle up to *count* deliveries.

        If anything ends this early, the lease puts what the settler was not given back into the
        inbox, as far as it is still ours; it is tried again, and the ledger knows what a COMMIT
        without an answer has done. Raises `DatabaseOutage`, `SchemaFault` and `TransactionConflict`
        where the database cannot do its part now, and `BrokerFault` where deliveries can no longer
        be settled: they are delivered again, and the ledger knows those that were committed.
        """
        try:
            with self._stats.batch(), self._inbox.lease(count) as deliveries:
                # Redelivered messages are on record before they are tried: one may kill daemons.
                groups = self._quarantine.admit(deliveries, self._policy.poison_after)
                for number, group in enumerate(groups):
                    if number:
                        self._keep_alive()
                    reach("received", (each.properties.message_id for each in group.deliveries))
                    self._settler.settle(group.rejected)
                    requests, invalid = self._decoder.decode(group.deliveries)
                    self._settler.settle(invalid)
                    # BEGIN, load and lock, decide, write, COMMIT; a group that cannot be committed
                    # whole is split until the fault is that of one command.
                    for results in self._committer.commit(requests):
                        # Publish, confirm, ack: while PostgreSQL works on the next transaction.
                        self._settler.accept(self._kill_switch.judge(results))
                        self._overlap.raise_fault()
                    is_last = len(group.deliveries) == len(deliveries)
                    if not (is_last and self._inbox):
                        # There is no transaction to wait for, or one that may kill the daemon.
                        self._settler.publish()
        except (DeliveriesLost, Withheld):
            # Found before COMMIT: others have the deliveries, or RabbitMQ takes no messages now.
            return
