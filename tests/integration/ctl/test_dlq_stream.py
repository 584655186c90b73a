"""A dead letter queue that others have declared as a stream: `orderctl dlq` says what it is."""

import pytest

from orderd.protocol.exit_codes import ExitCode
from tests.integration.ctl.conftest import Orderctl
from tests.integration.ctl.letters import Broker


@pytest.mark.parametrize("verb", ["list", "discard"])
def test_a_stream_is_named_and_other_queues_can_be_looked_at(
    orderctl: Orderctl, broker: Broker, verb: str
) -> None:
    stream = {"x-queue-type": "stream", "x-max-length-bytes": 10_000_000}
    broker.channel.queue_declare("order.dlq", durable=True, arguments=stream)
    broker.channel.queue_declare("user.dlq", durable=True)
    broker.channel.basic_publish("", "order.dlq", b"{}", mandatory=True)

    refused = orderctl("dlq", verb)

    assert refused.code == ExitCode.CONFIG
    assert "queue order.dlq is a stream" in refused.err
    assert orderctl("dlq", verb, "order").code == ExitCode.CONFIG
    assert orderctl("dlq", "list", "user").code == ExitCode.DONE
