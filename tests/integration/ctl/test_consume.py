"""What orderctl tells of daemons that share a queue, or leave it to each other."""

from pathlib import Path
from typing import Any

from tests.conftest import StartDaemon
from tests.integration.ctl.conftest import Orderctl
from tests.integration.ctl.letters import Broker
from tools.management import Management
from tools.waiting import wait_until

ORDER_LOST = (
    "several consumers: user (2), product (2), order (2): only the commands that one daemon "
    'consumes take effect in the order sent; set consume = "exclusive" to keep the order of all\n'
)


def test_lint_says_what_several_that_share_a_queue_do_to_the_order(
    topology: Any, daemon: StartDaemon
) -> None:
    daemon()
    daemon()

    done = topology("lint")

    assert done.code == 0
    assert done.out.endswith(ORDER_LOST)
    document = topology("lint", "--json").document
    assert document["ok"]
    assert {"queue": "order", "consumers": 2} in document["shared"]


def test_lint_finds_somebody_beside_the_one_that_keeps_a_queue_to_itself(
    topology: Any, broker: Broker
) -> None:
    topology("apply")
    for _ in range(2):
        broker.channel.basic_consume("order", lambda *_: None)

    done = topology("lint", "--json", ORDERD_CONSUME__ORDER="exclusive")

    assert done.code == 1
    (found,) = done.document["items"]
    assert found["subject"] == "order"
    assert found["problem"] == "2 consumers, although consume is exclusive: order is not kept"


def test_lint_finds_that_a_user_may_not_hold_a_lock(
    topology: Any, management: Management, vhost: str, daemon: StartDaemon
) -> None:
    daemon(consume="exclusive").stop()
    without = r"^((user|product|order|orderd)(\.(dlq|events|retry\..*))?|amq\.default)$"
    granted = {"configure": without, "write": without, "read": without}
    management.request("PUT", f"/api/permissions/{vhost}/guest", granted)

    shared = topology("lint", "--json").document["items"]
    exclusive = topology("lint", "--json", ORDERD_CONSUME="exclusive").document["items"]

    assert shared == []
    assert [one["problem"] for one in exclusive] == [
        "has no permission to configure user.lock and 2 more",
        "has no permission to read user.lock and 2 more",
    ]


def test_status_tells_that_the_daemon_here_stands_by(
    orderctl: Orderctl, daemon: StartDaemon, tmp_path: Path
) -> None:
    daemon(consume="exclusive")
    file = tmp_path / "health"
    second = daemon(consume="exclusive", health_file=file, ready=False)
    second.wait_for_event("consumer.standby")
    wait_until(lambda: file.exists() and "order" in file.read_text(), timeout_s=20, what="the file")

    done = orderctl("status", "--json", ORDERD_HEALTH_FILE=str(file))

    assert done.code == 0
    found = done.document["daemon"]
    assert found["here"]["standing_by"] == ["user", "product", "order"]
    assert "; here: st" in found["summary"]
    assert "here" not in orderctl("status", "--json").document["daemon"]
