"""Made-up direct reply addresses: they cost few connections, and hold up no other caller."""

import pytest

from tests.acceptance.abuse.addresses import MADE_UP, broker_of
from tests.acceptance.shop import Shop, command
from tests.conftest import StartDaemon

COUNT = 200


@pytest.mark.parametrize("kind", MADE_UP)
def test_made_up_addresses_do_not_hold_up_the_next_caller(
    shop: Shop, daemon: StartDaemon, admin_vhost_url: str, kind: str
) -> None:
    node, creation = broker_of(admin_vhost_url)
    made_up = MADE_UP[kind]
    orderd = daemon()
    assert shop.call("product", "health_check")["status"] == "ok"

    shop.send_all(
        [
            command("product", "health_check", reply_to=made_up(number, node, creation))
            for number in range(COUNT)
        ]
    )

    # Each one that was tried would cost a connection; nobody would wait for so many of them.
    for _ in range(5):
        assert shop.call("product", "health_check")["status"] == "ok"
    assert orderd.events("broker.disconnected") == []
    assert orderd.events("replies.rerouted") == []
    assert orderd.stop() == 0


def test_callers_are_answered_while_made_up_addresses_keep_coming(
    shop: Shop, daemon: StartDaemon, admin_vhost_url: str
) -> None:
    node, creation = broker_of(admin_vhost_url)
    orderd = daemon()

    for turn in range(20):
        shop.send_all(
            [
                command("product", "health_check", reply_to=made_up(turn, node, creation))
                for made_up in MADE_UP.values()
            ]
        )
        assert shop.call("product", "health_check")["status"] == "ok"

    assert orderd.events("broker.disconnected") == []
    assert orderd.stop() == 0
