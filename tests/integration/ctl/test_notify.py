"""Notifications on record and their dead letters: listed, retried, explained and pruned."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.integration.ctl.conftest import Ended, Open, Orderctl
from tests.integration.ctl.letters import Broker, execute, value
from tests.unit.notify.notices import EVENT, PLAIN
from tools.management import Management

ROW = """
    INSERT INTO notifications
        (event_id, channel, recipient, state, attempts, type, address, error, sent_at, digest_id)
    VALUES ('{event}', '{channel}', '{to}', '{state}', 1, '{type}', 'ann@example.org', {error},
        CASE '{state}' WHEN 'sent' THEN now() END, {digest})
"""
DIGEST = "'e5d76b93-ffef-430e-9d10-6c041459a639'"


def put(url: str, event: str, state: str, **more: str) -> None:
    """Put a notification on record as orderd-notify would."""
    usual = {"channel": "mail", "to": "user/1", "type": "order.shipped", "error": "NULL"}
    execute(url, ROW.format(event=event, state=state, **{"digest": "NULL", **usual, **more}))


def bury(broker: Broker, event: str, code: str = "undeliverable") -> None:
    """Put an event into the dead letter queue as orderd-notify would."""
    body = json.dumps({**EVENT, "id": event}).encode()
    broker.bury("user_notifications", body, message_id=event, code=code)


@pytest.fixture
def queues(broker: Broker) -> Broker:
    """The queues of orderd-notify, and those of orderd."""
    broker.declare()
    for queue in ("user_notifications", "admin_notifications"):
        for name in (queue, f"{queue}.dlq"):
            broker.channel.queue_declare(name, durable=True)
    return broker


def test_notifications_are_listed_by_each_filter(orderctl: Orderctl, database_url: str) -> None:
    put(database_url, "e-1", "sent")
    put(database_url, "e-2", "skipped", to="user/2", error="'user 2 is not active'")
    put(database_url, "e-3", "failed", channel="ops", to="ops@example.org", type="system.paused")

    def listed(*arguments: str) -> set[str]:
        found = orderctl("notify", "list", *arguments, "--json")
        assert found.code == 0
        return {item["id"] for item in found.document["items"]}

    assert listed() == {"e-1", "e-2", "e-3"}
    assert listed("--state", "sent") == {"e-1"}
    assert listed("--user", "2") == {"e-2"}
    assert listed("--channel", "ops") == listed("--type", "system.paused") == {"e-3"}
    assert listed("--type", "order.shipped", "--state", "failed") == set()
    limited = orderctl("notify", "list", "--limit", "1", "--json").document
    assert (len(limited["items"]), limited["more"]) == (1, True)
    text = orderctl("notify", "list", "--state", "skipped")
    assert "user 2 is not active" in text.out


def test_one_event_is_shown_with_all_channels_and_recipients(
    orderctl: Orderctl, database_url: str
) -> None:
    put(database_url, "e-1", "sent")
    put(database_url, "e-1", "failed", channel="hook", to="admins", error="'410 Gone'")

    shown = orderctl("notify", "show", "e-1")
    document = orderctl("notify", "show", "e-1", "--json").document
    missing = orderctl("notify", "show", "e-2")

    assert shown.code == 0
    assert "order.shipped e-1: 2 notifications" in shown.out
    assert "user/1 ann@example.org" in shown.out
    assert "410 Gone" in shown.out
    assert document["type"] == "order.shipped"
    assert {(each["channel"], each["state"]) for each in document["notifications"]} == {
        ("mail", "sent"),
        ("hook", "failed"),
    }
    assert (missing.code, "no notification of event e-2" in missing.err) == (1, True)


def test_notifications_fit_into_80_columns(open_terminal: Open, database_url: str) -> None:
    event = "e5d76b93-ffef-430e-9d10-6c041459a639"
    put(database_url, event, "failed", error="'550 5.1.1 <ann@example.org>: no such user here'")
    window = open_terminal(80)

    window.type(f"clear; orderctl notify list; orderctl notify show {event}; echo code $?", "Enter")
    window.wait_for("code 0", at_end=True)

    assert not window.is_anything_too_wide
    assert sum(event in line for line in window.screen()) == 2


def test_before_the_migration_the_schema_is_named(orderctl_before_migration: Orderctl) -> None:
    done = orderctl_before_migration("notify", "list")

    assert done.code == 78
    assert "pending" in done.err


def test_a_retry_puts_the_dead_letter_back_and_tells_of_each_other(
    orderctl: Orderctl, database_url: str, queues: Broker
) -> None:
    for event in ("e-failed", "e-sent", "e-other"):
        bury(queues, event)
    put(database_url, "e-failed", "failed", error="'550 no such user'")
    put(database_url, "e-sent", "sent")
    put(database_url, "e-gone", "failed", error="'550 no such user'")
    put(database_url, "e-later", "deferred", error="'451 try later'")
    put(database_url, "e-skipped", "skipped", error="'user 2 is not active'")
    ids = ("e-failed", "e-sent", "e-gone", "e-later", "e-skipped", "e-unknown")

    dry = orderctl("notify", "retry", *ids, "--dry-run", "--json")
    assert (dry.code, dry.document["retried"], queues.ready("user_notifications")) == (1, 1, 0)
    done = orderctl("notify", "retry", *ids, "--json")

    results = {each["id"]: each["result"] for each in done.document["items"]}
    assert results == {
        "e-failed": "retried",
        "e-sent": "settled",
        "e-gone": "not_found",
        "e-later": "waiting",
        "e-skipped": "skipped",
        "e-unknown": "not_found",
    }
    assert (done.code, done.document["retried"], done.document["others"]) == (1, 1, 5)
    (back,) = queues.take_all("user_notifications")
    assert json.loads(back.body)["id"] == "e-failed"
    assert back.headers["orderd-replayed"] == 1
    assert queues.ready("user_notifications.dlq") == 2
    alone = orderctl("notify", "retry", "e-later")
    assert (alone.code, alone.out) == (
        1,
        "e-later: waits for its next try: 451 try later\n0 notifications retried, 1 not\n",
    )


def test_a_group_is_retried_as_a_whole(orderctl: Orderctl, queues: Broker) -> None:
    bury(queues, "e-1")
    bury(queues, "e-2")
    bury(queues, "e-3", code="retries_exhausted")
    groups = orderctl("dlq", "groups", "--json").document["items"]
    largest = groups[0]
    assert (largest["queue"], largest["action"], largest["count"]) == (
        "user_notifications",
        "order.shipped",
        2,
    )

    done = orderctl("notify", "retry", "--group", largest["group"])

    assert (done.code, done.out) == (0, "2 notifications retried\n")
    assert queues.ready("user_notifications") == 2
    assert queues.ready("user_notifications.dlq") == 1
    nothing = orderctl("notify", "retry", "--group", largest["group"])
    assert (nothing.code, "no dead letters of group" in nothing.err) == (1, True)


def test_a_digest_that_was_refused_goes_again_as_a_whole(
    orderctl: Orderctl, database_url: str, queues: Broker
) -> None:
    for event in ("e-1", "e-2"):
        put(database_url, event, "failed", error="'550 no'", digest=DIGEST)
    assert queues.ready("admin_notifications.dlq") == 0

    done = orderctl("notify", "retry", "e-1")

    assert (done.code, done.out) == (
        0,
        "e-1: its digest is sent again\n1 notification retried\n",
    )
    sql = "SELECT count(*) FROM notifications WHERE state = 'collected' AND error IS NULL"
    assert value(database_url, sql) == 2


@pytest.mark.parametrize("arguments", [(), ("e-1", "--group", "0123456789")])
def test_either_events_or_groups_are_retried(
    orderctl: Orderctl, arguments: tuple[str, ...]
) -> None:
    done = orderctl("notify", "retry", *arguments)

    assert (done.code, "orderctl notify list, or --group" in done.err) == (2, True)


def test_dead_letters_are_of_all_queues_and_edited_by_the_rules_of_their_own(
    orderctl: Orderctl, queues: Broker, database_url: str
) -> None:
    queues.bury("user", b"{}")
    wrong = {**PLAIN, "payload": {**PLAIN["payload"], "user_id": 0}}
    queues.bury("user_notifications", json.dumps(wrong).encode(), message_id="n-1")
    listed = orderctl("dlq", "list", "--json").document["items"]
    assert [(each["dead_letter_queue"], each["action"]) for each in listed] == [
        ("user.dlq", None),
        ("user_notifications.dlq", "user.password_changed"),
    ]

    still_wrong = orderctl("dlq", "edit", "n-1", EDITOR="sed -i 's/warning/gossip/'")
    assert still_wrong.code == 1
    assert "payload.user_id must be at least 1" in still_wrong.err
    edited = orderctl("dlq", "edit", "n-1", EDITOR='sed -i \'s/"user_id": 0/"user_id": 1/\'')

    assert (edited.code, edited.out) == (0, "sent to queue user_notifications\n")
    (back,) = queues.take_bodies("user_notifications")
    assert json.loads(back)["payload"]["user_id"] == 1
    put(database_url, "e-1", "sent")
    bury(queues, "e-1")
    skipped = orderctl("dlq", "replay", "user_notifications")
    assert (skipped.code, "it is sent already; pass --force" in skipped.err) == (0, True)


def test_dead_letters_of_notifications_go_to_a_file_and_back(
    orderctl: Orderctl, queues: Broker, tmp_path: Path
) -> None:
    file = str(tmp_path / "letters.ndjson")
    bury(queues, "e-1")

    assert orderctl("dlq", "export", "user_notifications", "--output", file).code == 0
    discarded = orderctl("dlq", "discard", "user_notifications", "--yes")
    imported = orderctl("dlq", "import", file)

    assert (discarded.code, imported.code) == (0, 0)
    assert queues.ready("user_notifications.dlq") == 1


def test_a_queue_of_notifications_is_paused_and_resumed(orderctl: Orderctl) -> None:
    paused = orderctl("pause", "user_notifications", "--reason", "new mail server")
    status = orderctl("status", "--json").document["pauses"]
    resumed = orderctl("resume", "user_notifications", "--json").document

    assert paused.code == 0
    assert [each["queue"] for each in status["queues_paused"]] == ["user_notifications"]
    assert resumed["was_paused"] is True


def test_an_event_is_explained_by_its_notifications_and_dead_letter(
    orderctl: Orderctl, database_url: str, queues: Broker
) -> None:
    put(database_url, "e-1", "skipped", error="'user 1 is not active'")
    put(database_url, "e-2", "failed", error="'550 no such user'")
    bury(queues, "e-2")

    skipped, failed = orderctl("explain", "e-1"), orderctl("explain", "e-2", "--json")

    assert skipped.code == failed.code == 0
    assert "skipped over mail to user/1 ann@example.org: user 1 is not active" in skipped.out
    assert failed.document["state"] == "dead_lettered"
    assert failed.document["notifications"][0]["error"] == "550 no such user"
    assert failed.document["dead_letters"][0]["queue"] == "user_notifications"


def test_an_event_in_a_queue_of_notifications_may_still_wait(
    orderctl: Orderctl, queues: Broker
) -> None:
    queues.channel.basic_publish("", "user_notifications", b"{}", mandatory=True)

    done = orderctl("explain", "e-1", "--json")

    assert (done.code, done.document["state"]) == (3, "unknown")
    assert [each["queue"] for each in done.document["may_wait"]] == ["user_notifications"]


def test_old_notifications_are_pruned_unless_one_of_their_event_is_unfinished(
    orderctl: Orderctl, database_url: str
) -> None:
    for event, state in (("old", "sent"), ("open", "sent"), ("new", "sent")):
        put(database_url, event, state)
    put(database_url, "open", "deferred", to="user/2")
    put(database_url, "digest", "collected")
    execute(
        database_url,
        "UPDATE notifications SET created_at = now() - interval '91 days' WHERE event_id <> 'new'",
    )

    dry = orderctl("prune", "--dry-run", "--json").document
    assert (dry["to_prune"], dry["to_prune_notifications"]) == (0, 1)
    assert orderctl("prune").code == 2
    done = orderctl("prune", "--yes", "--json").document

    assert done["pruned_notifications"] == 1
    kept = "SELECT string_agg(event_id, ' ' ORDER BY event_id, recipient) FROM notifications"
    assert value(database_url, kept) == "digest new open open"


def test_thousands_of_notifications_are_pruned_slice_by_slice(
    orderctl: Orderctl, database_url: str
) -> None:
    execute(
        database_url,
        "INSERT INTO notifications (event_id, channel, recipient, state, attempts, type, address,"
        " created_at) SELECT 'e-' || i, 'mail', 'user/1', CASE i % 5 WHEN 0 THEN 'deferred' ELSE"
        " 'sent' END, 1, 'order.shipped', '', now() - interval '91 days'"
        " FROM generate_series(1, 3000) AS i",
    )

    limited = orderctl("prune", "--yes", "--limit", "1500", "--json").document
    rest = orderctl("prune", "--yes", "--json").document

    assert (limited["pruned_notifications"], rest["pruned_notifications"]) == (1500, 900)
    assert value(database_url, "SELECT count(*) FROM notifications") == 600


@pytest.fixture
def limited_url(management: Management, vhost_url: str) -> Iterator[str]:
    """The URL for a user who has the rights of orderd, without those of orderd-notify."""
    host, name = urlsplit(vhost_url), "orderd-limited"
    own = r"^(user|product|order|orderd)(\..+)?$"
    management.request("PUT", f"/api/users/{name}", {"password": name, "tags": "monitoring"})
    try:
        rights = {"configure": own, "write": ".*", "read": own}
        management.request("PUT", f"/api/permissions{host.path}/{name}", rights)
        yield f"amqp://{name}:{name}@{host.hostname}:{host.port}{host.path}"
    finally:
        management.request("DELETE", f"/api/users/{name}")


def test_what_the_user_of_orderd_may_not_read_is_left_out(
    orderctl: Orderctl, topology: Callable[..., Ended], queues: Broker, limited_url: str
) -> None:
    assert topology("apply", "--events").code == 0
    bury(queues, "e-1")
    queues.bury("user", b'{"id": "web-1"}', code="malformed")
    env = {"ORDERD_RABBITMQ_URL": limited_url}

    listed = orderctl("dlq", "list", "--json", **env)
    explained = orderctl("explain", "web-1", "--json", **env)
    shown = topology("show", "--json", **env)
    linted = topology("lint", "--json", **env)

    assert [each["id"] for each in listed.document["items"]] == ["web-1"]
    assert (listed.code, "ACCESS_REFUSED" in listed.err) == (3, True)
    assert (explained.code, explained.document["state"]) == (0, "dead_lettered")
    states = {each["name"]: each["state"] for each in shown.document["items"]}
    assert states["user_notifications.retry.5s"].startswith("there; this user may not declare it")
    assert [one for one in linted.document["items"] if "notifications" in one["subject"]] == []
    assert orderctl("dlq", "list", "user_notifications", **env).code == 1
