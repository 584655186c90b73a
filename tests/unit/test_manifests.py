"""compose.yaml and the documented Kubernetes manifests fit orderd's settings and exit codes."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from orderd.config.settings import Settings
from orderd.ctl.main import main as orderctl

TREE = Path(__file__).parents[2]
PAGE = (TREE / "docs/how-to/containers.md").read_text()
DRAIN_S = Settings.model_fields["shutdown_timeout"].default
USER = 10001


@pytest.fixture(scope="module")
def manifests() -> dict[str, Any]:
    """The documents of the page, each under its kind and name."""
    (text,) = [block for block in re.findall(r"(?ms)^```yaml\n(.*?)^```", PAGE) if "kind:" in block]
    documents = list(yaml.safe_load_all(text))
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in documents}


@pytest.fixture(scope="module")
def stack() -> dict[str, Any]:
    """What compose.yaml says."""
    stack = yaml.safe_load((TREE / "compose.yaml").read_text())
    assert isinstance(stack, dict)
    return stack


def pods(manifests: dict[str, Any]) -> list[dict[str, Any]]:
    specs = [one["spec"] for one in manifests.values() if "spec" in one]
    templates = [spec["template"]["spec"] for spec in specs if "template" in spec]
    assert len(templates) == 2
    return templates


def test_pods_run_as_the_user_of_the_image_with_no_privilege(manifests: dict[str, Any]) -> None:
    for pod in pods(manifests):
        assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == USER
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            rights = container["securityContext"]
            assert rights["readOnlyRootFilesystem"] is True
            assert rights["allowPrivilegeEscalation"] is False
            assert rights["capabilities"] == {"drop": ["ALL"]}


def test_pods_mount_secrets_that_are_settings_where_orderd_looks_for_them(
    manifests: dict[str, Any],
) -> None:
    for pod in pods(manifests):
        volume = next(one for one in pod["volumes"] if "secret" in one)
        secret = manifests[f"Secret/{volume['secret']['secretName']}"]
        mounted = {"name": volume["name"], "mountPath": "/run/secrets", "readOnly": True}
        assert all(mounted in container["volumeMounts"] for container in pod["containers"])
        assert set(secret["stringData"]) <= set(Settings.model_fields)
        # YAML takes 0440 for the octal number it is.
        assert volume["secret"]["defaultMode"] == 0o440


def test_the_deployment_selects_its_own_pods_and_leaves_time_to_drain(
    manifests: dict[str, Any],
) -> None:
    spec = manifests["Deployment/orderd"]["spec"]

    assert spec["replicas"] > 1
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] > DRAIN_S


def test_the_exporter_reads_what_the_daemon_writes_and_prometheus_finds_its_port(
    manifests: dict[str, Any],
) -> None:
    spec = manifests["Deployment/orderd"]["spec"]
    daemon, exporter = spec["template"]["spec"]["containers"]

    assert daemon["env"] == exporter["env"]
    (variable,) = exporter["env"]
    assert variable["name"] == "ORDERD_METRICS_FILE"
    (place,) = {Path(variable["value"]).parent}
    for container in (daemon, exporter):
        (mount,) = [one for one in container["volumeMounts"] if one["name"] == "metrics"]
        assert mount["mountPath"] == str(place)
    (port,) = exporter["ports"]
    assert exporter["args"][-1].endswith(f":{port['containerPort']}")
    monitor = manifests["PodMonitor/orderd"]["spec"]
    (endpoint,) = monitor["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["path"]) == (port["name"], "/metrics")
    # The operator would name the job after namespace and monitor; the alert rules say orderd.
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "orderd"}]
    assert exporter["livenessProbe"]["tcpSocket"]["port"] == port["name"]
    assert monitor["selector"] == spec["selector"]


def test_the_disruption_budget_covers_the_daemons_and_lets_a_node_be_drained(
    manifests: dict[str, Any],
) -> None:
    budget = manifests["PodDisruptionBudget/orderd"]["spec"]

    assert budget["selector"] == manifests["Deployment/orderd"]["spec"]["selector"]
    assert 0 < budget["maxUnavailable"] < manifests["Deployment/orderd"]["spec"]["replicas"]


def test_probes_and_migration_are_commands_that_orderctl_knows(
    manifests: dict[str, Any], stack: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    container, exporter = manifests["Deployment/orderd"]["spec"]["template"]["spec"]["containers"]
    (migration,) = manifests["Job/orderd-migrate"]["spec"]["template"]["spec"]["containers"]
    live, ready = (
        container[f"{kind}Probe"]["exec"]["command"] for kind in ("liveness", "readiness")
    )
    commands = [
        live,
        ready,
        migration["command"],
        exporter["args"],
        stack["services"]["migrate"]["command"],
    ]

    assert live == ["orderctl", "health", "--live"]
    assert ready == ["orderctl", "health"]
    for program, *arguments in commands:
        assert program == "orderctl"
        with pytest.raises(SystemExit) as end:
            orderctl([*arguments, "--help"])
        assert end.value.code == 0
    capsys.readouterr()


def test_the_stack_leaves_orderd_time_to_drain_and_no_privilege(stack: dict[str, Any]) -> None:
    orderd = stack["services"]["orderd"]

    assert int(orderd["stop_grace_period"].removesuffix("s")) > DRAIN_S
    assert orderd["read_only"] is True
    assert orderd["cap_drop"] == ["ALL"]
    assert set(orderd["secrets"]) <= set(Settings.model_fields)
    assert {name: one["condition"] for name, one in orderd["depends_on"].items()} == {
        "rabbitmq": "service_healthy",
        "postgres": "service_healthy",
        "migrate": "service_completed_successfully",
    }
