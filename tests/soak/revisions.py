"""Of every row, each change made one revision, and the events that tell of it bear the numbers."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from tests.soak.evidence import Evidence, Heard


def misnumbered(found: Evidence) -> Iterator[str]:
    """Return what is amiss with revisions and sequences; the copies of an event count once."""
    by_subject: dict[str, list[Heard]] = defaultdict(list)
    for one in {one.event_id: one for one in found.events}.values():
        if one.sequence is not None:
            by_subject[one.subject].append(one)
        elif not one.type.endswith(".refused"):
            yield f"{one.type} of {one.subject} has no sequence"
    moves: Counter[str] = Counter()
    for subject, events in by_subject.items():
        events.sort(key=lambda one: one.sequence or 0)
        yield from _unlike_their_rows(subject, events)
        if subject.startswith("order/"):
            moves.update(_moved_by(events))
    for subject, revision in found.revisions.items():
        changes = [one for one in by_subject[subject] if not one.type.endswith(".created")]
        due = 1 + len(changes) + moves[subject]
        if revision != due:
            yield f"{subject} has revision {revision}, should have {due}"


def _unlike_their_rows(subject: str, events: Sequence[Heard]) -> Iterator[str]:
    sequences = [one.sequence for one in events]
    if len(set(sequences)) < len(sequences):
        yield f"{subject} has events that share a sequence: {sequences}"
    for one in events:
        if one.sequence != one.content["revision"]:
            yield f"{one.type} of {subject}: sequence {one.sequence} of another row"
    # Orders make revisions of products that no event of the product's own tells of.
    first = 1 if events[0].type.endswith(".created") else 2
    due = list(range(first, first + len(events)))
    if sequences != due and not subject.startswith("product/"):
        yield f"{subject} has events of the sequences {sequences}"


def _moved_by(events: Sequence[Heard]) -> Counter[str]:
    """Return how often the order of these events has changed the stock of each product."""
    moves: Counter[str] = Counter()
    held: dict[int, int] = {}
    for one in events:
        kept = {item["product_id"]: item["quantity"] for item in one.content["items"]}
        now = {} if one.type == "order.cancelled" else kept
        moves.update(f"product/{p}" for p in held | now if held.get(p, 0) != now.get(p, 0))
        held = now
    return moves
