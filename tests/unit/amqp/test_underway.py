"""What is on its way through retry queues: known until it comes back, or far too late."""

from orderd.amqp.in_flight import InFlight
from tests.support.commands import delivery

ANN, BOB = delivery("user", b"ann"), delivery("user", b"bob")


def test_a_queue_is_expected_to_bring_what_was_sent_until_it_is_back() -> None:
    underway = InFlight()
    underway.note_sent(ANN, 5.0)
    underway.note_sent(BOB, 5.0)

    assert ("user" in underway, "product" in underway) == (True, False)
    underway.note_back(ANN)
    assert "user" in underway
    underway.note_back(BOB)
    assert "user" not in underway


def test_what_never_comes_back_is_forgotten_some_time_after_its_delay() -> None:
    now_s = 0.0
    underway = InFlight(lambda: now_s)
    underway.note_sent(ANN, 5.0)

    now_s = 600.0
    assert "user" in underway
    now_s = 606.0
    assert "user" not in underway


def test_the_same_body_in_another_queue_is_another_message() -> None:
    underway = InFlight()
    underway.note_sent(ANN, 5.0)

    underway.note_back(delivery("product", b"ann"))

    assert "user" in underway
