import pytest

from orderd.amqp.message import Delivery, Properties
from orderd.pipeline.measures import Measures
from orderd.pipeline.results import Result
from orderd.pipeline.shop_labels import shop_labels
from orderd.pipeline.stats import Stats
from orderd.shop.outcomes import Quarantined


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stats(clock: Clock) -> Stats:
    return Stats(Measures(shop_labels()), clock)


def quarantined(count: int) -> list[Result]:
    delivery = Delivery("order", b"", Properties(), 1, 1, redelivered=True)
    return [Result(delivery, None, Quarantined(3), None)] * count


def test_nothing_yet_is_idle(stats: Stats) -> None:
    assert str(stats) == "nothing yet"
    assert stats.brief() == "idle, 0 settled"


@pytest.mark.parametrize(("count", "pace"), [(500, "100/s"), (5, "1/s"), (2, "0.4/s")])
def test_the_rate_is_that_since_the_last_look(
    stats: Stats, clock: Clock, count: int, pace: str
) -> None:
    stats.count(quarantined(1_000))
    clock.now_s = 5
    stats.brief()
    stats.count(quarantined(count))
    clock.now_s = 10

    assert stats.brief() == f"{pace}, {1_000 + count} settled, last quarantined"
    clock.now_s = 15
    assert stats.brief() == f"idle, {1_000 + count} settled, last quarantined"
    assert str(stats) == f"{1_000 + count} quarantined"


def test_two_looks_at_the_same_moment_do_no_harm(stats: Stats) -> None:
    stats.brief()
    stats.count(quarantined(1))

    assert "1 settled" in stats.brief()
