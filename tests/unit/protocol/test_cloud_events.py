"""Ids of events: random, and UUIDs as other programs read them."""

import uuid

from orderd.protocol.cloud_events import new_id

COUNT = 2_000


def test_ids_are_random_uuids() -> None:
    ids = [new_id() for _ in range(COUNT)]

    read = [uuid.UUID(each) for each in ids]
    assert [str(each) for each in read] == ids
    assert {(each.version, each.variant) for each in read} == {(4, uuid.RFC_4122)}
    assert len(set(ids)) == COUNT


def test_each_bit_but_those_of_version_and_variant_is_random() -> None:
    numbers = [uuid.UUID(new_id()).int for _ in range(COUNT)]

    fixed = 0xF << 76 | 0b11 << 62
    once, always = 0, -1
    for number in numbers:
        once |= number
        always &= number
    assert once | fixed == (1 << 128) - 1
    assert always & ~fixed == 0
