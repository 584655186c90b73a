"""Whether the books are right after a run: what was sent, beside what is in tables and queues."""

from typing import Final

from bench.orders import Workload, sold
from bench.systems import System
from bench.world import EVENTS_QUEUE, OLD_ORDERS, STOCK, Arena

COUNTS: Final = """
    SELECT
        (SELECT count(*) FROM orders) - %(old)s,
        (SELECT count(*) FROM order_items WHERE order_id > %(old)s),
        (
            SELECT count(*) FROM orders WHERE id > %(old)s AND total_amount IS DISTINCT FROM (
                SELECT sum(quantity * unit_price) FROM order_items WHERE order_id = orders.id
            )
        ),
        (SELECT count(*) FROM processed_requests) - %(ledger)s,
        (SELECT count(*) FROM outbox)
"""
TAKEN: Final = """
    SELECT id, %(stock)s - stock_quantity FROM products WHERE stock_quantity <> %(stock)s
"""
IN_LINES: Final = """
    SELECT product_id, sum(quantity)::bigint FROM order_items WHERE order_id > %(old)s GROUP BY 1
"""


def faults(arena: Arena, system: System, workload: Workload, ledger_rows: int) -> list[str]:
    """Return one line for each thing that is not as it must be; none where the books are right.

    Each order is there once, with its lines and their total; what the stock lacks is what the lines
    took, and what was ordered. Ledger, outbox and events are looked at where the system claims
    them.
    """
    ((orders, lines, wrong_totals, ledger, outbox),) = arena.query(
        COUNTS, old=OLD_ORDERS, ledger=ledger_rows
    )
    taken = dict(arena.query(TAKEN, stock=STOCK))
    in_lines = dict(arena.query(IN_LINES, old=OLD_ORDERS))
    found = [
        _difference("orders", orders, workload.count),
        _difference("order lines", lines, workload.count * workload.items),
        # pgbench writes the same total in each order.
        _difference("orders with a wrong total", wrong_totals if system.needs_broker else 0, 0),
        _difference("ledger rows", ledger, workload.count) if system.has_ledger else None,
        _difference("rows left in the outbox", outbox, 0) if system.empties_outbox else None,
        None if taken == in_lines else "the stock lacks something else than the lines took",
    ]
    if system.needs_broker:
        expected = dict(sold(workload))
        found += [
            None if in_lines == expected else "the lines took something else than was ordered",
            _difference("messages left", arena.waiting(system.queue)[0], 0),
            _events(arena, workload) if system.has_events else None,
        ]
    return [each for each in found if each is not None]


def _events(arena: Arena, workload: Workload) -> str | None:
    return _difference("events", arena.waiting(EVENTS_QUEUE)[0], workload.count)


def _difference(what: str, found: int, expected: int) -> str | None:
    return None if found == expected else f"{found:,} {what} instead of {expected:,}"
