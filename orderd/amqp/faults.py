"""What can go wrong between orderd and the broker."""

from typing import Final

# Reply codes of AMQP.
ACCESS_REFUSED: Final = 403
NOT_FOUND: Final = 404
RESOURCE_LOCKED: Final = 405
PRECONDITION_FAILED: Final = 406
NOT_ALLOWED: Final = 530
INTERNAL_ERROR: Final = 541


class BrokerFault(Exception):
    """The connection, channel or consumer is lost, or a bounded wait ran out.

    The text says what was lost and at which endpoint, never a password; *code* is the broker's,
    where it closed the connection with one.
    """

    code: int | None = None


class BrokerRefused(BrokerFault):
    """The broker is there, but does not take this login, or not to this virtual host, or no more.

    Connections and channels of a user or virtual host may be limited.
    """


class NoAnswer(BrokerFault):
    """A bounded wait ran out; the connection may be well."""


class HeadUndeliverable(BrokerFault):
    """The broker closes the connection when it is to deliver the head of a queue, each time."""


class DeliveriesLost(BrokerFault):
    """Some deliveries are no longer this daemon's; the connection, and others of them, may be."""


class ChannelFault(BrokerFault):
    """The broker closed a channel: *code* and *reason* are its own words."""

    def __init__(self, where: str, code: int, reason: str) -> None:
        super().__init__(f"{where}: channel closed by the broker: {code} {reason}")
        self.code = code
        self.reason = reason

    @property
    def is_queue_limit(self) -> bool:
        """Whether the virtual host has as many queues as it may; the reason names the limit."""
        return "queue limit in vhost" in self.reason


class TopologyMismatch(Exception):
    """A queue or exchange exists with arguments that orderd cannot use."""


class TooFewChannels(TopologyMismatch):
    """The broker allows fewer channels on a connection than orderd needs."""


class Unpublishable(ValueError):
    """A message that AMQP cannot carry, found before anything was sent; names the field."""


class NotRouted(Exception):
    """The broker returned a mandatory message: nothing is bound under its routing key."""


class NoReply(Exception):
    """Nobody answered a call within its time."""
