"""What each request is to be told, when they come one after the other.

The ids of new rows are the database's to choose, so they are taken from what was told.
"""

from collections.abc import Sequence
from dataclasses import replace

from tests.acceptance.state_machine.reference_model import Event, ReferenceModel, Request, Row, Told
from tests.acceptance.state_machine.rules import RULES, Change, No


def tell(
    model: ReferenceModel, request: Request, reply: Row
) -> tuple[ReferenceModel, Told, Sequence[Event]]:
    """Return the reference model after *request*, what it is told, and its events.

    *reply* is what it was told in fact; only the ids of new rows are taken from it.
    """
    if request.spoilt:
        return model, Told(None, request.spoilt), ()
    known = None if request.is_query else model.ledger.get(request.id)
    if known is not None:
        content, told = known
        return model, told if content == request.content else Told(None, "id_conflict"), ()
    if request.id in model.cursed and not request.is_query:
        return model, Told(None, "retries_exhausted"), ()
    try:
        change = RULES[request.queue, request.action](model, request.data, reply["data"] or {})
    except No as no:
        return _noted(model, request, no.told), no.told, _refusal(request, no.told)
    subject = f"{request.queue}/{change.row['id']}"
    events = [(event, subject, row) for event, row in change.events]
    return _changed(model, request, change), Told(change.row), events


def _changed(model: ReferenceModel, request: Request, change: Change) -> ReferenceModel:
    model = replace(
        model,
        users={**model.users, **{row["id"]: row for row in change.users}},
        products={**model.products, **{row["id"]: row for row in change.products}},
        orders={**model.orders, **{row["id"]: row for row in change.orders}},
    )
    return _noted(model, request, Told(change.row))


def _noted(model: ReferenceModel, request: Request, told: Told) -> ReferenceModel:
    if request.is_query:
        return model
    return replace(model, ledger={**model.ledger, request.id: (request.content, told)})


def _refusal(request: Request, told: Told) -> Sequence[Event]:
    if request.is_query:
        return ()
    named = request.data.get("order_id") or request.data.get("id")
    subject = f"{request.queue}/{named}" if named else request.queue
    said = {"action": request.action, "code": told.code, "id": request.id}
    return [(f"{request.queue}.refused", subject, said)]
