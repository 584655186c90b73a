"""The answers of the broker find their messages."""

import random

from orderd.amqp.message import OutgoingMessage, Properties
from orderd.amqp.publish_confirms import PublishConfirms


def message(key: str, body: bytes = b"x", message_id: str | None = None) -> OutgoingMessage:
    return OutgoingMessage("", key, body, Properties(message_id=message_id), mandatory=True)


def receipt_of(count: int, first_tag: int = 1) -> PublishConfirms:
    return PublishConfirms([message(f"q{index}") for index in range(count)], first_tag)


def test_no_messages_need_no_answers() -> None:
    assert receipt_of(0).done


def test_it_is_done_when_every_tag_was_acked_in_whatever_order() -> None:
    confirms = receipt_of(50, first_tag=101)
    tags = list(range(101, 151))
    random.Random(7).shuffle(tags)

    for tag in tags:
        assert not confirms.done
        confirms.settle(tag, multiple=False, nacked=False)

    assert confirms.done
    assert confirms.failed == {}


def test_multiple_answers_all_before_it_and_nothing_after() -> None:
    confirms = receipt_of(10, first_tag=11)
    confirms.settle(17, multiple=False, nacked=False)

    confirms.settle(15, multiple=True, nacked=False)

    assert confirms.unanswered == [5, 7, 8, 9]
    assert confirms.outstanding == 4


def test_answers_to_other_messages_change_nothing() -> None:
    confirms = receipt_of(3, first_tag=11)

    confirms.settle(10, multiple=True, nacked=True)
    confirms.settle(14, multiple=False, nacked=True)

    assert confirms.unanswered == [0, 1, 2]
    assert confirms.failed == {}


def test_a_later_multiple_answers_all() -> None:
    confirms = receipt_of(3, first_tag=11)

    confirms.settle(99, multiple=True, nacked=False)

    assert confirms.done


def test_nacks_name_the_index_of_their_message() -> None:
    confirms = receipt_of(5, first_tag=11)
    confirms.settle(11, multiple=False, nacked=False)

    confirms.settle(13, multiple=True, nacked=True)
    confirms.settle(15, multiple=True, nacked=False)

    assert confirms.done
    assert confirms.failed == {1: "nacked", 2: "nacked"}


def test_a_return_is_matched_by_content_even_when_earlier_messages_are_unanswered() -> None:
    confirms = PublishConfirms([message("a"), message("gone", b"1"), message("gone", b"2")], 1)

    assert confirms.note_return(message("gone", b"2"), "returned: 312 NO_ROUTE")
    confirms.settle(3, multiple=True, nacked=False)

    assert confirms.failed == {2: "returned: 312 NO_ROUTE"}


def test_equal_messages_are_returned_one_after_the_other() -> None:
    confirms = PublishConfirms([message("gone"), message("gone")], 1)

    assert confirms.note_return(message("gone"), "returned")
    assert confirms.note_return(message("gone"), "returned")
    assert not confirms.note_return(message("gone"), "returned")

    assert sorted(confirms.failed) == [0, 1]


def test_the_message_id_tells_messages_with_one_body_apart() -> None:
    confirms = PublishConfirms([message("q", message_id="a"), message("q", message_id="b")], 1)

    confirms.note_return(message("q", message_id="b"), "returned")

    assert sorted(confirms.failed) == [1]
