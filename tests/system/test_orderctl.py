"""orderctl on an installed system: by itself it has what the daemon has, or says what it lacks."""

import json

from tests.system.machine import Machine

NOBODY = ("runuser", "-u", "nobody", "--")
FAILED_UNITS = ("systemctl", "list-units", "--no-legend", "--state=failed", "--all")
AGE = "UPDATE processed_requests SET created_at = now() - interval '91 days' WHERE id ^@ 'ctl-'"


def test_root_needs_nothing_to_have_the_credentials_of_the_daemon(orderd: Machine) -> None:
    told = json.loads(orderd.run("orderctl", "--json", "status"))
    listed = orderd.run("orderctl", "call", "product", "list")
    failed = orderd.guest.result("orderctl", "call", "product", "get", '{"id": 999}')

    assert told["ok"] is True, told
    assert json.loads(listed)["status"] == "ok"
    assert failed.returncode == 1
    assert orderd.run(*FAILED_UNITS) == ""


def test_it_talks_to_the_servers_as_the_user_orderd(orderd: Machine) -> None:
    shown = orderd.shell("""
        systemctl stop orderd
        orderctl call product list --timeout 8s >/dev/null 2>&1 &
        until pgrep --uid orderd --full 'orderctl call' >/dev/null; do sleep 0.1; done
        ps -o euser=,ruser=,suser=,egroup=,sgroup= -p "$(pgrep --uid orderd --full 'orderctl call')"
        wait || true
    """)

    assert set(shown.split()) == {"orderd"}


def test_settings_of_the_file_of_variables_and_of_drop_ins_are_those_of_the_daemon(
    orderd: Machine,
) -> None:
    orderd.write(
        "/etc/orderd/orderd.env", '# mine\nORDERD_BATCH_MAX=33\nORDERD_LOG_LEVEL="debug"\n'
    )
    orderd.write("/etc/orderd/conf.d/a.toml", "prefetch = 44\n")

    shown = orderd.run("orderctl", "config", "show")

    rows = {line.split()[0]: line.split()[1:] for line in shown.splitlines()}
    assert rows["batch_max"][0] == "33"
    assert rows["log_level"][0] == "debug"
    assert rows["prefetch"][0] == "44"
    assert "/etc/orderd/conf.d/a.toml" in rows["prefetch"]
    assert "PASSWORD" not in shown


def test_migrate_and_prune_have_the_credentials_of_the_owner(orderd: Machine) -> None:
    wrong = "postgresql://nobody:wrong@127.0.0.1/orderd"
    orderd.product("ctl", stock=1)
    orderd.sql("UPDATE processed_requests SET id = 'ctl-1' WHERE id = 'product-ctl'")
    orderd.sql(AGE)
    orderd.write("/etc/orderd/owner-credentials/database_url", wrong)
    refused = orderd.guest.result("orderctl", "prune", "--yes")
    orderd.write("/etc/orderd/owner-credentials/database_url", "postgresql:///orderd")

    orderd.run("orderctl", "migrate")
    orderd.run("orderctl", "prune", "--yes")

    assert refused.returncode == 69
    assert "nobody" in refused.stderr
    assert orderd.settled("ctl-") == 0


def test_another_user_is_told_that_he_has_no_credentials(orderd: Machine) -> None:
    for command in (("status",), ("call", "product", "list"), ("dlq", "list"), ("ledger", "list")):
        done = orderd.guest.result(*NOBODY, "orderctl", *command)

        assert done.returncode == 78, command
        assert "run orderctl as root" in done.stderr, done.stderr
        assert "guest" not in done.stderr
    # It has settings of its own.
    url = "amqp://orderd:PASSWORD@localhost/%2F"
    own = ("env", f"ORDERD_RABBITMQ_URL={url}", "orderctl", "call", "product", "list")
    assert json.loads(orderd.run(*NOBODY, *own))["status"] == "ok"
    # Everyone may look at the daemon's health, and print what needs no server.
    orderd.run(*NOBODY, "orderctl", "health")
    orderd.run(*NOBODY, "orderctl", "config", "example")


def test_a_schema_that_lacks_a_migration_names_the_unit_that_migrates(orderd: Machine) -> None:
    newest = "WHERE version = (SELECT max(version) FROM schema_migrations)"
    orderd.sql(f"CREATE TABLE kept AS SELECT * FROM schema_migrations {newest}")  # noqa: S608
    orderd.sql(
        "DELETE FROM schema_migrations USING kept k WHERE schema_migrations.version = k.version"
    )
    try:
        done = orderd.guest.result("orderctl", "migrate", "--check")
        status = orderd.guest.result("orderctl", "status")
    finally:
        orderd.sql("INSERT INTO schema_migrations SELECT * FROM kept")
        orderd.sql("DROP TABLE kept")

    assert done.returncode == 78
    assert "systemctl start orderd-migrate" in status.stdout + status.stderr
