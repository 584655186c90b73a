"""URLs become connection parameters; passwords stay inside."""

import pytest

from orderd.amqp.endpoint import BrokerEndpoint


def test_the_limits_are_those_of_the_endpoint_whatever_the_url_says() -> None:
    url = "amqp://u:p@host/v?heartbeat=0&connection_attempts=9&blocked_connection_timeout=99"

    target = BrokerEndpoint((url,), "orderd-1").targets()[0]

    assert target.parameters.heartbeat == 20
    assert target.parameters.blocked_connection_timeout == 20
    assert target.parameters.connection_attempts == 1
    assert target.parameters.client_properties == {"connection_name": "orderd-1"}


def test_targets_are_named_by_host_port_and_vhost() -> None:
    endpoint = BrokerEndpoint(("amqp://u:p@one", "amqps://u:p@two:99/shop"), "orderd")

    assert [target.name for target in endpoint.targets()] == ["one:5672/", "two:99/shop"]


@pytest.mark.parametrize(
    "url",
    [
        "amqp://u:sec/ret@host",
        "amqp://u:secret@host:port",
        "amqp://u:secret@host?no_such=1",
        "amqp://u:secret@host?heartbeat=often",
        "amqps://u:secret@host?ssl_options={'cafile':'/no/such/file'}",
        "amqp://secret-user@host",
    ],
)
def test_an_unusable_url_is_reported_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="not a usable AMQP URL") as caught:
        BrokerEndpoint((url,), "orderd")

    assert "secret@" not in str(caught.value).replace("secret-user@", "")
    assert "sec/ret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("query", "option"),
    [
        ("heartbeat=often", "heartbeat"),
        ("locale=x&frobnicate=1", "frobnicate"),
        ("ssl_options=[1]", "ssl_options"),
    ],
)
def test_an_unusable_option_is_named(query: str, option: str) -> None:
    scheme = "amqps" if "ssl" in query else "amqp"

    with pytest.raises(ValueError, match=rf"\(option {option}\)$"):
        BrokerEndpoint((f"{scheme}://u:secret@host?{query}",), "orderd")


@pytest.mark.parametrize("url", ["http://u:secret@host", "https://u:secret@host", "host:5672", ""])
def test_other_schemes_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="neither amqp:// nor amqps://") as caught:
        BrokerEndpoint((url,), "orderd")

    assert "secret" not in str(caught.value)


def test_an_endpoint_does_not_show_its_urls() -> None:
    assert "secret" not in repr(BrokerEndpoint(("amqp://u:secret@host",), "orderd"))


def test_no_url_is_refused() -> None:
    with pytest.raises(ValueError, match="no AMQP URL"):
        BrokerEndpoint((), "orderd")
