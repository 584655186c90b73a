"""Runs as they are measured, for tests of what is made of them."""

from typing import Any

from bench.results import Alone, Run


def a_run(case: str = "orderd-200", per_s: float = 1_000.0, **others: Any) -> Run:
    values = {
        "round": 1,
        "count": 20_000,
        "worker_cpu_s": 0.1,
        "postgres_cpu_s": 0.08,
        "broker_cpu_s": 0.07,
        "rss_mb": 50.0,
        "sync_ms": 0.25,
        "others": 0.02,
    }
    return Run(case=case, per_s=per_s, **(values | others))


def alone(case: str, round_number: int = 1, p50_ms: float = 5.0, start_ms: float = 400.0) -> Alone:
    return Alone(case, round_number, start_ms, 0.1, p50_ms, 2 * p50_ms, 0.25)
