"""Lines that would come with each message are told once in a while, and counted."""

from orderd.logs.rate_limit import RateLimit


def test_the_first_of_a_kind_is_told_and_the_rest_is_counted() -> None:
    now_s = [0.0]
    seldom = RateLimit(10.0, lambda: now_s[0])

    assert seldom.told("too large: 1", kind="406") == "too large: 1"
    assert seldom.told("too large: 2", kind="406") is None
    assert seldom.told("no right", kind="403") == "no right"
    assert seldom.told("too large: 3", kind="406") is None
    now_s[0] = 10.0
    assert seldom.told("too large: 4", kind="406") == "too large: 4, and 2 before it"
    now_s[0] = 20.0
    assert seldom.told("too large: 5", kind="406") == "too large: 5"
