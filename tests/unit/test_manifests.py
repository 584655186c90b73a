"""compose.yaml and the documented Kubernetes manifests fit orderd's settings and exit codes."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from orderd.config.load import load
from orderd.config.settings import Settings
from orderd.ctl.main import main as orderctl
from orderd.protocol.tenants import NOTIFY

TREE = Path(__file__).parents[2]
PAGE = (TREE / "docs/how-to/containers.md").read_text()
DRAIN_S = Settings.model_fields["shutdown_timeout"].default
USER = 10001
FIELDS = set(Settings.model_fields)
# Of a channel, such as notify_users.
SETTING = re.compile(r"^notify_\w+$")
DAEMONS = ("orderd", "orderd-notify")
each_daemon = pytest.mark.parametrize("daemon", DAEMONS)


@pytest.fixture(scope="module")
def manifests() -> dict[str, Any]:
    """The documents of the page, each under its kind and name."""
    texts = [block for block in re.findall(r"(?ms)^```yaml\n(.*?)^```", PAGE) if "kind:" in block]
    documents = [one for text in texts for one in yaml.safe_load_all(text)]
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in documents}


@pytest.fixture(scope="module")
def stack() -> dict[str, Any]:
    """What compose.yaml says."""
    stack = yaml.safe_load((TREE / "compose.yaml").read_text())
    assert isinstance(stack, dict)
    return stack


def pod_of(manifests: dict[str, Any], deployment: str) -> dict[str, Any]:
    pod = manifests[f"Deployment/{deployment}"]["spec"]["template"]["spec"]
    assert isinstance(pod, dict)
    return pod


def pods(manifests: dict[str, Any]) -> list[dict[str, Any]]:
    specs = [one["spec"] for one in manifests.values() if "spec" in one]
    templates = [spec["template"]["spec"] for spec in specs if "template" in spec]
    assert len(templates) == 3
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
        assert {SETTING.sub("notify", name) for name in secret["stringData"]} <= FIELDS
        # YAML takes 0440 for the octal number it is.
        assert volume["secret"]["defaultMode"] == 0o440


@each_daemon
def test_a_deployment_selects_its_own_pods_and_leaves_time_to_drain(
    manifests: dict[str, Any], daemon: str
) -> None:
    spec = manifests[f"Deployment/{daemon}"]["spec"]

    assert spec["replicas"] >= 1
    assert spec["selector"]["matchLabels"] == {"app": daemon}
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] > DRAIN_S


@each_daemon
def test_the_exporter_reads_what_the_daemon_writes_and_prometheus_finds_its_port(
    manifests: dict[str, Any], daemon: str
) -> None:
    spec = manifests[f"Deployment/{daemon}"]["spec"]
    worker, exporter = spec["template"]["spec"]["containers"]

    assert worker["env"] == exporter["env"]
    (variable,) = exporter["env"]
    assert variable["name"] == "ORDERD_METRICS_FILE"
    (place,) = {Path(variable["value"]).parent}
    for container in (worker, exporter):
        (mount,) = [one for one in container["volumeMounts"] if one["name"] == "metrics"]
        assert mount["mountPath"] == str(place)
    (port,) = exporter["ports"]
    assert exporter["args"][-1].endswith(f":{port['containerPort']}")
    monitor = manifests[f"PodMonitor/{daemon}"]["spec"]
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


@each_daemon
def test_probes_and_migration_are_commands_that_orderctl_knows(
    manifests: dict[str, Any],
    stack: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    daemon: str,
) -> None:
    container, exporter = pod_of(manifests, daemon)["containers"]
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


def test_the_settings_of_orderd_notify_are_ones_that_it_takes(
    manifests: dict[str, Any], stack: dict[str, Any], tmp_path: Path
) -> None:
    pod = pod_of(manifests, "orderd-notify")
    (file,) = manifests["ConfigMap/orderd-notify"]["data"].items()
    (tmp_path / file[0]).write_text(file[1])
    secrets = manifests["Secret/orderd-notify"]["stringData"]
    for name, secret in secrets.items():
        (tmp_path / "secrets").mkdir(exist_ok=True)
        (tmp_path / "secrets" / name).write_text(secret)

    settings = load(
        tmp_path / file[0], {}, {}, secrets_directory=tmp_path / "secrets", tenant=NOTIFY
    )
    of_the_stack = load(
        None,
        {},
        stack["services"]["notify"]["environment"],
        default_file=tmp_path / "none",
        secrets_directory=tmp_path / "none",
        tenant=NOTIFY,
    )

    assert pod["containers"][0]["args"] == stack["services"]["notify"]["command"]
    assert {one.name for one in settings.notify.channel} == {"users", "log"}
    assert set(settings.notify.credentials) == {"users"}
    assert {one.name for one in of_the_stack.notify.channel} == {"users", "admins"}


def test_the_stack_can_do_without_orderd_notify_and_its_mail_server(stack: dict[str, Any]) -> None:
    services = stack["services"]

    assert [name for name, one in services.items() if "profiles" in one] == ["notify", "mail"]
    assert {services[name]["profiles"][0] for name in ("notify", "mail")} == {"notify"}
    assert "smtp://mail:1025" in services["notify"]["environment"]["ORDERD_NOTIFY__CHANNEL"]


@pytest.mark.parametrize("daemon", ["orderd", "notify"])
def test_the_stack_leaves_a_daemon_time_to_drain_and_no_privilege(
    stack: dict[str, Any], daemon: str
) -> None:
    orderd = stack["services"][daemon]

    assert int(orderd["stop_grace_period"].removesuffix("s")) > DRAIN_S
    assert orderd["read_only"] is True
    assert orderd["cap_drop"] == ["ALL"]
    assert set(orderd["secrets"]) <= set(Settings.model_fields)
    conditions = {name: one["condition"] for name, one in orderd["depends_on"].items()}
    conditions.pop("mail", None)
    assert conditions == {
        "rabbitmq": "service_healthy",
        "postgres": "service_healthy",
        "migrate": "service_completed_successfully",
    }
