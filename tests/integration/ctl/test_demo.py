from contextlib import closing

import psycopg2

from tests.conftest import StartDaemon
from tests.integration.ctl.conftest import Orderctl


def test_the_demo_shows_each_reply_and_the_end_state(
    orderctl: Orderctl, daemon: StartDaemon
) -> None:
    daemon()

    done = orderctl("demo")

    lines = done.out.splitlines()
    assert (done.code, done.err) == (0, "")
    assert lines[0].split() == ["1.", "user", "create", "→", "user", "1", "testuser"]
    assert "refused: insufficient_stock: Insufficient stock" in lines[14]
    assert lines[17].split() == ["1", "Laptop", "Dell", "XPS", "15", "1199.99", "24"]
    assert "1459.97  1×1 at 1299.99, 2×2 at 79.99" in done.out  # noqa: RUF001


def test_the_demo_is_a_document_if_wanted(orderctl: Orderctl, daemon: StartDaemon) -> None:
    daemon()

    done = orderctl("demo", "--json")

    assert done.code == 0
    assert done.document["ok"]
    assert len(done.document["replies"]) == 15


def test_the_demo_leaves_a_used_database_alone(orderctl: Orderctl, daemon: StartDaemon) -> None:
    daemon()
    orderctl("call", "user", "create", '{"username": "testuser", "email": "t@example.com"}')

    done = orderctl("demo")

    assert (done.code, done.out) == (1, "")
    assert "there are users already (1): the demo requires an empty database" in done.err
    assert orderctl("products", "list", "--json").document["total"] == 0


def test_the_demo_stops_where_an_id_is_another(
    orderctl: Orderctl, daemon: StartDaemon, database_url: str
) -> None:
    with closing(psycopg2.connect(database_url)) as connection, connection:
        connection.cursor().execute("SELECT nextval('products_id_seq')")
    daemon()

    done = orderctl("demo")

    assert done.code == 1
    assert "step 2: expected id 1; got 2" in done.err
    assert len(done.out.splitlines()) == 2


def test_the_demo_needs_a_daemon(orderctl: Orderctl, daemon: StartDaemon) -> None:
    daemon().stop()

    done = orderctl("demo", "--timeout", "0.5")

    assert done.code == 1
    assert "no reply from queue user in 0.5 s" in done.err
