import json
from pathlib import Path

import pytest

from bench import page, parts
from bench.page import PAGE, TREE, filled
from bench.results import Alone, Results, Run
from tests.unit.bench.measured import a_run, alone

MACHINE = {
    "processors": 2,
    "python": "3.11",
    "pika": "1.4",
    "postgresql": "15",
    "rabbitmq": "3.10",
    "date": "2026-01-01",
    "peers": {"celery": "5.5"},
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with the page as it is."""
    target = tmp_path / PAGE
    target.parent.mkdir(parents=True)
    target.write_text((TREE / PAGE).read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A folder for results."""
    return tmp_path / "results"


def measured(folder: Path, part: str, *lines: Run | Alone) -> None:
    kept = Results(part, folder)
    for line in lines:
        kept.add(line)
    (folder / f"{part}.machine.json").write_text(json.dumps(MACHINE))


def test_without_results_the_page_stays_as_it_is(tree: Path, results: Path) -> None:
    before = (tree / PAGE).read_text(encoding="utf-8")

    written = page.write(tree, results)

    assert written == [tree / PAGE]
    assert (tree / PAGE).read_text(encoding="utf-8") == before


def test_each_part_has_its_place_and_its_pictures(tree: Path, results: Path) -> None:
    pivot = parts.PIVOT.name
    measured(results, "orderd", a_run(pivot, 3_000), a_run("pgbench", 300, neighbour_per_s=3_000))
    measured(
        results, "alone", alone("orderd"), alone("pika", p50_ms=4), alone("orderd-away", 1, 11)
    )
    measured(results, "peers", a_run(pivot, 3_000), a_run("pace", 6_000, neighbour_per_s=3_000))
    for curve in parts.curves():
        measured(results, f"curve-{curve.name}", *(a_run(case.name) for case in curve.cases))

    written = page.write(tree, results)

    page_text = (tree / PAGE).read_text(encoding="utf-8")
    text = " ".join(page_text.split())
    assert "Not measured yet" not in text
    assert "orderd is 10.0 times as fast as `pgbench -c 1`." in text
    assert "a call alone takes 1.25 × as long" in text  # noqa: RUF001
    assert "A call takes 3.0 round trips" in text
    assert "Peers: celery 5.5." in text
    pictures = {path.name for path in written if path.suffix == ".svg"}
    assert pictures == {"peers.svg", *(f"curve-{curve.name}.svg" for curve in parts.curves())}
    assert all(f"]({name})" in text for name in pictures)
    assert all(
        len(line) <= 110
        for line in page_text.splitlines()
        if not line.startswith(("|", "<!--", "!["))
    )


def test_a_part_is_rendered_again_in_place(tree: Path, results: Path) -> None:
    measured(results, "orderd", a_run(per_s=1_111))
    page.write(tree, results)
    first = (tree / PAGE).read_text(encoding="utf-8")

    page.write(tree, results)

    assert "| 1,111 |" in first
    assert (tree / PAGE).read_text(encoding="utf-8") == first


def test_wrong_runs_are_in_no_picture(results: Path) -> None:
    measured(
        results,
        "peers",
        a_run(per_s=3_000),
        a_run("pace", 6_000, faults=["19,999 events instead of 20,000"]),
    )

    assert "pace-setter" not in page.pictures(results)["peers.svg"]
    assert "WRONG" in page.blocks(results)["peers"]


def test_a_block_without_a_place_is_an_error() -> None:
    with pytest.raises(KeyError, match="peers"):
        filled("# Nothing here\n", {"peers": "a table"})
