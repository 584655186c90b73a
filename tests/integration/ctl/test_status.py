import re
from decimal import Decimal
from hashlib import sha256

from orderd import __version__
from orderd.ctl.commands.status import PARTS
from tests.conftest import StartDaemon
from tests.integration.ctl.conftest import Orderctl
from tests.integration.ctl.letters import execute

NOWHERE = "127.0.0.1:1"


def test_all_is_well_with_a_daemon(orderctl: Orderctl, daemon: StartDaemon) -> None:
    daemon()
    orderctl("call", "user", "create", '{"username": "ann", "email": "ann@example.com"}')

    done = orderctl("status", "--json")

    status = done.document
    assert (done.code, status["ok"]) == (0, True)
    assert status["daemon"]["version"] == __version__
    assert status["daemon"]["round_trip_ms"] > Decimal(0)
    row = {"queue": "user", "ready": 0, "consumers": 1, "oldest_s": 0}
    assert row in status["queues"]["queues"]
    assert status["ledger"]["requests"] == 1
    assert status["schema"]["pending"] == []


def test_status_is_readable(orderctl: Orderctl, daemon: StartDaemon) -> None:
    daemon()

    done = orderctl("status")

    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].startswith(f"OK: orderd {__version__} answered in ")
    # Without orderd-notify there is nothing to say of notifications.
    end = 3 + len(PARTS) - 1
    assert [line.split()[1] for line in lines[3:end]] == ["ok"] * (len(PARTS) - 1)
    assert lines[end:] == [
        "",
        "empty: user, product, order, 9 retry queues, 3 dead letter queues",
    ]


def test_what_could_not_be_asked_is_no_fault_of_its_own(orderctl: Orderctl) -> None:
    nowhere = {
        "ORDERD_DATABASE_URL": f"postgresql://{NOWHERE}/x",
        "ORDERD_RABBITMQ_URL": f"amqp://{NOWHERE}",
    }

    done = orderctl("status", **nowhere)

    assert done.code == 1
    assert done.out.startswith("NOT OK: broker, database\n")
    assert done.out.count("unknown (no connection)") == len(PARTS) - 2


def test_what_is_not_well_comes_first(orderctl: Orderctl, daemon: StartDaemon) -> None:
    daemon().stop()
    orderctl("publish", "order", "create")

    lines = orderctl("status").out.splitlines()

    assert lines[0] == "NOT OK: queues, daemon"
    assert [line.split()[:3] for line in lines[3:5]] == [
        ["queues", "NOT", "OK"],
        ["daemon", "NOT", "OK"],
    ]
    assert lines[5].split()[1] == "ok"
    assert [line.split()[0] for line in lines[-4:]] == ["user", "product", "order", "empty:"]


def test_a_check_for_nagios_is_one_line_with_its_own_exit_codes(
    orderctl: Orderctl, daemon: StartDaemon, vhost_url: str
) -> None:
    stranger = re.sub("//.*@", "//stranger:wrong@", vhost_url)
    daemon()
    orderctl("call", "user", "nonsense")
    orderctl("call", "user", "nonsense")

    well = orderctl("status", "--nagios", "--warn", "messages=10,age=60s", "--crit", "20")
    warning = orderctl("status", "--nagios", "--warn", "dead_letters=1")
    critical = orderctl("status", "--nagios", ORDERD_DATABASE_URL=f"postgresql://{NOWHERE}/x")
    unknown = orderctl("status", "--nagios", "--warn", "nonsense=1")
    refused = orderctl("status", "--nagios", ORDERD_RABBITMQ_URL=stranger)

    assert [done.code for done in (well, warning, critical, unknown, refused)] == [0, 1, 2, 3, 3]
    assert well.out.startswith(f"ORDERD OK - orderd {__version__} answered in ")
    assert "| messages=0;10;20;0 age=0s;60;;0 dead_letters=2;;;0 outbox=0;;;0 " in well.out
    assert warning.out.startswith("ORDERD WARNING - dead letters: 2, over 1 | ")
    assert critical.out.startswith("ORDERD CRITICAL - database: ")
    assert unknown.out.startswith("ORDERD UNKNOWN - --warn: nonsense: not one of ")
    assert refused.out.startswith("ORDERD UNKNOWN - broker: login refused for user stranger: ")
    assert all(done.out.count("\n") == 1 for done in (well, warning, critical, unknown, refused))


