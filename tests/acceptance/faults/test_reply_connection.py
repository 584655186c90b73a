"""The connection for direct replies: whatever becomes of it, nobody waits for it."""

from urllib.parse import urlsplit, urlunsplit

from tests.acceptance.shop import Shop, user
from tests.conftest import StartDaemonOn
from tests.support.connections import orderd_connections, wait_for_connections
from tests.support.tcp_proxy import TcpProxy
from tools.rabbitmq import PrivateRabbit
from tools.waiting import wait_until

OTHERS = 200
LISTING = {"limit": 1}


def through(proxy: TcpProxy, url: str) -> str:
    """Return the URL of the same virtual host behind the proxy."""
    parts = urlsplit(url)
    host = f"{parts.username}:{parts.password}@127.0.0.1:{proxy.port}"
    return urlunsplit(parts._replace(netloc=host))


def test_a_host_that_never_answers_holds_up_neither_callers_nor_others(
    shop: Shop,
    vhost: str,
    vhost_url: str,
    private_rabbit: PrivateRabbit,
    daemon_on: StartDaemonOn,
) -> None:
    with TcpProxy(vhost_url) as proxy:
        proxy.open()
        orderd = daemon_on(f"{through(proxy, vhost_url)},{vhost_url}")
        *_, (replying, _) = wait_for_connections(private_rabbit, vhost, 3)
        proxy.is_deaf = True
        private_rabbit.ctl("close_connection", replying, "a test")
        wait_until(lambda: proxy.unanswered == 1, timeout_s=20, what="another try to connect")

        shop.send_all([user(f"ann{number}") for number in range(OTHERS)])
        assert shop.call("product", "list", LISTING)["status"] == "ok"
        shop.wait_for_rows(OTHERS, "users")

        # All of that was done while the host was still waited for.
        assert proxy.unanswered == 1
        # The next URL is tried, and what was silent is closed.
        wait_for_connections(private_rabbit, vhost, 3)
        wait_until(lambda: proxy.unanswered == 0, timeout_s=20, what="the silent one to be closed")
        assert shop.call("product", "list", LISTING)["status"] == "ok"
        assert orderd.events("broker.disconnected") == []
        assert orderd.events("replies.rerouted") == []
        assert orderd.stop() == 0
    assert orderd_connections(private_rabbit, vhost) == []
