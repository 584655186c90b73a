"""What is on its way through retry queues: known until it comes back, or far too late."""

from orderd.amqp.in_flight import InFlight
from tests.support.commands import delivery

ANN, BOB = delivery("user", b"ann"), delivery("user", b"bob")


def test_a_queue_is_expected_to_bring_what_was_sent_until_it_is_back() -> None:
    in_flight = InFlight()
    in_flight.note_sent(ANN, 5.0)
    in_flight.note_sent(BOB, 5.0)

    assert ("user" in in_flight, "product" in in_flight) == (True, False)
    in_flight.note_back(ANN)
    assert "user" in in_flight
    in_flight.note_back(BOB)
    assert "user" not in in_flight


def test_what_never_comes_back_is_forgotten_some_time_after_its_delay() -> None:
    now_s = 0.0
    in_flight = InFlight(lambda: now_s)
    in_flight.note_sent(ANN, 5.0)

    now_s = 600.0
    assert "user" in in_flight
    now_s = 606.0
    assert "user" not in in_flight


def test_the_same_body_in_another_queue_is_another_message() -> None:
    in_flight = InFlight()
    in_flight.note_sent(ANN, 5.0)

    in_flight.note_back(delivery("product", b"ann"))

    assert "user" in in_flight