def test_a_figure_beyond_its_limit_is_not_well(orderctl: Orderctl, daemon: StartDaemon) -> None:
    daemon()
    orderctl("call", "user", "nonsense")

    text = orderctl("status", "--warn", "dead_letters=0")
    document = orderctl("status", "--json", "--crit", "dead_letters=0")

    assert (text.code, document.code) == (1, 1)
    assert text.out.startswith("WARNING: dead letters: 1, over 0\n")
    found = document.document["thresholds"]["dead_letters"]
    assert (found["level"], found["value"], found["crit"]) == ("critical", 1, 0)


def test_how_commands_are_authorized_is_told_from_the_record_and_from_here(
    orderctl: Orderctl, daemon: StartDaemon
) -> None:
    before = orderctl("status", "--json").document["authorization"]
    digest = sha256(b"s3cret").hexdigest()
    daemon(tokens=f'{{"shop": {{"sha256": "{digest}", "allow": ["*"]}}}}')

    done = orderctl("status", "--json")

    assert (before["mode"], before["settings"]) == (None, "none")
    assert done.code == 0
    assert done.document["authorization"] == {
        "ok": True,
        "summary": "tokens since the last start or reload; according to the settings here: none "
        "(every command is allowed)",
        "mode": "tokens",
        "settings": "none",
    }


def test_a_daemon_that_is_not_there_is_not_well(orderctl: Orderctl, daemon: StartDaemon) -> None:
    daemon().stop()

    done = orderctl("status", "--json")

    status = done.document
    assert (done.code, status["ok"]) == (1, False)
    assert status["daemon"]["summary"] == "no daemon is connected to the broker"
    assert not status["queues"]["ok"]
    assert status["database"]["ok"]


def test_commands_that_wait_for_locks_are_told_with_the_holder(
    orderctl: Orderctl, daemon: StartDaemon, database_url: str
) -> None:
    daemon(lock_patience="1h")
    execute(
        database_url,
        """
        INSERT INTO deferrals (key, queue, ends_at, waits_since, waits_for, tried_at)
        SELECT name, 'order', now() + interval '1 d', now() - age, 'held by ' || name, now() - tried
        FROM (VALUES
            ('a', interval '10 s', interval '1 s'),
            ('b', interval '20 s', interval '1 s'),
            ('purged', interval '1 h', interval '1 h'),
            ('behind', NULL, interval '1 s')
        ) AS waits (name, age, tried)
        """,
    )

    short = orderctl("status", "--json")
    execute(database_url, "UPDATE deferrals SET waits_since = waits_since - interval '60 s'")
    long = orderctl("status", "--json")

    assert (short.code, long.code) == (0, 1)
    locks = long.document["locks"]
    assert (locks["ok"], locks["commands"], locks["because"]) == (False, 2, "held by b")
    assert locks["oldest_s"] >= 80
    assert locks["summary"].startswith("2 commands wait, the first for ")


def test_dead_letters_are_counted_and_no_fault(orderctl: Orderctl, daemon: StartDaemon) -> None:
    daemon()
    orderctl("call", "user", "nonsense")

    done = orderctl("status", "--json")

    assert done.code == 0
    rows = {row["queue"]: row for row in done.document["queues"]["queues"]}
    assert (rows["user.dlq"]["ready"], rows["user.dlq"]["consumers"]) == (1, 0)


def test_a_table_that_a_migration_would_make_is_told_with_the_next_step(
    orderctl_before_migration: Orderctl,
) -> None:
    done = orderctl_before_migration("daemons")
    orderctl_before_migration("migrate")

    assert done.code == 78
    assert re.fullmatch(
        r'orderctl: schema: relation "daemons" does not exist \(SQLSTATE 42P01\); '
        r"\d+ migrations pending, run: orderctl migrate\n",
        done.err,
    )
    assert orderctl_before_migration("daemons").code == 0


def test_a_schema_without_tables_is_not_well(orderctl_before_migration: Orderctl) -> None:
    done = orderctl_before_migration("status", "--json")

    assert done.code == 1
    assert done.document["database"]["ok"]
    assert done.document["schema"]["pending"][0] == "0001_create_shop"


def test_without_the_database_the_rest_is_still_shown(
    orderctl: Orderctl, daemon: StartDaemon
) -> None:
    daemon()

    done = orderctl("status", "--json", ORDERD_DATABASE_URL=f"postgresql://{NOWHERE}/x")

    assert done.code == 1
    assert done.document["daemon"]["ok"]
    assert "port 1" in done.document["database"]["summary"]


def test_without_the_broker_the_rest_is_still_shown(orderctl: Orderctl) -> None:
    done = orderctl("status", "--json", ORDERD_RABBITMQ_URL=f"amqp://{NOWHERE}/")

    assert done.code == 1
    assert done.document["ledger"]["ok"]
    assert NOWHERE in done.document["broker"]["summary"]
