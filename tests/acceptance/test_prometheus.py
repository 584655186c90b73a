"""A Prometheus with the shipped configuration, rules and dashboard, beside daemons under load."""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import yaml

from tests.acceptance.shop import Shop, command, order, product, user
from tests.conftest import StartDaemon
from tests.support.dashboard import DASHBOARD, MONITORING, PANELS, expressions
from tests.support.exporter import serving
from tests.support.orderctl import orderctl_on
from tests.support.prometheus import Prometheus, node_exporter_of, prometheus_with
from tools.servers import Servers
from tools.waiting import NotObserved, wait_until

# Daemons write their metrics every 10 s; a rate takes two values that differ.
SEEN_S: Final = 60
SCRAPE_S: Final = "2s"
JOBS: Final = {"orderd", "node"}
SHORTENED: Final = "OrderdQueuePaused"
# Products with this price cannot be written: their commands wait for a retry.
BROKEN: Final = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'no such price' USING ERRCODE = '22012'; END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON products
        FOR EACH ROW WHEN (NEW.price = 13) EXECUTE FUNCTION refuse();
"""
FULL: Final = {"x-max-length": 1, "x-overflow": "reject-publish"}


@pytest.fixture
def environment(servers: Servers, database_url: str, vhost_url: str) -> dict[str, str]:
    """Where the exporter finds the servers."""
    management = servers.rabbit.management
    if management is None:
        pytest.skip("needs the management API")
    return {
        "ORDERD_DATABASE_URL": database_url,
        "ORDERD_RABBITMQ_URL": vhost_url,
        "RABBITMQ_MANAGEMENT_URL": f"http://{management.host}:{management.port}",
    }


@pytest.fixture
def prometheus(
    daemon: StartDaemon, environment: dict[str, str], tmp_path: Path
) -> Iterator[Prometheus]:
    """Prometheus, with a daemon on each of the two ways that lead to it."""
    textfiles = tmp_path / "textfiles"
    textfiles.mkdir()
    files = {name: tmp_path / f"{name}.prom" for name in ("one", "two")}
    (textfiles / "orderd.prom").symlink_to(files["two"])
    for name, file in files.items():
        daemon(instance_name=name, metrics_file=file)
    with ExitStack() as stack:
        url = stack.enter_context(serving(files["one"], environment))
        port = stack.enter_context(node_exporter_of(textfiles, tmp_path / "node.log"))
        config = written(tmp_path, {"orderd": urlsplit(url).netloc, "node": f"127.0.0.1:{port}"})
        yield stack.enter_context(prometheus_with(config, tmp_path))


def written(folder: Path, targets: Mapping[str, str]) -> Path:
    """Write the shipped configuration and rules with these *targets*, and less waiting."""
    config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
    config["global"] = dict.fromkeys(config["global"], SCRAPE_S)
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = []
    for job in config["scrape_configs"]:
        job |= {"scrape_interval": SCRAPE_S, "scrape_timeout": SCRAPE_S}
        job["static_configs"][0]["targets"] = [targets[job["job_name"]]]
    config["rule_files"] = ["alerts.yml"]
    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text())
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        if rule["alert"] == SHORTENED:
            rule["for"] = SCRAPE_S
    (folder / "alerts.yml").write_text(yaml.safe_dump(rules))
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    return file


def load(shop: Shop, number: int) -> None:
    """Send what leads to each kind of outcome, retry, dead letter, event and unsent reply."""
    missing = 10_000 + number
    same = product(id=f"same-{number}")
    shop.send_all(
        [
            user(f"ann{number}"),
            same,
            same,
            order({1: 1}),
            command("order", "update_status", {"order_id": missing, "status": "shipped"}),
            command("order", "refund"),
            command("order", "health_check", reply_to="order"),
        ]
    )


def variables(prometheus: Prometheus) -> dict[str, str]:
    """Return what Grafana puts in the place of the dashboard's variables: all values."""
    found = {"$__rate_interval": "1m"}
    for each in DASHBOARD["templating"]["list"]:
        asked = re.fullmatch(r"label_values\((\w+), (\w+)\)", each.get("definition", ""))
        if asked is not None:
            values = prometheus.ask(f"label/{asked[2]}/values", **{"match[]": asked[1]})
            found[f"${each['name']}"] = f"({'|'.join(values)})"
    return found


def empty_panels(prometheus: Prometheus, texts: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the queries that have no series now, by the title of their panel."""
    found = {
        panel["title"]: [each for each in expressions(panel, texts) if not prometheus.query(each)]
        for panel in PANELS
    }
    return {title: empty for title, empty in found.items() if empty}


def wait_until_scraped(prometheus: Prometheus) -> None:
    """Return when both jobs are up and the metrics of both daemons are there."""
    wait_until(
        lambda: (
            prometheus.health() == dict.fromkeys(JOBS, "up")
            and len(prometheus.query("orderd_build_info")) == len(JOBS)
        ),
        timeout_s=SEEN_S,
        what="metrics of both daemons",
    )


def test_each_panel_has_series_of_daemons_under_load(shop: Shop, prometheus: Prometheus) -> None:
    shop.open_with(stock=1_000)
    shop.query(BROKEN)
    shop.channel.queue_declare("full", durable=True, arguments=FULL)
    shop.channel.queue_bind("full", "orderd.events", "user.created")
    wait_until_scraped(prometheus)
    texts = variables(prometheus)
    shop.send_all([product(price=13)])
    numbers = count(1)

    def is_none_empty() -> bool:
        load(shop, next(numbers))
        return not empty_panels(prometheus, texts)

    with suppress(NotObserved):
        wait_until(is_none_empty, timeout_s=SEEN_S, what="series on each panel", poll_s=1)
    assert empty_panels(prometheus, texts) == {}
    assert (texts["$daemon"], texts["$queue"]) == ("(one|two)", "(order|product|user)")


def test_each_rule_is_loaded_and_the_alert_of_a_paused_queue_fires_and_ends(
    prometheus: Prometheus, environment: dict[str, str]
) -> None:
    orderctl = orderctl_on(environment)
    wait_until_scraped(prometheus)
    wait_until(
        lambda: all(rule["health"] == "ok" for rule in prometheus.rules().values()),
        timeout_s=SEEN_S,
        what="each rule evaluated",
    )
    shipped = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    assert prometheus.rules().keys() == {r["alert"] for group in shipped for r in group["rules"]}
    assert prometheus.firing() == set()

    assert orderctl("pause", "product", "--reason", "stocktaking").code == 0
    wait_until(
        lambda: prometheus.firing() == {SHORTENED}, timeout_s=SEEN_S, what="the alert", poll_s=0.5
    )
    told = alert_of(prometheus)
    assert told["labels"] == {"alertname": SHORTENED, "severity": "critical", "queue": "product"}
    assert told["annotations"]["summary"].startswith("Queue product is paused")
    [annotation] = DASHBOARD["annotations"]["list"]
    assert len(prometheus.query(annotation["expr"])) == 1

    assert orderctl("resume", "product").code == 0
    wait_until(lambda: prometheus.firing() == set(), timeout_s=SEEN_S, what="its end", poll_s=0.5)


def alert_of(prometheus: Prometheus) -> Mapping[str, Any]:
    [alert] = prometheus.rules()[SHORTENED]["alerts"]
    found: Mapping[str, Any] = alert
    return found
