"""Tables that others have changed: refused where a value could not come back as it was sent."""

from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

from orderd.db.connection import Database
from orderd.db.faults import SchemaFault
from orderd.db.migrations import check_schema, migrate, pending_migrations

CONSTRAINED = ("users", "products", "orders", "order_items", "processed_requests")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with closing(Database(database_url)) as database:
        yield database


@pytest.fixture
def unmigrated(empty_database_url: str) -> Iterator[Database]:
    with closing(Database(empty_database_url)) as database:
        yield database


def execute(url: str, statement: str) -> None:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)


def in_schema(url: str, path: str) -> str:
    """Return *url* with a search_path."""
    return f"{url}?options=-csearch_path%3D{path}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("products ALTER price TYPE numeric(12,1)", "products.price is numeric(12,1), "),
        ("products ALTER price TYPE double precision", "products.price is double precision, "),
        ("products ALTER price TYPE numeric(11,2)", "products.price is numeric(11,2), "),
        ("products ALTER price TYPE bigint", "products.price is bigint, "),
        ("products ALTER stock_quantity TYPE smallint", "stock_quantity is smallint, "),
        ("products ALTER stock_quantity TYPE numeric(9)", "stock_quantity is numeric(9,0), "),
        ("products ALTER name TYPE varchar(199)", "products.name is character varying(199), "),
        ("products ALTER name TYPE char(200)", "products.name is character(200), "),
        ("products ALTER created_at TYPE timestamptz(3)", "created_at is timestamp(3) with "),
        ("products ALTER updated_at TYPE timestamp", "updated_at is timestamp without time zone, "),
        (
            "products ALTER created_at SET DEFAULT clock_timestamp()",
            "created_at does not have the default now()",
        ),
        ("products ALTER created_at DROP DEFAULT", "created_at does not have the default now()"),
        ("products DROP revision", "column products.revision is missing"),
        ("products RENAME name TO title", "column products.name is missing"),
        ("products ADD colour text NOT NULL", "column products.colour is not orderd's, "),
        ("products ALTER id SET GENERATED ALWAYS", "products.id is always generated, "),
        ("products ALTER id DROP IDENTITY", "products.id has no sequence of its own: "),
        ("users ALTER full_name SET NOT NULL", "users.full_name takes no null, "),
        ("users ALTER is_active DROP DEFAULT, ALTER is_active TYPE text", "is_active is text, "),
        ("orders ALTER total_amount TYPE numeric(19,2)", "total_amount is numeric(19,2), "),
        ("orders ALTER total_amount TYPE real", "total_amount is real, "),
        ("order_items ALTER unit_price TYPE real", "unit_price is real, "),
        ("order_items ALTER quantity TYPE double precision", "quantity is double precision, "),
        ("processed_requests ALTER response TYPE text", "processed_requests.response is text, "),
        ("outbox ALTER claimed_at DROP DEFAULT", "outbox.claimed_at has no default "),
    ],
)
def test_a_table_that_would_give_back_other_values_is_refused(
    database: Database, database_url: str, change: str, said: str
) -> None:
    execute(database_url, f"ALTER TABLE {change}")

    for look in (check_schema, migrate, pending_migrations):
        with pytest.raises(SchemaFault) as caught:
            look(database)
        assert str(caught.value).startswith("the tables do not fit: column ")
        assert said in str(caught.value)


def test_a_domain_is_looked_into(database: Database, database_url: str) -> None:
    execute(
        database_url,
        "CREATE DOMAIN whole AS bigint; CREATE DOMAIN cents AS numeric(12,1) CHECK (value >= 0);"
        "ALTER TABLE products ALTER stock_quantity TYPE whole, ALTER price TYPE cents",
    )

    with pytest.raises(SchemaFault) as caught:
        check_schema(database)

    said = (
        "column products.price is numeric(12,1), which does not hold every value of numeric(12,2)"
    )
    assert str(caught.value) == f"the tables do not fit: {said}"


@pytest.mark.parametrize(
    "change",
    [
        "products ALTER price TYPE numeric",
        "products ALTER price TYPE numeric(20,4)",
        "products ALTER name TYPE varchar(200)",
        "products ALTER name TYPE varchar",
        "products ALTER name DROP NOT NULL",
        "products ALTER stock_quantity TYPE integer",
        "products ALTER created_at SET DEFAULT CURRENT_TIMESTAMP",
        "products ALTER created_at SET DEFAULT now()",
        "products ALTER stock_quantity TYPE numeric(12)",
        "products ADD colour text",
        "products ADD colour text NOT NULL DEFAULT 'red'",
        "products ADD CHECK (price < 1000)",
        "products ADD search tsvector GENERATED ALWAYS AS (to_tsvector('simple', name)) STORED",
        "products ADD number bigint GENERATED ALWAYS AS IDENTITY",
        "orders ALTER priority DROP DEFAULT",
        "orders ALTER id TYPE integer",
        "products DROP CONSTRAINT products_price_check, ADD CHECK (price > 0)",
        "orders DROP CONSTRAINT orders_user_id_fkey, ADD FOREIGN KEY (user_id) REFERENCES users",
        "outbox ALTER claimed_at TYPE timestamptz(0)",
        "users ADD UNIQUE (full_name)",
    ],
)
def test_what_holds_every_value_is_taken(
    database: Database, database_url: str, change: str
) -> None:
    execute(database_url, f"ALTER TABLE {change}")

    assert check_schema(database) == []
    assert migrate(database) == []


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ("users DROP CONSTRAINT users_email_key", "users.email"),
        ("users DROP CONSTRAINT users_username_key", "users.username"),
        ("processed_requests DROP CONSTRAINT processed_requests_pkey", "processed_requests.id"),
        ("outbox DROP CONSTRAINT outbox_pkey", "outbox.id"),
    ],
)
def test_a_unique_index_that_is_gone_is_told(
    database: Database, database_url: str, change: str, column: str
) -> None:
    execute(database_url, f"ALTER TABLE {change}")

    (said,) = check_schema(database)

    assert said.startswith(f"column {column} has no unique index: ")


