"""The documented pod, as far as podman can run it: both containers, their probes and metrics."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import yaml

from tests.conftest import RUN_NAME
from tests.container.conftest import StartContainer
from tools.podman import TREE, Podman
from tools.ports import free_ports
from tools.waiting import wait_until

pytestmark = pytest.mark.container

PAGE: Final = TREE / "docs/how-to/containers.md"
PLACE: Final = "/run/metrics"


@pytest.fixture(scope="module")
def containers() -> dict[str, Any]:
    """The containers of the documented deployment, by name."""
    found = re.search(r"(?ms)^```yaml\n(apiVersion:.*?)^```", PAGE.read_text())
    assert found is not None
    documents = yaml.safe_load_all(found[1])
    # That of orderd-notify, in a block of its own, has the same probes.
    (deployment,) = [one for one in documents if one["kind"] == "Deployment"]
    return {one["name"]: one for one in deployment["spec"]["template"]["spec"]["containers"]}


@pytest.fixture
def on_servers(database_url: str, vhost_url: str, image: str) -> tuple[str, ...]:
    """What starts a container of the image on this test's servers."""
    return (
        f"--env=ORDERD_DATABASE_URL={database_url}",
        f"--env=ORDERD_RABBITMQ_URL={vhost_url}",
        image,
    )


def test_the_probes_of_the_pod_succeed_and_its_exporter_serves_the_daemons_metrics(
    podman: Podman,
    container: StartContainer,
    containers: dict[str, Any],
    on_servers: tuple[str, ...],
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o777)
    (variable,) = containers["orderd"]["env"]
    shared = (f"--volume={tmp_path}:{PLACE}", f"--env={variable['name']}={variable['value']}")
    orderd = container(options=shared, instance_name="pod")
    exporter = f"{RUN_NAME}_exporter"
    (port,) = free_ports(1)
    arguments = [text.replace("9645", str(port)) for text in containers["exporter"]["args"]]
    named = ("--env=ORDERD_INSTANCE_NAME=pod", f"--name={exporter}", "--detach", "--read-only")

    podman.run("run", *named, "--cap-drop=all", *shared, *on_servers, *arguments)

    try:
        for kind in ("livenessProbe", "readinessProbe"):
            podman.run("exec", orderd.name, *containers["orderd"][kind]["exec"]["command"])
        found = wait_until(
            _metrics_with(port, 'orderd_state{daemon="pod",state="running"} 1.0'),
            timeout_s=60,
            what="the daemon's metrics",
        )
    finally:
        podman.attempt("rm", "--force", "--time=0", exporter)
    assert 'orderd_queue_consumers{daemon="pod",queue="order"} 1.0' in found
    assert orderd.stop() == 0


def _metrics_with(port: int, text: str) -> Callable[[], str]:
    def fetch() -> str:
        try:
            with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                found: str = answer.read().decode()
        except (URLError, OSError):
            return ""
        return found if text in found else ""

    return fetch
