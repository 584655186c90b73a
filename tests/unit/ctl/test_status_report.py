"""What `orderctl status` makes of what it found: level, exit code, the line for Nagios."""

from decimal import Decimal
from typing import Any

import pytest

from orderd.ctl.errors import AccessRefused, Failure, Unavailable, WrongUsage
from orderd.ctl.findings import Finding, finding_of
from orderd.ctl.status.nagios import level_of, nagios_line, unknown_line
from orderd.ctl.status.report import UNKNOWN, Report, figures_of
from orderd.ctl.status.thresholds import Level, judged, limits_of


def queue(name: str, ready: int | None, oldest_s: str | None = "0") -> dict[str, Any]:
    age = None if oldest_s is None else Decimal(oldest_s)
    return {"queue": name, "ready": ready, "consumers": 1, "oldest_s": age}


def report(*rows: dict[str, Any], warn: str = "", crit: str = "", faults: str = "") -> Report:
    daemon = {"round_trip_ms": Decimal("9.9")}
    findings = [
        Finding("queues", "queues" not in faults, "3 commands ready", {"queues": rows}),
        Finding("daemon", "daemon" not in faults, "orderd 1 answered", daemon),
    ]
    limits = limits_of("--warn", warn), limits_of("--crit", crit)
    return Report(findings, judged(figures_of(findings), *limits))


ALL = (
    queue("user", 2, "1.5"),
    queue("order", 1, "70"),
    queue("order.retry.5s", 9, None),
    queue("order.dlq", 4, None),
)


@pytest.mark.parametrize(
    ("warn", "crit", "level", "code"),
    [
        ("", "", Level.OK, 0),
        ("messages=3,age=70s,dead_letters=4", "", Level.OK, 0),
        ("2", "3", Level.WARNING, 1),
        ("messages=2", "age=60s", Level.CRITICAL, 1),
        ("age=1min", "age=1h", Level.WARNING, 1),
        ("", "dead_letters=3", Level.CRITICAL, 1),
    ],
)
def test_a_figure_above_its_limit_is_not_well(
    warn: str, crit: str, level: Level, code: int
) -> None:
    found = report(*ALL, warn=warn, crit=crit)

    assert (found.level, found.code) == (level, code)
    assert found.document()["ok"] == (level == Level.OK)


def test_a_figure_that_is_not_known_is_not_well_either() -> None:
    unknown = (queue("user", 2, None), queue("order", 1, "70"))

    assert (report(*unknown).level, report(*unknown).code) == (Level.OK, 0)
    found = report(*unknown, warn="age=60s")
    assert (found.level, found.code) == (Level.UNKNOWN, 3)
    assert found.document()["thresholds"]["age"]["value"] is None


def test_what_is_wrong_counts_more_than_what_is_unknown() -> None:
    unknown = queue("user", 5, None)

    assert report(unknown, warn="age=60s,messages=4").level == Level.WARNING
    assert report(unknown, warn="age=60s", faults="daemon").level == Level.CRITICAL


def test_the_line_for_nagios_has_figures_with_their_limits() -> None:
    line = nagios_line(report(*ALL, warn="messages=2,age=2min", crit="messages=10"))

    assert line == (
        "ORDERD WARNING - commands ready: 3, over 2 | messages=3;2;10;0 age=70s;120;;0 "
        "dead_letters=4;;;0 outbox=U;;;0 outbox_age=U;;;0 round_trip=9.9ms;;;0"
    )


def test_a_line_for_nagios_has_one_bar_and_no_break() -> None:
    findings = [
        Finding("broker", is_well=False, summary="a | b\nc"),
        Finding("daemon", is_well=False, summary=UNKNOWN),
    ]

    line = nagios_line(Report(findings))

    assert line.startswith("ORDERD CRITICAL - broker: a / b; c | messages=U;;;0 age=U;;;0 ")
    assert unknown_line("a|b\nc") == "ORDERD UNKNOWN - a/b; c"


@pytest.mark.parametrize(
    ("failure", "more", "level"),
    [
        (AccessRefused("broker: login refused for user a"), (), Level.UNKNOWN),
        (Unavailable("broker: Connection refused"), (), Level.CRITICAL),
        (AccessRefused("broker: login refused for user a"), ("outbox",), Level.CRITICAL),
    ],
)
def test_a_login_that_is_refused_tells_nagios_nothing_of_the_server(
    failure: Failure, more: tuple[str, ...], level: Level
) -> None:
    unknown = [Finding(part, is_well=False, summary=UNKNOWN) for part in ("queues", "daemon")]
    faults = [Finding(part, is_well=False, summary="stuck") for part in more]
    found = Report([finding_of("broker", failure), *unknown, *faults])

    assert level_of(found) == level
    assert nagios_line(found).startswith(f"ORDERD {level.name} - broker: ")
    assert found.code == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("massages=3", "--warn: massages: not one of messages, age, dead_letters"),
        ("messages=many", "--warn: messages: must be a whole number, not 'many'"),
        ("age=soon", "--warn: age: a duration is a number"),
        ("messages=1,2", "--warn: messages stands twice"),
    ],
)
def test_a_limit_that_cannot_be_used_is_named(text: str, said: str) -> None:
    with pytest.raises(WrongUsage, match="^" + said.replace(".", r"\.")):
        limits_of("--warn", text)


def test_warnings_come_before_what_is_critical() -> None:
    with pytest.raises(WrongUsage, match="--warn age is above --crit age"):
        report(*ALL, warn="age=2min", crit="age=1min")
