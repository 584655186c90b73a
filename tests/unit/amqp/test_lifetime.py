from typing import Any

import pytest

from orderd.amqp.message import Delivery, Properties
from orderd.amqp.renewal import is_expired, lifetime, renewed_command

NOW_S = 1_800_000_000.5
NOW_MS = 1_800_000_000_500


def received(**properties: Any) -> Delivery:
    return Delivery("order", b"{}", Properties(**properties), 1, 1, True, NOW_S)


def test_the_time_counts_from_the_first_delivery() -> None:
    assert lifetime(received(expiration="2000")) == {"orderd-expires-at": NOW_MS + 2_000}
    again = received(headers={"orderd-expires-at": NOW_MS - 7, "orderd-expiration": "2000"})
    assert lifetime(again) == {"orderd-expires-at": NOW_MS - 7}
    assert lifetime(received()) == {}


def test_a_renewed_command_keeps_the_end_of_its_time() -> None:
    headers = renewed_command(received(expiration="2000"), {}).properties.headers or {}

    assert headers["orderd-expires-at"] == NOW_MS + 2_000


def test_a_copy_expires_at_its_moment() -> None:
    assert is_expired(received(headers={"orderd-expires-at": NOW_MS}), NOW_S)
    assert not is_expired(received(headers={"orderd-expires-at": NOW_MS + 1}), NOW_S)
    # One that came in time may have waited since.
    assert is_expired(received(headers={"orderd-expires-at": NOW_MS + 1}), NOW_S + 1)
    # What the broker has delivered in time is not for orderd to refuse.
    assert not is_expired(received(expiration="0"), NOW_S + 1)


@pytest.mark.parametrize("odd", ["x", None, True, 1.5, b"1", [], -1, 2**63 - 1])
def test_what_is_no_moment_is_passed_over(odd: object) -> None:
    assert lifetime(received(headers={"orderd-expires-at": odd})) == {}


@pytest.mark.parametrize("odd", ["", "x", "-5", "1.5"])
def test_what_is_no_expiration_is_passed_over(odd: str) -> None:
    assert lifetime(received(expiration=odd)) == {}
