"""The values that the labels of orderd's metrics can have: all that the shop's registry knows."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from orderd.pipeline.measures import Labels
from orderd.protocol.metrics import NO_CODE, OTHER
from orderd.protocol.names import (
    POISON,
    RETRIES_EXHAUSTED,
    DeferralCode,
    InvalidCode,
    OutcomeName,
    Queue,
    RefusalCode,
    UnavailableCode,
)
from orderd.shop.entity import Action, Entity, refusal_event
from orderd.shop.registry import SHOP, actions_of

_QUARANTINED: Final = (OutcomeName.QUARANTINED, [NO_CODE])


def shop_labels() -> Labels:
    """Return the labels of the daemon that applies commands."""
    return Labels(
        queues=tuple(map(str, Queue)),
        messages=tuple(_all_messages()),
        events=tuple(event for entity in SHOP.entities for event in _events_of(entity)),
        retries=(*map(str, DeferralCode), NO_CODE),
        dead_letters=(*map(str, InvalidCode), RETRIES_EXHAUSTED, POISON),
    )


def _all_messages() -> Iterator[tuple[str, str, str, str]]:
    for entity in SHOP.entities:
        queue = str(entity.queue)
        for action in actions_of(entity):
            for outcome, codes in _outcomes_of(action):
                for code in codes:
                    yield queue, action.name, str(outcome), str(code)
        for outcome, codes in ((OutcomeName.INVALID, [*InvalidCode]), _QUARANTINED):
            for code in codes:
                yield queue, OTHER, str(outcome), str(code)


def _outcomes_of(action: Action[Any]) -> Iterator[tuple[OutcomeName, Iterable[str]]]:
    """Yield how messages with *action* can end, each with the codes of it."""
    refusals = [*RefusalCode, *(code for entity in SHOP.entities for code in entity.refusals)]
    yield OutcomeName.REFUSED, refusals
    yield OutcomeName.DEFERRED, [*DeferralCode, NO_CODE]
    yield _QUARANTINED
    if action.owner is not None:
        yield OutcomeName.INVALID, [InvalidCode.FORBIDDEN]
    if action.is_change:
        yield OutcomeName.APPLIED, [NO_CODE]
        yield OutcomeName.DUPLICATE, [NO_CODE]
        yield OutcomeName.INVALID, [InvalidCode.INVALID_DATA, InvalidCode.ID_CONFLICT]
    else:
        yield OutcomeName.ANSWERED, [NO_CODE]
        yield OutcomeName.UNAVAILABLE, [*UnavailableCode]
        yield OutcomeName.INVALID, [InvalidCode.INVALID_DATA]


def _events_of(entity: Entity) -> list[str]:
    return sorted({*map(str, entity.events), refusal_event(entity.queue)})
