"""What a channel sends."""

from orderd.protocol.values import value


@value
class Message:
    """What one channel is to send to one recipient.

    `id` is the same in every try; `Message-ID` and `Webhook-Id` come from it. `type` is that of the
    event, such as order.shipped, `address` an e-mail address (empty for log and webhook), `event`
    the CloudEvent as JSON text, which is the body of a webhook.
    """

    id: str
    type: str
    address: str
    subject: str
    text: str
    event: str
