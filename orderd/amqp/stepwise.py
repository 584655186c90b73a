"""A publisher whose connection is made step by step, without blocking the loop."""

import time
from collections import deque

from orderd.amqp.confirm_connection import ConfirmChannel
from orderd.amqp.endpoint import BrokerEndpoint, Target
from orderd.amqp.faults import BrokerFault, NoAnswer
from orderd.amqp.publish_confirms import PublishConfirms
from orderd.amqp.publisher import TO_NOWHERE, Publisher
from orderd.amqp.resource_shortage import shortage_as_fault


class StepwisePublisher(Publisher):
    """A publisher for messages of which one may cost the connection, and that may be lost.

    `begin` and `step` take the place of `connect`. Where the broker closes the channel, the
    connection counts as lost. No method waits.
    """

    def __init__(self, endpoint: BrokerEndpoint) -> None:
        super().__init__(endpoint)
        self._endpoint = endpoint
        self._target: Target | None = None
        self._targets: deque[Target] = deque()
        self._opening: ConfirmChannel | None = None
        self._faults: list[str] = []
        self._until_s = 0.0
        self._asked: PublishConfirms | None = None
        self._may_ask = True

    @property
    def is_ready(self) -> bool:
        """Whether messages can be published."""
        return super().is_ready and not self.is_connecting

    @property
    def is_connecting(self) -> bool:
        """Whether `step` has something to do."""
        return self._target is not None

    def begin(self) -> None:
        """Begin to connect, with the URL that worked last; raises BrokerFault as `step` does."""
        self.close()
        self._targets.extend(self._endpoint.targets())
        self._begin_next()

    def step(self) -> bool:
        """Go on connecting; return whether messages can be published.

        Raises BrokerFault, with the cause of each URL, once none of them is left to be tried.
        """
        if self._target is None:
            return self.is_ready
        try:
            self._go_on()
            is_opened = self._is_opened()
        except BrokerFault as fault:
            self._faults.append(str(fault))
            self._begin_next()
            return False
        if not is_opened:
            return False
        self._endpoint.note_reached(self._target)
        self._target = None
        return True

    def serve(self, timeout_s: float) -> None:
        """Service the connection until an answer came, at most *timeout_s* seconds."""
        self.connection.run(timeout_s)

    def close(self) -> None:
        """Give the connection up, or what there is of it; never raises."""
        self._forget()
        self._targets.clear()
        self._faults.clear()

    def _is_opened(self) -> bool:
        """Return whether the channel is open, and its own reply address known where it can be."""
        opening = self._opening
        if opening is None or not opening.is_confirming:
            return False
        self._channel = opening
        if self._asked is None and self._may_ask:
            # Where the broker closes the channel over that, it is not asked again.
            self._may_ask = False
            self._listen_for_replies()
            self._asked = self.publish([TO_NOWHERE])
        is_answered = self._asked is None or self._asked.done
        self._may_ask = self._may_ask or self.own_family is not None
        return is_answered or self.blocked

    def _begin_next(self) -> None:
        self._forget()
        while self._targets:
            self._target = target = self._targets.popleft()
            self._until_s = time.monotonic() + self._endpoint.stack_timeout_s
            try:
                with shortage_as_fault(target.name):
                    self.connection.begin(target)
            except BrokerFault as fault:
                self._faults.append(str(fault))
                self._target = None
            else:
                return
        raise BrokerFault("; ".join(self._faults))

    def _forget(self) -> None:
        self._channel = self._opening = self._target = self._asked = None
        self._next_tag = 1
        self._unanswered = []
        self.connection.abandon()

    def _go_on(self) -> None:
        self.connection.run(0)
        if self._opening is not None:
            self._opening.raise_if_closed()
        elif self.connection.is_open:
            self._opening = self.connection.begin_channel(self._on_confirm, self._on_return)
        if time.monotonic() > self._until_s:
            raise NoAnswer(
                f"{self.connection.where}: connecting: no answer in "
                f"{self._endpoint.stack_timeout_s:g} s"
            )

    def _mend_if_closed(self) -> None:
        """Raise BrokerFault where the channel is closed; who sent over it knows what to repeat."""
        self.channel.raise_if_closed()
