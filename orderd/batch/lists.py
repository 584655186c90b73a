"""Pages of rows: the queries that read the tables themselves and not the rows of a batch."""

from orderd.batch.load import orders_with_items
from orderd.contract import commands
from orderd.contract.rows import Product, Row, User
from orderd.db.transaction import Transaction
from orderd.domain.outcomes import Answered


def answer_list(tx: Transaction, content: commands.List) -> Answered:
    """Return the page that *content* asks for: its items, the next page's `after`, the total."""
    page = {"after": content.after or 0, "limit": content.limit}
    rows: list[Row]
    match content:
        case commands.UserList():
            rows = [User(*row) for row in tx.rows("list_users", **page)]
            (total,) = tx.row("count_users")
        case commands.ProductList(in_stock=in_stock):
            rows = [Product(*row) for row in tx.rows("list_products", in_stock=in_stock, **page)]
            (total,) = tx.row("count_products", in_stock=in_stock)
        case commands.OrderList(status=status, user_id=user_id):
            wanted = {"status": status, "user_id": user_id}
            rows = list(orders_with_items(tx, tx.rows("list_orders", **wanted, **page)))
            (total,) = tx.row("count_orders", **wanted)
        case _:
            raise TypeError(f"{type(content).__name__} is not a list")
    # A full page may be the last one; the page after it is then empty.
    following = rows[-1].id if len(rows) == content.limit else None
    items = ",".join(row.json() for row in rows)
    return Answered(
        f'{{"items":[{items}],"next":{"null" if following is None else following},"total":{total}}}'
    )
