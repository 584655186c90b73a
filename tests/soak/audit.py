"""The audit: what was sent against what the servers hold; every sentence it returns is a violation.

A request is *lost* when its effect, event, reply or dead letter is missing, done *twice* when
any of that is there a second time, a *phantom* is an event without its commit, and *burnt* is an
attempt that no message deserved.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from tests.soak.evidence import Entry, Evidence
from tests.soak.load import Load
from tests.soak.revisions import misnumbered
from tests.soak.workload import Kind, Request

TRANSITIONS = ("order.processing", "order.shipped", "order.cancelled")


@dataclass(frozen=True, slots=True)
class Pardon:
    """What a fault may bring about: codes of attempts, requests that are poison.

    A daemon that is killed after an ack leaves the record of that message's try behind.
    """

    deferred: AbstractSet[str] = frozenset()
    poison: AbstractSet[str] = frozenset()
    is_killing: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """The violations, by what the figures count."""

    lost: list[str] = field(default_factory=list)
    twice: list[str] = field(default_factory=list)
    phantom: list[str] = field(default_factory=list)
    burnt: list[str] = field(default_factory=list)

    @property
    def all(self) -> list[str]:
        return [*self.lost, *self.twice, *self.phantom, *self.burnt]


def audit(load: Load, found: Evidence, pardon: Pardon) -> Verdict:
    """Return every violation of what orderd promises."""
    sure = {token: load.requests[token] for token, copies in load.confirmed.items() if copies}
    return Verdict(
        lost=[*_unsettled(sure, found, pardon), *_untold(found), *_unheard(load.requests, found)],
        twice=[
            *_repeated(found),
            *_miscounted(load.requests, found),
            *_contradicted(load.requests, found),
            *misnumbered(found),
        ],
        phantom=[*_phantoms(load.requests, found)],
        burnt=[*_burnt(found, pardon)],
    )


def _unsettled(sure: dict[str, Request], found: Evidence, pardon: Pardon) -> Iterator[str]:
    """Every confirmed request ends in exactly one place, and is answered."""
    letters = Counter(letter.body for letter in found.letters)
    for token, request in sure.items():
        is_lettered = letters[request.message.body] > 0
        is_recorded = token in found.ledger
        match request.kind:
            case Kind.RECORDED if is_lettered and is_recorded and token not in pardon.poison:
                yield f"{token} is in the ledger and in the dead letters"
            case Kind.RECORDED if not (is_recorded or is_lettered):
                yield f"{token} is neither in the ledger nor in the dead letters"
            case Kind.INVALID if not is_lettered or is_recorded:
                yield f"{token} is invalid and not in the dead letters"
        if token not in found.replies and token not in pardon.poison:
            yield f"{token} was not answered"
    for queue, count in found.queued.items():
        yield f"{count} messages are left in {queue}"


def _untold(found: Evidence) -> Iterator[str]:
    """What the tables hold has been told: nothing waits in the outbox."""
    if found.outbox:
        yield f"{found.outbox} events wait in the outbox"
    told = {(one.type, one.content.get("id")) for one in found.events}
    for order_id, status in found.orders.items():
        event = "order.created" if status == "pending" else f"order.{status}"
        if (event, order_id) not in told:
            yield f"order {order_id} is {status}, and no {event} was heard"


def _unheard(requests: dict[str, Request], found: Evidence) -> Iterator[str]:
    """Every recorded request that has changed something, or was refused, has its event."""
    told = {(one.type, one.token) for one in found.events}
    for token, entry in found.ledger.items():
        request = requests.get(token)
        if request is None:
            yield f"{token} is in the ledger and was never sent"
        elif (event := _event(request, entry)) and (event, token) not in told:
            yield f"{token} is {entry.outcome}, and no {event} was heard"


def _repeated(found: Evidence) -> Iterator[str]:
    """No effect is there twice: no second event of a request, no second row, no second way."""
    ids = defaultdict(set)
    contents: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in found.events:
        ids[one.token].add(one.event_id)
        if one.content not in contents[one.event_id]:
            contents[one.event_id].append(one.content)
        if one.type in TRANSITIONS:
            ids[f"{one.type} of order {one.content['id']}"].add(one.event_id)
    for name, event_ids in ids.items():
        if len(event_ids) > 1:
            yield f"{name} has {len(event_ids)} events"
    for event_id, different in contents.items():
        if len(different) > 1:
            yield f"event {event_id} came with different contents"
    for name, count in Counter(found.names).items():
        if count > 1:
            yield f"{name} was made {count} times"


def _miscounted(requests: dict[str, Request], found: Evidence) -> Iterator[str]:
    """Stock, orders and sums are those of the applied requests, each counted once."""
    applied = {token for token, entry in found.ledger.items() if entry.outcome == "applied"}
    moved: Counter[int] = Counter()
    for token in applied & requests.keys():
        product_id, delta = requests[token].moved
        moved[product_id] += delta
    for product_id, (stock, due) in found.stocks.items():
        if stock < 0 or stock != due + moved[product_id]:
            yield f"product {product_id} has {stock}, should have {due + moved[product_id]}"
    for wrong in found.wrong_sums:
        yield f"order {wrong[0]} has the total {wrong[1]}, its items {wrong[2]}"
    made = [entry.row["id"] for entry in _entries(found, applied, "order.created", requests)]
    if sorted(made) != sorted(found.orders):
        yield f"{len(found.orders)} orders for {len(made)} applied requests, or others"
    names = {token for token in applied & requests.keys() if _names_itself(requests[token])}
    for token in names ^ {name for name in found.names if name in requests}:
        yield f"{token} is in the ledger or in the tables, not in both"


def _contradicted(requests: dict[str, Request], found: Evidence) -> Iterator[str]:
    """All replies to a request are identical; those to a query are of their moment."""
    for token, bodies in found.replies.items():
        is_query = token in requests and requests[token].kind is Kind.QUERY
        if len(set(bodies)) > 1 and not is_query:
            yield f"{token} has {len(set(bodies))} different replies"


def _phantoms(requests: dict[str, Request], found: Evidence) -> Iterator[str]:
    """No event is there whose request the ledger does not hold, or holds otherwise."""
    for one in found.events:
        entry = found.ledger.get(one.token or "")
        if entry is None or one.token is None:
            yield f"{one.type} of {one.token}, which is not in the ledger"
        elif one.type != _event(requests[one.token], entry, is_sure=False):
            yield f"{one.type} of {one.token}, which is {entry.outcome}"
        elif entry.outcome == "applied" and one.content["id"] != entry.row["id"]:
            yield f"{one.type} of {one.token} tells of row {one.content['id']}, not of its own"


def _burnt(found: Evidence, pardon: Pardon) -> Iterator[str]:
    """No attempt, and no dead letter, comes of a fault that is no message's own."""
    for code in found.deferred:
        if code not in pardon.deferred:
            yield f"an attempt was spent: {code}"
    for letter in found.letters:
        code = letter.headers["orderd-code"]
        token = (letter.json or {}).get("id") if code == "poison" else None
        if code == "retries_exhausted" or (code == "poison" and token not in pardon.poison):
            yield f"dead letter {code}: {letter.body[:80]!r}"
        if letter.headers["orderd-attempt"] and not pardon.deferred:
            yield f"dead letter after {letter.headers['orderd-attempt']} attempts"
    if found.tries and not pardon.is_killing:
        yield f"{found.tries} messages are still suspected"


def _event(request: Request, entry: Entry, *, is_sure: bool = True) -> str:
    """Return the type of the event that a request must have, empty where it may have none."""
    if entry.outcome == "refused":
        return f"{request.message.queue}.refused"
    return request.event if request.is_told_always or not is_sure else ""


def _entries(
    found: Evidence, applied: AbstractSet[str], event: str, requests: dict[str, Request]
) -> Iterator[Entry]:
    return (
        found.ledger[token] for token in applied & requests.keys() if requests[token].event == event
    )


def _names_itself(request: Request) -> bool:
    return request.event in ("user.created", "product.created")