@pytest.mark.parametrize(
    ("constraint", "said"),
    [
        ("orders_user_id_fkey", "column orders.user_id has no foreign key to users: "),
        ("order_items_order_id_fkey", "column order_items.order_id has no foreign key to orders: "),
        ("order_items_product_id_fkey", "order_items.product_id has no foreign key to products: "),
        ("products_price_check", "column products.price has no CHECK: "),
        ("products_stock_quantity_check", "column products.stock_quantity has no CHECK: "),
        ("orders_status_check", "column orders.status has no CHECK: "),
        ("orders_priority_check", "column orders.priority has no CHECK: "),
        ("orders_total_amount_check", "column orders.total_amount has no CHECK: "),
        ("order_items_quantity_check", "column order_items.quantity has no CHECK: "),
        ("order_items_unit_price_check", "column order_items.unit_price has no CHECK: "),
        ("processed_requests_outcome_check", "processed_requests.outcome has no CHECK: "),
        ("users_can_be_told", "table users has no constraint users_can_be_told: "),
        ("order_items_can_be_told", "table order_items has no constraint order_items_can_be_told"),
    ],
)
def test_a_constraint_that_is_gone_is_told(
    database: Database, database_url: str, constraint: str, said: str
) -> None:
    table = next(one for one in CONSTRAINED if constraint.startswith(f"{one}_"))
    execute(database_url, f"ALTER TABLE {table} DROP CONSTRAINT {constraint}")

    (told,) = check_schema(database)

    assert said in told
    assert migrate(database) == []


def test_a_unique_index_on_an_expression_will_do(database: Database, database_url: str) -> None:
    execute(
        database_url,
        "ALTER TABLE users DROP CONSTRAINT users_email_key; "
        "CREATE UNIQUE INDEX ON users (lower(email))",
    )

    assert check_schema(database) == []


def test_a_citext_column_is_taken(database: Database, database_url: str) -> None:
    execute(database_url, "CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext")
    execute(database_url, "ALTER TABLE users ALTER email TYPE ext.citext")

    check_schema(database)


def test_a_table_that_is_gone_is_named(database: Database, database_url: str) -> None:
    execute(database_url, "DROP TABLE message_tries")

    with pytest.raises(SchemaFault, match="table message_tries is missing"):
        check_schema(database)


RAILS = "CREATE TABLE schema_migrations (version varchar PRIMARY KEY)"


def test_the_migrations_of_another_program_are_not_taken_for_orderds(
    unmigrated: Database, empty_database_url: str
) -> None:
    execute(empty_database_url, RAILS)

    for look in (check_schema, migrate, pending_migrations):
        with pytest.raises(SchemaFault) as caught:
            look(unmigrated)
        assert str(caught.value) == (
            "public.schema_migrations of role postgres is not orderd's: it has the columns "
            "version; give orderd a schema of its own, first in search_path"
        )


def test_a_table_of_another_program_in_the_place_of_orderds_is_named(
    unmigrated: Database, empty_database_url: str
) -> None:
    execute(empty_database_url, "CREATE TABLE orders (id int)")

    for look in (check_schema, migrate, pending_migrations):
        with pytest.raises(SchemaFault) as caught:
            look(unmigrated)
        assert str(caught.value) == (
            "public.orders of role postgres was not created by orderd; "
            "give orderd a schema of its own, first in search_path"
        )


def test_a_schema_of_its_own_goes_before_the_migrations_of_another_program(
    empty_database_url: str,
) -> None:
    execute(empty_database_url, f"{RAILS}; CREATE SCHEMA shop; CREATE TABLE users (id int)")

    with closing(Database(in_schema(empty_database_url, "shop,public"))) as database:
        assert migrate(database)[0] == "0001_create_shop"
        check_schema(database)


def test_a_decoy_earlier_in_search_path_is_named(database_url: str) -> None:
    execute(database_url, "CREATE SCHEMA app; CREATE TABLE app.users (LIKE public.users)")

    with closing(Database(in_schema(database_url, "app,public"))) as database:
        for look in (check_schema, migrate, pending_migrations):
            with pytest.raises(SchemaFault) as caught:
                look(database)
            assert str(caught.value) == (
                "the name users leads to app.users of role postgres, but orderd's tables are in "
                "public: put that first in search_path, which is app,public"
            )


def test_nothing_of_a_decoy_is_altered(database_url: str) -> None:
    execute(
        database_url,
        "CREATE SCHEMA app; CREATE TABLE app.outbox (id bigint); "
        "DELETE FROM schema_migrations WHERE version = 6",
    )

    with (
        closing(Database(in_schema(database_url, "app,public"))) as database,
        pytest.raises(SchemaFault, match=r"leads to app\.outbox"),
    ):
        migrate(database)

    execute(database_url, "INSERT INTO app.outbox VALUES (1)")


def test_a_view_in_the_place_of_a_table_is_refused(database: Database, database_url: str) -> None:
    execute(
        database_url,
        "ALTER TABLE products RENAME TO goods; CREATE VIEW products AS SELECT * FROM goods",
    )

    with pytest.raises(SchemaFault, match=r"public\.products of role \w+ is not a table"):
        check_schema(database)


def test_a_table_that_is_locked_is_looked_at_without_waiting(
    database: Database, database_url: str
) -> None:
    with closing(psycopg2.connect(database_url)) as session, session, session.cursor() as cursor:
        cursor.execute("LOCK TABLE users, products, orders, outbox")

        check_schema(database)
