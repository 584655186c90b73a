"""The values that the labels of orderd-notify's metrics can have."""

from collections.abc import Iterator
from typing import Final

from orderd.notify.notice import OTHER_TYPE, PLAIN
from orderd.pipeline.measures import Labels
from orderd.protocol.metrics import NO_CODE, OTHER
from orderd.protocol.names import (
    POISON,
    RETRIES_EXHAUSTED,
    UNDELIVERABLE,
    DeferralCode,
    InvalidCode,
    NoticeQueue,
    OutcomeName,
)
from orderd.protocol.notifications import TYPES, Audience

_INVALID: Final = (InvalidCode.MALFORMED, InvalidCode.INVALID_DATA, InvalidCode.TOO_LARGE)
_DEFERRED: Final = (DeferralCode.TRANSIENT, DeferralCode.UNEXPECTED)
_AUDIENCES: Final = {NoticeQueue.USER: Audience.USERS, NoticeQueue.ADMIN: Audience.ADMINS}


def notice_labels() -> Labels:
    """Return the labels of the daemon that sends notifications."""
    return Labels(
        queues=tuple(map(str, NoticeQueue)),
        messages=tuple(_messages()),
        events=(),
        retries=(*map(str, _DEFERRED), NO_CODE),
        dead_letters=(*map(str, _INVALID), UNDELIVERABLE, RETRIES_EXHAUSTED, POISON),
    )


def _messages() -> Iterator[tuple[str, str, str, str]]:
    for queue, audience in _AUDIENCES.items():
        actions = [*map(str, TYPES[audience]), PLAIN, OTHER_TYPE]
        for action in actions:
            for outcome, code in _outcomes():
                yield str(queue), action, str(outcome), str(code)
        for code in _INVALID:
            for action in {*actions, OTHER}:
                yield str(queue), action, str(OutcomeName.INVALID), str(code)
        yield str(queue), OTHER, str(OutcomeName.QUARANTINED), NO_CODE


def _outcomes() -> Iterator[tuple[OutcomeName, str]]:
    yield OutcomeName.APPLIED, NO_CODE
    yield OutcomeName.REFUSED, UNDELIVERABLE
    for code in (*_DEFERRED, NO_CODE):
        yield OutcomeName.DEFERRED, str(code)
