"""The speed of a replay: a rate is kept, and a ramp doubles while all goes well."""

import argparse

import pytest

from orderd.ctl.dlq.pace import (
    PORTION_MAX,
    PORTION_WITHOUT_RATE,
    RAMP_START_PER_S,
    Pace,
    Plan,
    Speed,
    percent,
    rate,
)


class Clock:
    """A time that passes only by waiting."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def wait(self, seconds: float) -> None:
        self.now_s += seconds


def test_messages_are_spaced_at_the_rate() -> None:
    clock = Clock()
    pace = Pace(clock.wait, lambda: clock.now_s)
    moments = []
    for _ in range(5):
        pace.wait(0.5)
        moments.append(clock.now_s)

    assert moments == [0, 2, 4, 6, 8]


def test_what_was_late_is_not_made_up_for() -> None:
    clock = Clock()
    pace = Pace(clock.wait, lambda: clock.now_s)
    pace.wait(1)
    clock.wait(100)
    moments = []
    for _ in range(3):
        pace.wait(1)
        moments.append(clock.now_s)

    assert moments == [100, 101, 102]


def test_without_a_rate_nothing_waits() -> None:
    clock = Clock()
    pace = Pace(clock.wait, lambda: clock.now_s)
    for _ in range(5):
        pace.wait(None)

    assert clock.now_s == 0
    assert Speed(Plan()).portion == PORTION_WITHOUT_RATE


def test_a_ramp_doubles_while_all_goes_well_and_halves_where_not() -> None:
    speed = Speed(Plan(is_ramp=True))
    assert speed.per_s == RAMP_START_PER_S
    for times in (2, 4, 8):
        speed.adapt(is_well=True)
        assert speed.per_s == RAMP_START_PER_S * times
    speed.adapt(is_well=False)
    assert speed.per_s == RAMP_START_PER_S * 4
    for _ in range(10):
        speed.adapt(is_well=False)
    assert speed.per_s == RAMP_START_PER_S


@pytest.mark.parametrize("limit", [2.0, 30.0])
def test_a_ramp_does_not_exceed_the_rate(limit: float) -> None:
    speed = Speed(Plan(rate=limit, is_ramp=True))
    for is_well in (True, True, True, True, False, True, True):
        assert speed.per_s is not None
        assert speed.per_s <= limit
        speed.adapt(is_well=is_well)

    assert speed.per_s == limit


def test_without_a_ramp_the_speed_stays() -> None:
    speed = Speed(Plan(rate=7, stop_above=5))
    speed.adapt(is_well=False)
    speed.adapt(is_well=True)

    assert speed.per_s == 7


def test_a_portion_is_small_enough_to_look_often() -> None:
    assert Speed(Plan(rate=0.01)).portion == 1
    assert Speed(Plan(rate=20)).portion == 40
    assert Speed(Plan(rate=9999)).portion == PORTION_MAX


def test_a_ramp_is_watched_with_a_default_limit() -> None:
    assert Plan(is_ramp=True).is_watched
    assert Plan(is_ramp=True).share_max == 0.1
    assert Plan(stop_above=0).is_watched
    assert Plan(stop_above=0).share_max == 0
    assert not Plan(rate=5).is_watched


@pytest.mark.parametrize(
    ("value", "per_s"), [("5", 5), ("5/s", 5), ("0.5/s", 0.5), ("30/min", 0.5), ("3600/h", 1)]
)
def test_rates_are_read(value: str, per_s: float) -> None:
    assert rate(value) == per_s


@pytest.mark.parametrize("value", ["", "0", "0/s", "-1", "5/d", "fast", "1e3", "10001", "nan"])
def test_what_is_no_rate_is_refused(value: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a rate"):
        rate(value)


@pytest.mark.parametrize("value", ["-1", "101", "nan", "inf", "few", ""])
def test_what_is_no_percentage_is_refused(value: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a percentage"):
        percent(value)


def test_percentages_are_read() -> None:
    assert [percent(value) for value in ("0", "2.5", "100%")] == [0, 2.5, 100]
