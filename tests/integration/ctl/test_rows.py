import re
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import psycopg2
import pytest

from tests.conftest import StartDaemon
from tests.integration.ctl.conftest import Orderctl

PRODUCTS = """
    INSERT INTO products (name, price, stock_quantity)
    SELECT 'Cable ' || n, n + 0.10, n % 2 FROM generate_series(1, {count}) AS n
"""
ORDERS = """
    INSERT INTO users (username, email) VALUES ('ann', 'ann@example.com');
    INSERT INTO orders (user_id, status, total_amount)
    VALUES (1, 'pending', 2.20), (1, 'shipped', 0);
    INSERT INTO order_items (order_id, product_id, quantity, unit_price) VALUES (1, 1, 2, 1.10)
"""


@pytest.fixture
def shop(database_url: str, daemon: StartDaemon) -> None:
    """Five products, two orders, a user, and a daemon that tells of them."""
    fill(database_url, PRODUCTS.format(count=5) + ";" + ORDERS)
    daemon()


def fill(database_url: str, sql: str) -> None:
    with closing(psycopg2.connect(database_url)) as connection, connection:
        connection.cursor().execute(sql)


def first_cells(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines()]


@pytest.mark.usefixtures("shop")
def test_rows_are_listed_page_by_page(orderctl: Orderctl) -> None:
    first = orderctl("products", "list", "--limit", "2")
    second = orderctl("products", "list", "--limit", "2", "--after", "2")
    last = orderctl("products", "list", "--after", "4")

    assert first_cells(first.out) == ["id", "1", "2"]
    assert first.err == "2 of 5; continue with --after 2\n"
    assert first_cells(second.out) == ["id", "3", "4"]
    assert (first_cells(last.out), last.err) == (["id", "5"], "")


@pytest.mark.usefixtures("shop")
def test_rows_are_filtered(orderctl: Orderctl) -> None:
    assert first_cells(orderctl("products", "list", "--in-stock").out) == ["id", "1", "3", "5"]
    assert first_cells(orderctl("products", "list", "--out-of-stock").out) == ["id", "2", "4"]
    assert first_cells(orderctl("orders", "list", "--status", "shipped").out) == ["id", "2"]
    assert first_cells(orderctl("orders", "list", "--user", "1").out) == ["id", "1", "2"]
    assert first_cells(orderctl("orders", "list", "--user", "2").out) == ["id"]


@pytest.mark.usefixtures("shop")
def test_one_row_is_shown_with_what_belongs_to_it(orderctl: Orderctl) -> None:
    assert "1×2 at 1.10" in orderctl("orders", "get", "1").out  # noqa: RUF001
    assert "ann@example.com" in orderctl("users", "get", "1").out
    assert "created" in orderctl("products", "get", "3").out
    assert re.search(r"revision +1$", orderctl("products", "get", "3").out, re.MULTILINE)
    assert '"price":3.10' in orderctl("products", "get", "3", "--json").out


@pytest.mark.usefixtures("shop")
def test_a_row_that_is_not_there_is_a_failure(orderctl: Orderctl) -> None:
    done = orderctl("orders", "get", "9")

    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("orderctl: order_not_found: ")


def test_all_rows_are_more_than_a_page(
    orderctl: Orderctl, daemon: StartDaemon, database_url: str
) -> None:
    fill(database_url, PRODUCTS.format(count=1001))
    daemon()

    page = orderctl("products", "list", "--all", "--json").document

    assert [row["id"] for row in page["items"]] == list(range(1, 1002))
    assert (page["next"], page["total"]) == (None, 1001)


def test_rows_that_cannot_be_told_are_named(
    orderctl: Orderctl, daemon: StartDaemon, database_url: str
) -> None:
    fill(database_url, "ALTER TABLE products DROP CONSTRAINT products_can_be_told")
    fill(database_url, PRODUCTS.format(count=600))
    fill(database_url, "UPDATE products SET price = 'NaN' WHERE id IN (2, 599)")
    daemon()

    page = orderctl("products", "list", "--limit", "3")
    every = orderctl("products", "list", "--all", "--json").document
    one = orderctl("products", "get", "2")

    assert first_cells(page.out) == ["id", "1", "3"]
    assert "skipped, with values that cannot be represented: product 2\n" in page.err
    assert (len(every["items"]), every["unreadable"]) == (598, [2, 599])
    assert one.code == 1
    assert "unreadable_row: Product 2 cannot be read: price is NaN" in one.err


def test_a_token_opens_what_is_closed(
    orderctl: Orderctl, daemon: StartDaemon, tmp_path: Path
) -> None:
    digest = sha256(b"correct horse").hexdigest()
    daemon(tokens=f'{{"shop": {{"sha256": "{digest}", "allow": ["product.*"]}}}}')
    file = tmp_path / "token"
    file.write_text("correct horse\n")

    without = orderctl("products", "list")
    from_file = orderctl("products", "list", "--auth-file", str(file))
    from_environment = orderctl("products", "list", ORDERD_TOKEN="correct horse")
    elsewhere = orderctl("users", "list", ORDERD_TOKEN="correct horse")

    assert (without.code, from_file.code, from_environment.code) == (1, 0, 0)
    assert "unauthorized" in without.err
    assert (elsewhere.code, "forbidden" in elsewhere.err) == (1, True)
