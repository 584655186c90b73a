"""`orderctl ledger` and `outbox`: outcomes of requests, and events that wait to be sent."""

from typing import Any

from tests.conftest import StartDaemon
from tests.integration.ctl.conftest import Orderctl
from tests.integration.ctl.letters import UNSENT, execute, value, wait_for_value

ANN = '{"username": "ann", "email": "ann@example.com"}'
LAMP = '{"name": "lamp", "price": 5.50, "stock_quantity": 3}'

REFUSED = """
    UPDATE outbox
    SET
        refusals = CASE id WHEN 2 THEN 3 ELSE 1 END,
        not_before = CASE id WHEN 2 THEN now() + interval '40 s' ELSE 'infinity' END,
        refused_because = CASE id WHEN 2 THEN 'nacked' ELSE 'AMQP cannot carry it' END
    WHERE id > 1
"""


class TestOutbox:
    def test_events_are_listed(self, orderctl: Orderctl, database_url: str) -> None:
        execute(database_url, UNSENT.format(subject="order/1", correlation="r1", count=3))

        done = orderctl("outbox", "list", "--json", "--limit", "2")
        readable = orderctl("outbox", "list")

        assert [event["id"] for event in done.document["items"]] == [1, 2]
        assert done.err == "stopped at 2; more rows exist; raise --limit to see them\n"
        assert len(readable.out.splitlines()) == 4
        assert "order.created  order/1" in readable.out

    def test_a_released_event_is_sent_by_the_daemon(
        self, orderctl: Orderctl, daemon: StartDaemon, database_url: str
    ) -> None:
        execute(database_url, UNSENT.format(subject="order/1", correlation="r1", count=3))
        daemon()

        done = orderctl("outbox", "retry", "1", "2", "--json")

        assert (done.code, done.document) == (0, {"released": [1, 2], "missing": []})
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
        assert orderctl("outbox", "list", "--json").document["items"][0]["claimed_at"] is None

    def test_refused_and_set_aside_events_are_shown_and_sent_again_on_request(
        self, orderctl: Orderctl, database_url: str
    ) -> None:
        execute(database_url, UNSENT.format(subject="order/1", correlation="r1", count=3))
        execute(database_url, REFUSED)

        rows = orderctl("outbox", "list", "--json").document["items"]
        table = orderctl("outbox", "list").out

        shown = [
            (row["refusals"], row["set_aside"], row["refused_because"], bool(row["next_try"]))
            for row in rows
        ]
        assert shown == [
            (0, False, None, False),
            (3, False, "nacked", True),
            (1, True, "AMQP cannot carry it", False),
        ]
        assert "never: set aside" in table
        assert "nacked" in table

        assert orderctl("outbox", "retry", "--all").code == 0

        rows = orderctl("outbox", "list", "--json").document["items"]
        assert {(row["refusals"], row["set_aside"], row["next_try"]) for row in rows} == {
            (0, False, None)
        }
        assert {row["refused_because"] for row in rows} == {None}

    def test_status_and_explain_tell_of_refused_events(
        self, orderctl: Orderctl, database_url: str
    ) -> None:
        execute(database_url, UNSENT.format(subject="order/1", correlation="r1", count=3))
        execute(database_url, REFUSED)

        outbox = orderctl("status", "--json").document["outbox"]
        explained = orderctl("explain", "r1").out

        assert (outbox["ok"], outbox["refused"], outbox["set_aside"]) == (False, 1, 1)
        assert "1 refused, next try in " in outbox["summary"]
        assert "1 set aside, see: orderctl outbox list" in outbox["summary"]
        assert "refused 3 times: nacked" in explained
        assert "next try: never: set aside" in explained

    def test_a_row_of_somebody_else_is_shown_too(
        self, orderctl: Orderctl, database_url: str
    ) -> None:
        execute(database_url, UNSENT.format(subject="order/1", correlation="r1", count=2))
        execute(database_url, "UPDATE outbox SET body = CASE id WHEN 1 THEN 'x' ELSE '[1]' END")

        rows = orderctl("outbox", "list", "--json").document["items"]

        assert [row["subject"] for row in rows] == [None, None]


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
            rows = orderctl("ledger", "list", "--json", *arguments).document["items"]
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

        assert done.err == "no requests in the last 1h; see --since\n"
