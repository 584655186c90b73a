"""compose.yaml in the guest: one command brings up a stack on which the first example works."""

import json
import re
import shutil
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tools.guest import Guest
from tools.podman import TREE, Podman
from tools.stand_ins import server_images
from tools.waiting import wait_until

pytestmark = pytest.mark.container

PLACE: Final = "/srv/orderd"
UP_TIMEOUT_S: Final = 240
# Docker Compose, and podman in the place of the engine.
SOCKET: Final = "DOCKER_HOST=unix:///run/podman/podman.sock"
# Those of the guest's own servers are taken.
MANAGEMENT_PORT: Final = 15673
PORTS: Final = f"AMQP_PORT=5673\nMANAGEMENT_PORT={MANAGEMENT_PORT}\nMAIL_PORT=8026\n"
EXAMPLE: Final = r"(?ms)^rabbitmqadmin (publish exchange=amq\.default routing_key=product.*?)^```"


@pytest.fixture(scope="module")
def stack(guest: Guest, podman: Podman, image: str) -> Iterator[Guest]:
    """The guest with compose.yaml in a folder, and images that stand for the public ones."""
    place = guest.root / PLACE.removeprefix("/")
    shutil.copytree(TREE / "compose", place / "compose")
    shutil.copyfile(TREE / "compose.yaml", place / "compose.yaml")
    images = server_images(podman)
    (place / ".env").write_text(
        f"ORDERD_IMAGE={image}\nRABBITMQ_IMAGE={images['rabbitmq']}\n"
        f"POSTGRES_IMAGE={images['postgres']}\nMAIL_IMAGE={images['mail']}\n{PORTS}"
    )
    guest.run("systemctl", "start", "podman.socket")
    yield guest
    _compose(guest, "down", "--volumes")


def test_one_command_brings_up_a_stack_on_which_the_first_example_works(stack: Guest) -> None:
    _script(stack, "up")

    stack.shell(
        f"cd {PLACE} && rabbitmqadmin --port={MANAGEMENT_PORT} --username=orderd "
        f'--password="$(cat secrets/rabbitmq_password)" {_first_example()}'
    )

    assert wait_until(lambda: _products(stack), timeout_s=20, what="a product") == [
        ("Laptop", 1299.99, 25)
    ]


def test_each_part_starts_when_what_it_needs_is_healthy(stack: Guest) -> None:
    migrate_started = _first(stack, "migrate", "start")
    orderd_started = _first(stack, "orderd", "start")

    assert _first(stack, "postgres", "healthy") < migrate_started
    assert migrate_started < _first(stack, "migrate", "died") < orderd_started
    assert _first(stack, "rabbitmq", "healthy") < orderd_started
    # Its own timer runs the check.
    wait_until(
        lambda: _inspect(stack, "orderd")["State"]["Health"]["Status"] == "healthy",
        timeout_s=60,
        what="orderd healthy",
    )


def test_its_mail_server_has_the_mails_of_what_is_ordered(stack: Guest) -> None:
    user = {"username": "ada", "email": "ada@example.com"}
    for queue, action, data in (
        ("user", "create", user),
        ("order", "create", {"user_id": 1, "items": [{"product_id": 1, "quantity": 1}]}),
        ("product", "mark_out_of_stock", {"id": 1}),
    ):
        _compose(stack, "exec", "-T", "orderd", "orderctl", "call", queue, action, json.dumps(data))

    def recipients() -> set[str]:
        printed = stack.run("podman", "logs", "orderd-mail-1")
        return set(re.findall(r"^To: (\S+)$", printed, re.MULTILINE))

    wait_until(
        lambda: recipients() >= {"ada@example.com", "admin@example.com"},
        timeout_s=60,
        what="mails",
    )


def test_its_orderd_has_no_privilege_and_passwords_are_in_files_alone(stack: Guest) -> None:
    password = (stack.root / PLACE[1:] / "secrets" / "postgres_password").read_text()

    for service in ("orderd", "notify", "migrate"):
        told = _inspect(stack, service)
        assert told["HostConfig"]["ReadonlyRootfs"] is True
        assert not told["BoundingCaps"]
        assert told["HostConfig"]["SecurityOpt"] == ["no-new-privileges"]
    for service in ("orderd", "notify", "migrate", "postgres", "rabbitmq"):
        assert password not in json.dumps(_inspect(stack, service))
    assert len(password) == 32


def test_down_drains_the_daemons_and_up_again_finds_what_there_was(stack: Guest) -> None:
    before = _products(stack)
    for service in ("orderd", "notify"):
        # By the engine: Compose would want to know the profile.
        stack.run("podman", "stop", f"orderd-{service}-1")
        assert _inspect(stack, service)["State"]["ExitCode"] == 0
    _script(stack, "down")

    _script(stack, "up")

    assert [name for name, _, _ in before] == ["Laptop"]
    assert _products(stack) == before


def _script(guest: Guest, name: str) -> None:
    guest.run("env", SOCKET, f"{PLACE}/compose/{name}", timeout_s=UP_TIMEOUT_S)


def _compose(guest: Guest, *args: str) -> str:
    file = f"--file={PLACE}/compose.yaml"
    return guest.run("env", SOCKET, "docker-compose", file, *args)


def _products(guest: Guest) -> list[tuple[str, float, int]]:
    listed = _compose(guest, "exec", "-T", "orderd", "orderctl", "call", "product", "list")
    rows = json.loads(listed)["data"]["items"]
    return [(row["name"], row["price"], row["stock_quantity"]) for row in rows]


def _inspect(guest: Guest, service: str) -> dict[str, Any]:
    (told,) = json.loads(guest.run("podman", "inspect", f"orderd-{service}-1"))
    assert isinstance(told, dict)
    return told


def _first(guest: Guest, service: str, status: str) -> int:
    """Return when podman first saw the container like that, in nanoseconds."""
    which = ("--since=1h", f"--filter=container=orderd-{service}-1")
    lines = guest.run("podman", "events", "--stream=false", "--format=json", *which).splitlines()
    return next(
        int(event["timeNano"])
        for event in map(json.loads, lines)
        if status in {event["Status"], event.get("health_status")}
    )


def _first_example() -> str:
    found = re.search(EXAMPLE, (TREE / "docs/how-to/publish.md").read_text())
    assert found is not None
    return found[1]
