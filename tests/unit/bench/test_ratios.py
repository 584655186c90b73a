import pytest

from bench import ratios
from bench.ratios import Spread, spread
from tests.unit.bench.measured import a_run, alone


def test_a_spread_is_median_least_and_greatest() -> None:
    assert spread([3, 1, 10]) == Spread(3, 1, 10)
    assert spread([1, 3]) == Spread(2, 1, 3)


def test_a_spread_is_written_with_its_ends_where_they_differ_as_written() -> None:
    assert Spread(1_260, 611, 1_406).text() == "1,260 (611 – 1,406)"  # noqa: RUF001
    assert Spread(1.04, 1.01, 1.08).text(".2f") == "1.04 (1.01 – 1.08)"  # noqa: RUF001
    assert Spread(1.04, 1.01, 1.08).text(".0f") == "1"


def test_a_ratio_is_the_median_of_ratios_and_not_the_ratio_of_medians() -> None:
    # The machine was twice as slow in the second round and five times in the third.
    runs = [
        a_run(per_s=100, neighbour_per_s=1_000),
        a_run(per_s=60, neighbour_per_s=500),
        a_run(per_s=18, neighbour_per_s=200),
    ]

    assert ratios.of_neighbour(runs) == pytest.approx(Spread(0.1, 0.09, 0.12))
    times = ratios.neighbour_times(runs)
    assert times is not None
    assert times.median == pytest.approx(10)


def test_runs_without_a_neighbour_or_a_rate_have_no_ratio() -> None:
    assert ratios.of_neighbour([a_run(), a_run(neighbour_per_s=0.0)]) is None
    assert ratios.neighbour_times([a_run(per_s=0.0, neighbour_per_s=1_000)]) is None


def test_workers_are_paired_by_round() -> None:
    ours = [alone("orderd", 1, 5), alone("orderd", 2, 6), alone("orderd", 3, 7)]
    others = [alone("pika", 3, 70), alone("pika", 1, 50)]

    assert ratios.by_round(ours, others, "p50_ms") == [(5, 50), (7, 70)]


def test_the_used_part_of_the_cores_is_cpu_time_of_everybody_by_rate() -> None:
    run = a_run(per_s=4_000, worker_cpu_s=0.1, postgres_cpu_s=0.2, broker_cpu_s=0.1)

    assert ratios.used_part(run, 2) == pytest.approx(0.8)


def test_a_line_tells_the_neighbour_and_what_is_wrong() -> None:
    line = ratios.line_of(a_run(per_s=500, neighbour_per_s=1_000, faults=["3 messages left"]))

    assert "0.50 × neighbour" in line  # noqa: RUF001
    assert line.endswith("WRONG: 3 messages left")
    assert "p50 5.0 ms" in ratios.line_of(alone("orderd"))
