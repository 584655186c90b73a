"""`orderctl dlq export`, `import` and `purge`."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from orderd.amqp.confirmed import ConfirmedPublisher
from orderd.amqp.connection import Connection
from orderd.amqp.endpoint import BrokerEndpoint
from orderd.amqp.message import OutgoingMessage, Properties
from tests.integration.amqp.headers import HEADERS
from tests.integration.ctl.conftest import Orderctl
from tests.integration.ctl.letters import Broker
from tests.integration.ctl.test_dlq_replay import ODD_BODY, properties_of

FULL = Properties(
    content_type="text/odd; charset=ü",
    content_encoding="none",
    headers=HEADERS,
    delivery_mode=2,
    priority=7,
    correlation_id="c",
    reply_to="nobody",
    expiration="3600000",
    message_id="m",
    timestamp=1_700_000_000,
    type="odd",
    user_id="guest",
    app_id="elsewhere",
)


def put(url: str, body: bytes, properties: Properties) -> None:
    with closing(Connection(BrokerEndpoint((url,), "test"))) as connection:
        connection.open()
        message = OutgoingMessage("", "order.dlq", body, properties, mandatory=True)
        assert ConfirmedPublisher(connection).publish(message) is None


def test_an_exported_letter_comes_back_to_the_byte(
    orderctl: Orderctl, broker: Broker, vhost_url: str, tmp_path: Path
) -> None:
    broker.declare()
    put(vhost_url, ODD_BODY, FULL)
    file = tmp_path / "letters.ndjson"

    exported = orderctl("dlq", "export", "--output", str(file))
    broker.wait_for("order.dlq", 1)
    broker.take_all("order.dlq")
    imported = orderctl("dlq", "import", str(file), "--json")

    assert (exported.code, exported.out) == (0, "")
    assert exported.err == "1 exported; 1 of 1 checked\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    assert imported.document == {
        "dry_run": False,
        "looked_at": 1,
        "imported": 1,
        "skipped": 0,
        "failed": 0,
    }
    assert properties_of(vhost_url, "order.dlq") == FULL
    broker.wait_for("order.dlq", 1)
    assert broker.take_bodies("order.dlq") == [ODD_BODY]


@pytest.mark.parametrize("queue_type", ["classic", "quorum"])
def test_what_is_there_is_not_imported_twice(
    orderctl: Orderctl, broker: Broker, queue_type: str
) -> None:
    broker.declare(queue_type=queue_type)
    for number in (1, 2, 2, 3, 4):
        broker.bury("user", b"%d" % number, headers={"orderd-failed-at": "2026-01-01T00:00:00Z"})
    exported = orderctl("dlq", "export", "user").out
    broker.take_all("user.dlq")
    for number in (2, 4):
        broker.bury("user", b"%d" % number, headers={"orderd-failed-at": "2026-01-01T00:00:00Z"})

    dry = orderctl("dlq", "import", "-", "--dry-run", stdin=exported)
    broker.wait_for("user.dlq", 2)
    first = orderctl("dlq", "import", "-", stdin=exported)
    second = orderctl("dlq", "import", "-", stdin=exported)

    assert dry.out == "3 would be imported, 2 already there; 5 in the file\n"
    assert first.out == "3 imported, 2 already there; 5 in the file\n"
    assert second.out == "0 imported, 5 already there; 5 in the file\n"
    broker.wait_for("user.dlq", 5)
    assert sorted(broker.take_bodies("user.dlq")) == [b"1", b"2", b"2", b"3", b"4"]


def test_an_export_can_be_filtered_and_leaves_all_where_it_was(
    orderctl: Orderctl, broker: Broker
) -> None:
    broker.declare()
    for number in range(6):
        broker.bury("order", b"%d" % number, code="poison" if number % 2 else "malformed")

    done = orderctl("dlq", "export", "--code", "poison", "--limit", "2")

    assert [json.loads(line)["body"] for line in done.out.splitlines()] == ["1", "3"]
    broker.wait_for("order.dlq", 6)
    assert broker.take_bodies("order.dlq") == [b"%d" % number for number in range(6)]


def test_an_export_to_a_file_tells_what_it_did_in_one_document(
    orderctl: Orderctl, broker: Broker, tmp_path: Path
) -> None:
    broker.declare()
    broker.bury("order", b"1")
    file = tmp_path / "letters"

    done = orderctl("dlq", "export", "--output", str(file), "--json")

    counts = {"exported": 1, "failed": 0, "looked_at": 1}
    assert (done.code, done.document) == (0, {"file": str(file), **counts})
    assert len(file.read_text().splitlines()) == 1


def test_a_file_with_a_wrong_line_is_not_imported_at_all(
    orderctl: Orderctl, broker: Broker
) -> None:
    broker.declare()
    broker.bury("order", b"1")
    good = orderctl("dlq", "export").out
    broker.take_all("order.dlq")

    done = orderctl("dlq", "import", "-", stdin=f"{good}{{}}\n{good[:40]}")

    assert (done.code, done.out) == (1, "")
    lines = done.err.splitlines()
    assert lines[0].startswith("-: line 2: queue must be one of user.dlq, product.dlq, order.dlq")
    assert lines[1].startswith("-: line 3: is not JSON")
    assert lines[2] == ("orderctl: -: 2 lines are no exported dead letter; nothing imported")
    assert broker.ready("order.dlq") == 0


def test_what_a_queue_does_not_take_is_told(orderctl: Orderctl, broker: Broker) -> None:
    broker.declare()
    broker.bury("order", b"1")
    exported = orderctl("dlq", "export").out
    broker.channel.queue_delete("order.dlq")

    done = orderctl("dlq", "import", "-", stdin=exported)

    assert done.code == 1
    assert "order.dlq: not imported: returned: 312 NO_ROUTE" in done.err


def test_files_that_cannot_be_read_or_written_are_named(
    orderctl: Orderctl, broker: Broker, tmp_path: Path
) -> None:
    broker.declare()
    nowhere = str(tmp_path / "none" / "x")

    for arguments in (("import", nowhere), ("export", "--output", nowhere)):
        done = orderctl("dlq", *arguments)
        assert done.code == 1
        assert done.err == f"orderctl: {nowhere}: No such file or directory\n"


class TestPurge:
    def test_what_is_old_goes(self, orderctl: Orderctl, broker: Broker) -> None:
        broker.declare()
        for number in range(6):
            broker.bury("order", b"%d" % number, age_s=7200 if number % 2 else 60)

        told = orderctl("dlq", "purge", "--older-than", "1h")
        done = orderctl("dlq", "purge", "--older-than", "1h", "--yes", "--json")

        assert (told.code, told.out) == (2, "3 would be purged; 6 of 6 checked\n")
        assert (done.code, done.document["purged"], done.document["dry_run"]) == (0, 3, False)
        broker.wait_for("order.dlq", 3)
        assert broker.take_bodies("order.dlq") == [b"0", b"2", b"4"]

    def test_nothing_to_delete_needs_no_confirmation(
        self, orderctl: Orderctl, broker: Broker
    ) -> None:
        broker.declare()
        broker.bury("order", b"1")

        done = orderctl("dlq", "purge", "--older-than", "1h")

        assert (done.code, done.out, done.err) == (0, "0 would be purged; 1 of 1 checked\n", "")

    def test_an_age_is_required(self, orderctl: Orderctl, broker: Broker) -> None:
        broker.declare()
        broker.bury("order", b"1")

        done = orderctl("dlq", "purge", "--yes")

        assert done.code == 2
        assert "the following arguments are required: --older-than" in done.err
        assert broker.ready("order.dlq") == 1
