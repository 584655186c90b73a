"""Examples of notifications: there is one of each type, and the package's templates take it."""

import pytest

from orderd.notify.notice import Notice, decode
from orderd.notify.routes import DIGEST, context_of
from orderd.notify.samples import USER, digest_context, sample_of
from orderd.notify.templates import Templates
from orderd.protocol.notifications import TYPES
from orderd.protocol.strict_json import dumps
from tests.unit.notify.notices import BODY_BYTES_MAX

KINDS = [*(str(each) for types in TYPES.values() for each in types), "user.moved", "admin.backup"]


@pytest.mark.parametrize("kind", KINDS)
def test_each_type_has_an_example_that_its_queue_takes(kind: str) -> None:
    sample = sample_of(kind)
    assert sample is not None
    notice = decode(sample.queue, dumps(sample.content).encode(), None, 0, BODY_BYTES_MAX)
    assert isinstance(notice, Notice), notice

    text = Templates("").render(kind, context_of(notice, USER if notice.user_id else None))

    assert notice.type == kind
    assert text.subject
    assert text.text.strip()


def test_a_digest_has_an_example() -> None:
    assert Templates("").render(DIGEST, digest_context()).subject == "3 x product.out_of_stock"


@pytest.mark.parametrize("kind", ["order.lost", "order", "", "system.exploded"])
def test_what_cannot_come_has_none(kind: str) -> None:
    assert sample_of(kind) is None
