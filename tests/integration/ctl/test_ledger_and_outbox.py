"""`orderctl ledger` and `outbox`: outcomes of requests, and events that wait to be sent."""

from typing import Any

from tests.conftest import StartDaemon
from tests.integration.ctl.conftest import Orderctl
from tests.integration.ctl.letters import UNSENT, execute, value, wait_for_value

ANN = '{"username": "ann", "email": "ann@example.com"}'
LAMP = '{"name": "lamp", "price": 5.50, "stock_quantity": 3}'


class TestOutbox:
    def test_events_are_listed(self, orderctl: Orderctl, database_url: str) -> None:
        execute(database_url, UNSENT.format(subject="order/1", correlation="r1", count=3))

        done = orderctl("outbox", "list", "--json", "--limit", "2")
        readable = orderctl("outbox", "list")

        assert [event["id"] for event in done.document] == [1, 2]
        assert done.err == "stopped at 2; there are more: see --limit\n"
        assert len(readable.out.splitlines()) == 4
        assert "order.created  order/1" in readable.out

    def test_a_released_event_is_sent_by_the_daemon(
        self, orderctl: Orderctl, daemon: StartDaemon, database_url: str
    ) -> None:
        execute(database_url, UNSENT.format(subject="order/1", correlation="r1", count=3))
        daemon()

        done = orderctl("outbox", "retry", "1", "2", "--json")

        assert (done.code, done.document) == (0, {"released": [1, 2]})
        wait_for_value(database_url, "SELECT array_agg(id) FROM outbox", [3])
        assert orderctl("outbox", "retry", "--all").code == 0
        wait_for_value(database_url, "SELECT count(*) FROM outbox", 0)

    def test_an_event_that_is_not_there_is_a_failure(
        self, orderctl: Orderctl, database_url: str
    ) -> None:
        execute(database_url, UNSENT.format(subject="order/1", correlation="r1", count=1))

        done = orderctl("outbox", "retry", "1", "7")

        assert (done.code, done.out[:10]) == (1, "1 released")
        assert "7" in done.err
        assert value(database_url, "SELECT claimed_at = '-infinity' FROM outbox") is True
        assert orderctl("outbox", "list", "--json").document[0]["claimed_at"] is None


class TestLedger:
    def test_requests_are_listed_and_filtered(
        self, orderctl: Orderctl, daemon: StartDaemon, database_url: str
    ) -> None:
        daemon()
        orderctl("call", "user", "create", ANN, "--id", "r1")
        orderctl("call", "user", "create", ANN, "--id", "r2")
        orderctl("call", "product", "create", LAMP, "--id", "r3")
        old = "UPDATE processed_requests SET created_at = now() - interval '2 days' WHERE id = 'r3'"
        execute(database_url, old)

        def ids(*arguments: str) -> list[Any]:
            rows = orderctl("ledger", "list", "--json", *arguments).document
            return [row["id"] for row in rows]

        assert ids() == ["r2", "r1"]
        assert ids("--since", "72h") == ["r2", "r1", "r3"]
        assert ids("--since", "999999999h") == ["r2", "r1", "r3"]
        assert ids("--outcome", "applied") == ["r1"]
        assert ids("--code", "duplicate_username") == ["r2"]
        assert ids("--limit", "1") == ["r2"]
        assert "duplicate_username" in orderctl("ledger", "list").out

    def test_one_is_shown_with_its_response(self, orderctl: Orderctl, daemon: StartDaemon) -> None:
        daemon()
        orderctl("call", "product", "create", LAMP, "--id", "r1")

        done, readable = (
            orderctl("ledger", "show", "r1", "--json"),
            orderctl("ledger", "show", "r1"),
        )

        assert done.document["outcome"] == "applied"
        assert '"price":5.50' in done.out
        assert "response" in readable.out

    def test_one_that_is_not_there_is_a_failure(self, orderctl: Orderctl) -> None:
        done = orderctl("ledger", "show", "nobody")

        assert (done.code, done.out) == (1, "")
        assert "no request nobody" in done.err

    def test_an_empty_time_is_told(self, orderctl: Orderctl) -> None:
        done = orderctl("ledger", "list", "--since", "1h")

        assert done.err == "nothing in the last 1h: see --since\n"
