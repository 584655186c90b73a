"""What orderd needs of the broker, declared where it is missing."""

from collections.abc import Callable, Sequence

from orderd.amqp import retry_queues, topology
from orderd.amqp.connection import Connection, nothing
from orderd.amqp.faults import ChannelFault, TopologyMismatch
from orderd.amqp.scratch_channel import ScratchChannel
from orderd.protocol.names import retry_queue
from orderd.protocol.tenants import ORDERD, Tenant


class Declaration:
    """The queues of a daemon and the exchange of events, declared over *connection*.

    *queue_type* (empty: the virtual host's default) counts only for queues of commands and dead
    letters that are created. `former` are the retry queues that may lose a message when its delay
    ends, with what can be done; `hindrance` is why the broker cannot have better ones now;
    `changed` tells how others have changed the exchange.
    """

    def __init__(
        self,
        connection: Connection,
        retry_delays_s: Sequence[float],
        queue_type: str,
        tenant: Tenant = ORDERD,
    ) -> None:
        self._connection = connection
        self._declaring = ScratchChannel(connection)
        self._retry_delays_s = tuple(retry_delays_s)
        self._queue_type = queue_type
        self._tenant = tenant
        self.hindrance: str | None = None
        self.former: dict[str, str] = {}
        self.changed: str | None = None

    def look(self, keep_alive: Callable[[], None] = nothing) -> None:
        """Find out what the broker can do; call it on a connection that was just opened."""
        self.hindrance = retry_queues.hindrance(self._connection, self._tenant.queues[0])
        if not self._connection.is_open:
            self._connection.open(keep_alive)
        self._declaring.forget()

    def everything(self, retry_delays_s: Sequence[float] | None = None) -> None:
        """Make sure that all is there, with *retry_delays_s* in place of the former from then on.

        What can be declared is, also where the rest cannot: that raises TopologyMismatch or
        ChannelFault in the end, and BrokerFault at once.
        """
        delays_s = self._retry_delays_s if retry_delays_s is None else tuple(retry_delays_s)
        faults: list[TopologyMismatch | ChannelFault] = []
        for queue in self._tenant.queues:
            try:
                self._declare(queue, delays_s)
            except (TopologyMismatch, ChannelFault) as fault:
                faults.append(fault)
        try:
            topology.declare_exchange(self._declaring)
        except (TopologyMismatch, ChannelFault) as fault:
            faults.append(fault)
        else:
            self.changed = None
        self._declaring.close()
        if faults:
            raise faults[0]
        self._retry_delays_s = delays_s
        wanted = {retry_queue(queue, d) for queue in self._tenant.queues for d in delays_s}
        self.former = {name: why for name, why in self.former.items() if name in wanted}

    def queue(self, queue: str) -> None:
        """Make sure that *queue* is there and bound, with those for retries and dead letters."""
        self._declare(queue, self._retry_delays_s)

    def exchange(self, *, is_first: bool) -> None:
        """Make sure that the exchange of events is there.

        Raises TopologyMismatch and BrokerFault where that *is_first*. Later others have changed
        what did fit, and events are no reason to do nothing: `changed` tells of it.
        """
        self.changed = None
        try:
            topology.declare_exchange(self._declaring)
        except (TopologyMismatch, ChannelFault) as fault:
            if is_first:
                raise
            self.changed = str(fault)
        # It is the last that a start declares.
        self._declaring.close()

    def _declare(self, queue: str, retry_delays_s: Sequence[float]) -> None:
        topology.declare_commands(self._declaring, queue, self._queue_type)
        for binding in self._tenant.bindings_of(queue):
            topology.bind(self._declaring, queue, binding.exchange, binding.pattern)
        can_keep = self.hindrance is None
        for delay_s in retry_delays_s:
            name = retry_queue(queue, delay_s)
            if retry_queues.declare(self._declaring, queue, delay_s, can_keep=can_keep):
                self.former.pop(name, None)
            else:
                self.former[name] = self.hindrance or retry_queues.FORMER_ADVICE


def hindrance(connection: Connection) -> str | None:
    """Do as `retry_queues.hindrance`, over a connection of its own where one may be lost by it."""
    if not retry_queues.depends_on_a_flag(connection):
        return retry_queues.hindrance(connection)
    apart = connection.another()
    try:
        apart.open()
        return retry_queues.hindrance(apart)
    finally:
        apart.close()
