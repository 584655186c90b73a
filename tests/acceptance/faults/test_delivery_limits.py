"""However often daemons end with commands in hand, the broker drops none of them."""

from functools import partial

import pytest

from tests.acceptance.deliveries import (
    ENDS,
    assert_all_applied_once,
    end_again_and_again,
    nobody_is_answered,
    queues_of_a_producer,
    send_commands,
    settled,
)
from tests.conftest import StartDaemonOn
from tests.support.versions import Broker

# More than half of this many deliveries is what a daemon must not let it come to.
LIMIT = 6
ENDINGS = 12
COMMANDS = 30


@pytest.mark.parametrize("how", ENDS)
def test_no_number_of_endings_makes_a_quorum_queue_drop_a_command(
    broker: Broker, admin_database_url: str, daemon_on: StartDaemonOn, how: str
) -> None:
    policy = {"pattern": "^(user|product|order)$", "definition": {"delivery-limit": LIMIT}}
    broker.rabbit.require_management().request(
        "PUT", f"/api/policies/{broker.vhost}/limit", policy | {"apply-to": "queues"}
    )
    shop = queues_of_a_producer(broker, admin_database_url, daemon_on)
    start = partial(daemon_on, broker.url, shutdown_timeout=1)
    ids = send_commands(shop, COMMANDS)

    with nobody_is_answered(admin_database_url):
        end_again_and_again(shop, start, ENDINGS, ENDS[how])

    assert_all_applied_once(shop, settled(shop, start, ids), ids)
    shop.close()
