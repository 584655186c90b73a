"""How long a daemon has waited for which server, and how often it connected."""

import pytest

from orderd.daemon.lifecycle import Lifecycle


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_time_counts_for_the_server_that_is_away(clock: Clock) -> None:
    lifecycle = Lifecycle(clock)
    clock.now_s = 5
    lifecycle.run()
    clock.now_s = 10
    lifecycle.pause("database")
    clock.now_s = 13
    assert lifecycle.paused_s_by_dependency == {"broker": 0, "database": 3}
    lifecycle.pause("broker")
    clock.now_s = 20
    lifecycle.run()
    clock.now_s = 30

    assert lifecycle.paused_s_by_dependency == {"broker": 7, "database": 3}


def test_the_first_connection_is_none_again(clock: Clock) -> None:
    lifecycle = Lifecycle(clock)
    lifecycle.connected("broker")
    assert lifecycle.reconnects == {"broker": 0, "database": 0}
    lifecycle.connected("broker")
    lifecycle.connected("broker")

    assert lifecycle.reconnects == {"broker": 2, "database": 0}
