"""Direct replies that are not known to have arrived."""

from collections.abc import Sequence

from orderd.amqp.publish_confirms import PublishConfirms
from orderd.amqp.publisher import Publisher
from orderd.pipeline.outbound import OutboundMessage
from orderd.protocol.values import value


@value
class WaitingReply:
    """A reply that is to be sent, and since when."""

    reply: OutboundMessage
    since_s: float

    @property
    def size_bytes(self) -> int:
        """The size of its body."""
        return len(self.reply.outgoing.body)


@value
class SentReplies:
    """Replies without all their answers; *is_trial*: one whose address is not known."""

    replies: Sequence[WaitingReply]
    confirms: PublishConfirms
    publisher: Publisher
    sent_s: float
    is_trial: bool = False
