from bench import parts, tables
from bench.runs import Case
from tests.unit.bench.measured import a_run, alone

PEERS = {case.name: case for case in parts.peer_cases()}
CASES: list[Case] = [parts.PIVOT, *PEERS.values()]


def test_a_peer_has_its_rate_and_how_many_times_as_fast_orderd_is() -> None:
    runs = [a_run(per_s=3_000), a_run("dramatiq-8", 1_000, neighbour_per_s=3_000)]

    lines = tables.peers(CASES, runs).splitlines()

    assert lines[2] == ("| orderd, batches of up to 200 | 3,000 |  | 0.100 | 0.080 | 0.070 | 50 |")
    assert lines[3] == "| Dramatiq, 8 threads | 1,000 | 3.00 | 0.100 | 0.080 | 0.070 | 50 |"


def test_a_variant_has_its_part_of_the_rate() -> None:
    cases = [parts.PIVOT, *parts.orderd_cases()]

    table = tables.variants(cases, [a_run("orderd-200-hot", 900, neighbour_per_s=1_000)])

    assert "| all orders on the same 2 products | 900 | 0.90 |" in table


def test_what_was_not_measured_has_no_line() -> None:
    assert len(tables.peers(CASES, [a_run()]).splitlines()) == 3


def test_wrong_books_are_shown_instead_of_all_numbers() -> None:
    runs = [a_run("celery-1"), a_run("celery-1", faults=["1,999 orders instead of 2,000"])]

    (line,) = tables.peers(CASES, runs).splitlines()[2:]

    fault = "**WRONG in 1 of 2 runs: 1,999 orders instead of 2,000**"
    assert line == f"| Celery, 1 process | {fault} |  |  |  |  |  |"


def test_pgbench_has_neither_worker_nor_broker() -> None:
    (line,) = tables.peers(CASES, [a_run("pgbench")]).splitlines()[2:]

    assert line.endswith("| 1,000 |  |  | 0.080 |  |  |")


def test_workers_alone_have_a_line_each() -> None:
    table = tables.alone(parts.alone_cases(), [alone("orderd", 1, 5), alone("orderd", 2, 6)])

    assert table.splitlines()[2:] == [
        "| orderd | 400 | 0.1 | 5.5 (5.0 – 6.0) | 11.0 (10.0 – 12.0) |"  # noqa: RUF001
    ]


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    assert tables.markdown(["a"], [["x|y"]]).splitlines()[-1] == "| x\\|y |"
