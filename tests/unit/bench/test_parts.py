import json
import socket
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bench import parts
from bench.delaying_proxy import distant
from bench.orders import Workload, commands, encoded, sold
from bench.results import Results
from bench.runs import Case
from tests.unit.bench.measured import a_run

ALL: list[Case] = [
    parts.PIVOT,
    *parts.orderd_cases(),
    *parts.alone_cases(),
    *(case for curve in parts.curves() for case in curve.cases),
]


def test_names_of_cases_are_unique_within_a_part() -> None:
    for cases in (parts.orderd_cases(), parts.alone_cases(), parts.peer_cases()):
        names = Counter(case.name for case in [parts.PIVOT, *cases])
        assert max(names.values()) == 1


def test_a_curve_runs_those_of_one_point_one_after_the_other() -> None:
    (sync,) = [curve for curve in parts.curves() if curve.name == "sync"]

    assert [case.name for case in sync.cases][:4] == [
        "sync-0",
        "sync-0-pgbench",
        "sync-1",
        "sync-1-pgbench",
    ]


def test_a_case_is_scaled_by_its_orders() -> None:
    assert parts.scaled(parts.PIVOT, 0.05).workload.count == 1_000
    assert parts.scaled(parts.PIVOT, 0).workload.count == 10


def test_more_rounds_take_longer_but_not_of_what_is_run_once() -> None:
    often, once = parts.orderd_cases()[0], parts.orderd_cases()[-1]

    assert parts.seconds([often], 4, has_pivot=True) > parts.seconds([often], 2, has_pivot=True)
    assert parts.seconds([once], 4, has_pivot=True) == parts.seconds([once], 1, has_pivot=True)


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_each_order_is_about_as_many_products_as_wanted(case: Case) -> None:
    workload = Workload(3, case.workload.items, case.workload.is_hot, case.workload.body_bytes)

    for command in commands(workload):
        products = {item["product_id"] for item in command["data"]["items"]}
        assert len(products) == workload.items
        assert not workload.is_hot or products == {1, 2}
        assert workload.body_bytes <= len(encoded(command)) <= max(workload.body_bytes + 20, 6_000)


def test_orders_are_the_same_each_time_and_add_up_to_what_is_sold() -> None:
    workload = Workload(50)

    assert list(commands(workload)) == list(commands(workload))
    assert len({command["id"] for command in commands(workload)}) == 50
    assert sold(workload).total() == 50 * (1 + 2)


def test_results_are_kept_line_by_line_and_rounds_go_on(tmp_path: Path) -> None:
    results = Results("peers", tmp_path)
    assert results.rounds == 0

    results.add(a_run())
    results.add(a_run(round=2, faults=["3 messages left"]))

    assert results.rounds == 2
    assert [run.faults for run in results.runs()] == [[], ["3 messages left"]]
    lines = (tmp_path / "peers.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["case"] == "orderd-200"
    results.begin()
    assert results.runs() == []


def test_the_proxy_carries_everything_both_ways_and_the_end_as_well() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        distant(f"postgresql://me@127.0.0.1:{server.getsockname()[1]}/shop", 0.1) as url,
    ):
        threading.Thread(target=answer_reversed, args=(server,), daemon=True).start()
        parts_of_url = urlsplit(url)
        assert (parts_of_url.username, parts_of_url.path) == ("me", "/shop")
        address = (parts_of_url.hostname, parts_of_url.port)
        with closing(socket.create_connection(address, timeout=20)) as client:
            client.sendall(b"abc" * 50_000)
            client.shutdown(socket.SHUT_WR)
            received = b"".join(iter(lambda: client.recv(65_536), b""))

    assert received == b"cba" * 50_000


def answer_reversed(server: socket.socket) -> None:
    client, _ = server.accept()
    with client:
        client.sendall(b"".join(iter(lambda: client.recv(65_536), b""))[::-1])
