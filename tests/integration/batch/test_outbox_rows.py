"""Rows of the outbox are deleted with the event that was confirmed, never with another one."""

from orderd.db.connection import Database
from orderd.outbox.rows import Confirmed, OutboxRow, insert_rows

SENT = OutboxRow(7, "00000000-0000-4000-8000-000000000001", "order.created", "{}")
OTHER = SENT._replace(message_id="00000000-0000-4000-8000-000000000002")


def test_a_row_that_has_the_id_of_a_confirmed_one_is_not_deleted_for_it(database_url: str) -> None:
    database = Database(database_url)
    confirmed = Confirmed()
    confirmed.add([(SENT.id, SENT.message_id)])
    try:
        with database.transaction() as tx:
            # Somebody has emptied the table, and ids are given once more.
            insert_rows(tx, [OTHER])
        with database.transaction() as tx:
            confirmed.delete(tx)
        with database.transaction() as tx:
            rows = tx.rows("list_outbox", rows_max=10)
        assert [row[1] for row in rows] == [OTHER.message_id]

        confirmed.forget_deleted()
        confirmed.add([(OTHER.id, OTHER.message_id)])
        with database.transaction() as tx:
            confirmed.delete(tx)
        with database.transaction() as tx:
            assert tx.rows("list_outbox", rows_max=10) == []
    finally:
        database.close()
