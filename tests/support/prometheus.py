"""A private Prometheus and node_exporter: own folder, own ports; nothing is left of them."""

import json
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from tools.installation import HERE
from tools.ports import free_ports
from tools.program import Program, StartFailed, tail
from tools.waiting import NotObserved, wait_until

HOST: Final = "127.0.0.1"
START_TIMEOUT_S: Final = 60
ANSWER_TIMEOUT_S: Final = 20
COLLECTORS: Final = ("textfile", "meminfo", "cpu")


class Prometheus:
    """A server that answers at *port*."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, path: str, **parameters: str) -> Any:
        """Return the `data` of an answer of `/api/v1/PATH`; an error fails the test."""
        status, answer = get(self._port, f"/api/v1/{path}?{urlencode(parameters)}")
        document = json.loads(answer)
        assert (status, document["status"]) == (200, "success"), f"{parameters}: {answer}"
        return document["data"]

    def query(self, expression: str) -> Sequence[Mapping[str, Any]]:
        """Return the series that *expression* has now; none but vectors are expected."""
        found = self.ask("query", query=expression)
        assert found["resultType"] == "vector", expression
        series: Sequence[Mapping[str, Any]] = found["result"]
        return series

    def rules(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the rules that are loaded, by name."""
        groups = self.ask("rules")["groups"]
        return {rule["name"]: rule for group in groups for rule in group["rules"]}

    def firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        return {
            alert["labels"]["alertname"]
            for alert in self.ask("alerts")["alerts"]
            if alert["state"] == "firing"
        }

    def health(self) -> Mapping[str, str]:
        """Return of each job whether its target is `up`, `down`, or not scraped yet: `unknown`."""
        return {
            target["labels"]["job"]: target["health"]
            for target in self.ask("targets")["activeTargets"]
        }


@contextmanager
def prometheus_with(config: Path, scratch: Path) -> Iterator[Prometheus]:
    """Run a Prometheus with the configuration in *config*, its data in *scratch*."""
    (port,) = free_ports(1)
    argv = (
        installed("prometheus"),
        f"--config.file={config}",
        f"--storage.tsdb.path={scratch / 'data'}",
        f"--web.listen-address={HOST}:{port}",
    )
    with running(argv, port, "/-/ready", scratch / "prometheus.log"):
        yield Prometheus(port)


@contextmanager
def node_exporter_of(textfiles: Path, log_path: Path) -> Iterator[int]:
    """Run a node_exporter that reads the files in the folder *textfiles*; yield its port."""
    (port,) = free_ports(1)
    argv = (
        installed("prometheus-node-exporter"),
        "--collector.disable-defaults",
        *(f"--collector.{name}" for name in COLLECTORS),
        f"--collector.textfile.directory={textfiles}",
        f"--web.listen-address={HOST}:{port}",
    )
    with running(argv, port, "/metrics", log_path):
        yield port


@contextmanager
def running(argv: Sequence[str], port: int, path: str, log_path: Path) -> Iterator[None]:
    """Run a server, and give it once it answers at *path* with 200; StartFailed if it does not."""
    server = Program(argv, env=os.environ, log_path=log_path, cwd=log_path.parent)

    def ready_or_dead() -> bool:
        with suppress(OSError, HTTPException):
            return get(port, path)[0] == 200
        return not server.is_running

    try:
        wait_until(ready_or_dead, timeout_s=START_TIMEOUT_S, what=f"{argv[0]} ready")
        if not server.is_running:
            raise StartFailed(f"{argv[0]} ended while it started:\n{tail(log_path)}")
        yield
    except NotObserved as error:
        raise NotObserved(f"{error}\n{tail(log_path)}") from error
    finally:
        server.end(signal.SIGTERM)


def get(port: int, path: str) -> tuple[int, str]:
    """Return status and text of an answer; raises OSError, HTTPException."""
    connection = HTTPConnection(HOST, port, timeout=ANSWER_TIMEOUT_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def installed(program: str) -> str:
    """Return where *program* is; skip the test where it is not installed."""
    path = HERE.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed (Debian package {program})")
    return path
