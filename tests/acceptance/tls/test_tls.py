"""Daemons and orderctl work by TLS to both servers, and go on with certificates that are new."""

from pathlib import Path

import pytest

from tests.acceptance.shop import Shop, product
from tests.acceptance.tls.conftest import Start
from tests.support.authority import Authority
from tests.support.orderctl import orderctl_on
from tests.support.tls_rabbit import TlsRabbit
from tools.daemon import NOTIFY_PROGRAM


def test_commands_events_and_replies_go_by_tls(shop: Shop, start: Start) -> None:
    orderd = start()
    orderd.wait_ready()

    shop.send_all([product(id="one")])

    assert shop.wait_for("one") == {"one": "applied"}
    assert orderd.stop() == 0


def test_a_renewed_authority_needs_no_restart(
    shop: Shop,
    start: Start,
    tls_rabbit: TlsRabbit,
    other_authority: Authority,
    ca_file: Path,
) -> None:
    orderd = start(rabbitmq_cert_file="", rabbitmq_key_file="")
    orderd.wait_ready()
    mark = orderd.mark()

    tls_rabbit.present(other_authority.issue("renewed"))
    tls_rabbit.drop_connections()
    refused = orderd.wait_for_event("broker.refused", after=mark)
    assert "the server's certificate is from an unknown authority" in refused["message"]

    mark = orderd.mark()
    ca_file.write_bytes(other_authority.certificate.read_bytes())
    orderd.wait_ready(after=mark)
    shop.send_all([product(id="renewed")])
    assert shop.wait_for("renewed") == {"renewed": "applied"}


def test_a_file_that_is_being_written_is_no_end(
    start: Start, tls_rabbit: TlsRabbit, authority: Authority, ca_file: Path
) -> None:
    orderd = start()
    orderd.wait_ready()
    mark = orderd.mark()

    ca_file.write_text("")
    tls_rabbit.drop_connections()
    refused = orderd.wait_for_event("broker.refused", after=mark)
    assert refused["message"] == f"rabbitmq_ca_file = '{ca_file}': has no certificate in PEM"

    ca_file.write_bytes(authority.certificate.read_bytes())
    orderd.wait_ready(after=mark)
    assert orderd.is_running


def test_orderctl_says_what_is_wrong(
    vhost: str, environment: dict[str, str], tls_rabbit: TlsRabbit, other_authority: Authority
) -> None:
    foreign = str(other_authority.certificate)
    orderctl = orderctl_on(environment)

    by_broker = orderctl("dlq", "list", "product", ORDERD_RABBITMQ_CA_FILE=foreign)
    plain = environment["ORDERD_DATABASE_URL"].replace("sslmode=verify-full", "sslmode=disable")
    by_database = orderctl("ledger", "list", ORDERD_DATABASE_URL=plain)

    assert by_broker.code == 69
    assert f"TLS fails: 127.0.0.1:{tls_rabbit.port}/{vhost}: the server's certificate is from" in (
        by_broker.err
    )
    assert by_database.code == 69
    assert "no encryption" in by_database.err


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rabbitmq_ca_file": "/no/such.pem"}, "cannot be read: No such file or directory"),
        ({"rabbitmq_key_file": ""}, "needs rabbitmq_key_file, too"),
        ({"rabbitmq_url": "amqp://u:p@127.0.0.1/"}, "rabbitmq_url needs amqps://"),
    ],
)
def test_settings_that_cannot_work_end_a_start(
    start: Start, changes: dict[str, str], reason: str
) -> None:
    orderd = start(**changes)

    assert orderd.exit_code() == 78
    assert reason in orderd.events("config.rejected")[0]["message"]


# Last, because it restarts the broker.
def test_orderctl_and_both_daemons_show_their_certificate(
    start: Start, tls_rabbit: TlsRabbit, environment: dict[str, str]
) -> None:
    with tls_rabbit.demanding(certificate=True):
        orderd = start()
        orderd.wait_ready()
        notify = start(NOTIFY_PROGRAM, health_file="")
        notify.wait_ready()
        orderctl = orderctl_on(environment)

        call = orderctl("call", "product", "list", "{}")
        status = orderctl("status")
        dead_letters = orderctl("dlq", "list", "product")
        without = orderctl("dlq", "list", "product", ORDERD_RABBITMQ_CERT_FILE="")

    assert call.code == 0, call.err
    assert status.code == 0, status.out + status.err
    assert dead_letters.code == 0, dead_letters.err
    assert without.code == 78
    assert "rabbitmq_key_file" in without.err
    assert "needs rabbitmq_cert_file" in without.err
