"""A page of a table is damaged: the commands that need it end, and nobody else notices."""

from tests.acceptance.shop import Shop, order
from tests.conftest import StartDaemon
from tests.support.damage import damage, first_on_page
from tools.postgresql import PrivatePostgres

IDS = [f"order-{n}" for n in range(20)]
REASON = "ServerFault: data corrupted (SQLSTATE XX001)"


def test_a_damaged_page_is_no_outage(
    shop: Shop, daemon: StartDaemon, admin_database_url: str, private_postgres: PrivatePostgres
) -> None:
    shop.open_with(stock=1_000, products=500)
    after = first_on_page(admin_database_url, "products", 1)
    damage(private_postgres, admin_database_url, "products")
    orderd = daemon(retry_delays="100ms,200ms")

    shop.send_all([order({1 if n == 7 else after + n: 1}, id=IDS[n]) for n in range(20)])
    orderd.wait_for_event("message.dead_lettered", id=IDS[7], timeout_s=60)

    others = [one for one in IDS if one != IDS[7]]
    assert shop.wait_for(*others) == dict.fromkeys(others, "applied")
    (letter,) = shop.take("order.dlq")
    assert REASON in letter.headers["orderd-reason"]
    assert shop.call("product", "get", {"id": 1})["error"] == f"cannot be answered now: {REASON}"
    assert shop.call("product", "get", {"id": after})["status"] == "ok"
    assert orderd.events("database.disconnected") == []
    assert len(orderd.events("command.deferred")) == 2
    assert orderd.stop() == 0
