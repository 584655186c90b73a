"""orderd-exporter.service: the metrics of the daemon and of its servers, over HTTP, when wanted."""

from tests.system.machine import PATIENCE_S, Machine
from tools.waiting import wait_until

URL = "http://127.0.0.1:9645/metrics"
FETCH = ("python3", "-c", f"import urllib.request as r; print(r.urlopen('{URL}').read().decode())")


def test_it_is_off_until_it_is_enabled_and_then_serves_all_metrics(orderd: Machine) -> None:
    before = orderd.run("systemctl", "is-enabled", "orderd-exporter", check=False).strip()
    orderd.product("Metre", stock=1)

    orderd.run("systemctl", "start", "orderd-exporter")

    try:
        wait_until(
            lambda: 'orderd_queue_consumers{daemon="guest",queue="order"} 1.0' in _fetched(orderd),
            timeout_s=PATIENCE_S,
            what="metrics of the broker",
        )
        wait_until(
            lambda: 'orderd_state{daemon="guest",state="running"} 1.0' in _fetched(orderd),
            timeout_s=PATIENCE_S,
            what="metrics of the daemon",
        )
        found = _fetched(orderd)
        user = orderd.run("ps", "-o", "euser=", "-p", f"{orderd.pid('orderd-exporter')}").strip()
    finally:
        orderd.run("systemctl", "stop", "orderd-exporter")
    assert before == "disabled"
    assert 'orderd_schema_outdated{daemon="guest"} 0.0' in found
    assert user == "orderd"
    shown = orderd.unit("orderd-exporter", "Result", "ActiveState")
    assert shown == {"Result": "success", "ActiveState": "inactive"}


def _fetched(orderd: Machine) -> str:
    return orderd.guest.result(*FETCH).stdout
