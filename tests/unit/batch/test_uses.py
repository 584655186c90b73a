"""What every action needs of which tables is on record, for none can be forgotten unseen."""

from orderd.batch.uses import SHARED, TRIES, USES
from orderd.contract.commands import MODELS
from orderd.domain.needs import needs_of
from orderd.domain.world import Table
from tests.support.commands import command

KNOWN = {str(table) for table in Table} | {*SHARED, TRIES}


def test_every_action_has_its_tables() -> None:
    models = {model for version in MODELS.values() for model in version.values()}

    assert models <= USES.keys()
    assert {table for uses in USES.values() for table in uses} <= KNOWN


def test_whoever_makes_rows_writes_their_table() -> None:
    lines = [{"product_id": 1, "quantity": 1}]
    for one in (
        command("user", "create", {"username": "ann", "email": "ann@x.org"}),
        command("product", "create", {"name": "lamp", "price": 1, "stock_quantity": 1}),
        command("order", "create", {"user_id": 1, "items": lines}),
        command("order", "update", {"order_id": 1, "items": lines}),
    ):
        made = {str(table) for table, count in needs_of([one]).new_rows.items() if count}

        assert made <= {*USES[type(one.content)], *SHARED}
