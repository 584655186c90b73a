"""`orderctl demo`: run the reference scenario as a producer of its own, and check its end."""

import argparse
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from orderd.ctl.client import Client, Reply, Request, client_of
from orderd.ctl.commands.orders import ORDERS
from orderd.ctl.commands.products import PRODUCTS
from orderd.ctl.console import Console
from orderd.ctl.context import Context
from orderd.ctl.demo_scenario import END_ORDERS, END_PRODUCTS, STEPS, Step
from orderd.ctl.entity import table_of
from orderd.ctl.errors import Failure
from orderd.ctl.request import add_timeout_argument, add_token_argument, token_of
from orderd.ctl.tables import printable
from orderd.protocol.exit_codes import ExitCode
from orderd.protocol.names import Queue

TIMEOUT_S: Final = 10.0
WANTS_EMPTY: Final = "the demo requires an empty database in which nothing was ever created"


def register(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_token_argument(parser)
    add_timeout_argument(parser, TIMEOUT_S)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, context: Context) -> int:
    """Run step after step, show replies and end tables; a failure where one is not as it should."""
    with client_of(context.settings) as client:
        return Demo(client, context.console, token_of(options), options.timeout_s).run()


class Demo:
    """One run of the scenario; each step waits for the outcome of the one before."""

    def __init__(
        self, client: Client, console: Console, token: str | None, timeout_s: float
    ) -> None:
        self._client = client
        self._console = console
        self._token = token
        self._timeout_s = timeout_s
        # Ids of this run: the ledger would answer those of an earlier one with its replies.
        self._run_id = uuid.uuid4()

    def run(self) -> int:
        """Return the exit code; raises Failure where the scenario cannot go on."""
        self._refuse_used_database()
        replies = [self._step(number, step) for number, step in enumerate(STEPS, start=1)]
        products, orders = self._rows(Queue.PRODUCT), self._rows(Queue.ORDER)
        found = differences("product", END_PRODUCTS, products)
        found += differences("order", END_ORDERS, orders)
        if self._console.is_json:
            self._console.document(
                {
                    "ok": not found,
                    "replies": [reply.document for reply in replies],
                    "products": products,
                    "orders": orders,
                    "differences": found,
                }
            )
        else:
            self._show_end(products, orders)
        for difference in found:
            self._console.complain(difference)
        return ExitCode.FAILED if found else ExitCode.DONE

    def _refuse_used_database(self) -> None:
        for queue in Queue:
            total = self._ask(queue, {"limit": 1})["total"]
            if total != 0:
                count = "over 10000" if total is None else total
                raise Failure(f"there are {queue}s already ({count}): {WANTS_EMPTY}")

    def _step(self, number: int, step: Step) -> Reply:
        request_id = f"demo-{self._run_id}-{number}"
        request = Request(step.queue, step.action, step.content, request_id, token=self._token)
        reply = self._client.call(request, self._timeout_s)
        if not self._console.is_json:
            line = f"{number:2}. {step.queue} {step.action}"
            self._console.line(f"{line:<29} → {printable(outcome(step, reply))}")
            self._console.flush()
        problem = fault(step, reply)
        if problem is not None:
            raise Failure(f"step {number}: {problem}; {WANTS_EMPTY}")
        return reply

    def _rows(self, queue: Queue) -> Any:
        return self._ask(queue, {})["items"]

    def _ask(self, queue: Queue, content: Mapping[str, Any]) -> Any:
        request = Request(queue, "list", content, token=self._token)
        return self._client.ask(request, self._timeout_s)

    def _show_end(self, products: Any, orders: Any) -> None:
        for entity, rows in ((PRODUCTS, products), (ORDERS, orders)):
            self._console.line()
            self._console.table(table_of(entity.columns, rows))


def outcome(step: Step, reply: Reply) -> str:
    """Return what came of *step*, in one line."""
    if reply.error is not None:
        word = "refused" if step.refusal is not None else "failed"
        return f"{word}: {reply.error}"
    row = reply.content()
    match step.queue:
        case Queue.USER:
            return f"user {row['id']} {row['username']}"
        case Queue.PRODUCT:
            numbers = f"{row['price']}, {row['stock_quantity']} in stock"
            return f"product {row['id']} {row['name']}: {numbers}"
        case _:
            return f"order {row['id']}: {row['status']}, total {row['total_amount']}"


def fault(step: Step, reply: Reply) -> str | None:
    """Return how *reply* differs from what *step* should come to, None where it does not."""
    if step.refusal is not None:
        if reply.document.get("code") == step.refusal:
            return None
        return f"expected a refusal with {step.refusal}; got {reply.error or 'ok'}"
    if reply.error is not None:
        return f"expected ok; got {reply.error}"
    row_id = reply.content()["id"]
    return None if row_id == step.row_id else f"expected id {step.row_id}; got {row_id}"


def differences(
    kind: str, wanted: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Return each field of *rows* that is not as *wanted*, in words."""
    if [row["id"] for row in rows] != [row["id"] for row in wanted]:
        return [f"{kind}s: expected {len(wanted)}, with ids from 1"]
    return [
        f"{kind} {row['id']}: {name}: expected {value}; got {row[name]}"
        for fields, row in zip(wanted, rows, strict=True)
        for name, value in fields.items()
        if not _matches(value, row[name])
    ]


def _matches(wanted: Any, found: Any) -> bool:
    """Return whether *found* has all that is *wanted*; it may have more fields."""
    if isinstance(wanted, Mapping):
        return all(_matches(value, found[name]) for name, value in wanted.items())
    if isinstance(wanted, list):
        return len(wanted) == len(found) and all(map(_matches, wanted, found))
    return bool(wanted == found)
