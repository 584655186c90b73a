"""What waits, and what of it is to go back."""

from orderd.amqp.inbox import Waiting
from orderd.amqp.message import Delivery, Properties

WORN = Properties(headers={"x-delivery-count": 5})
PLAIN = Properties()


def put(waiting: Waiting, tag: int, queue: str, properties: Properties = PLAIN) -> None:
    waiting.put(Delivery(queue, b"12345", properties, tag, 1, redelivered=properties is WORN))


def test_what_goes_back_has_no_body_and_the_rest_stays() -> None:
    waiting = Waiting()
    put(waiting, 1, "user")
    put(waiting, 2, "order")
    put(waiting, 3, "user", WORN)

    with waiting.giving_back(["user"]) as surplus:
        put(waiting, 4, "user")
        put(waiting, 5, "order")
    put(waiting, 6, "user")

    assert [one.tag for one in surplus] == [1, 3, 4]
    assert surplus[-1].body == b""
    assert [one.tag for one in waiting.inbox] == [2, 5, 6]
    assert list(waiting.worn) == []
    assert waiting.received == 6


def test_bytes_are_those_of_all_that_waits() -> None:
    waiting = Waiting()
    put(waiting, 1, "user")
    put(waiting, 2, "order")
    put(waiting, 3, "order", WORN)

    assert (waiting.body_bytes(), waiting.body_bytes(1)) == (15, 5)
    waiting.void("order")
    assert waiting.body_bytes() == 5
    waiting.void()
    assert waiting.body_bytes() == 0
