"""Several daemons on one machine, made from the template, and pruning by a timer."""

import json
import re

from tests.system.machine import Machine
from tools.debian_root import TREE

UNITS = ("orderd@a", "orderd@b")
# Back to how the package was installed, with a single daemon.
_REVERTED = f"""
    systemctl disable --quiet {" ".join(UNITS)} orderd.target
    systemctl enable --quiet orderd
"""
PAGE = TREE / "docs/how-to/scale-out.md"


def test_two_instances_share_the_work_and_stop_together(orderd: Machine) -> None:
    product_id = orderd.product("Shelf", stock=10_000)
    orderd.run("systemctl", "stop", "orderd")
    orderd.load("two-", product_id, 3_000)
    orderd.write("/etc/orderd/b.env", "ORDERD_BATCH_MAX=20\n")

    orderd.shell(_documented("systemctl enable --now orderd.target"))
    for unit in UNITS:
        orderd.await_state("active", unit)
    orderd.await_settled("two-", 3_000)

    started = {unit: orderd.log("--grep=daemon.started", "--lines=1", unit=unit) for unit in UNITS}
    assert " as a, " in started["orderd@a"][0]["message"]
    assert "batches of up to 20," in started["orderd@b"][0]["message"]
    for unit in UNITS:
        assert orderd.log("--grep=batch.committed", "--lines=1", unit=unit), unit
    assert _consumers(orderd, "order") == 2

    pids = [orderd.pid(unit) for unit in UNITS]
    orderd.run("systemctl", "reload", "orderd.target")
    assert pids == [orderd.pid(unit) for unit in UNITS]
    for unit in UNITS:
        assert orderd.log("--grep=config.reloaded", unit=unit), unit

    orderd.run("systemctl", "stop", "orderd.target")
    for unit in UNITS:
        orderd.await_state("inactive", unit)
        shown = orderd.unit(unit, "Result", "ExecMainStatus")
        assert shown == {"Result": "success", "ExecMainStatus": "0"}
    orderd.shell(_REVERTED)
    left = orderd.sql(f"SELECT stock_quantity FROM products WHERE id = {product_id}")  # noqa: S608
    assert left == "7000"


def test_instances_start_at_boot_in_the_place_of_the_one_daemon(orderd: Machine) -> None:
    orderd.shell(_documented("systemctl enable --now orderd.target"))
    names = ("orderd.service", "orderd.target", *(f"{unit}.service" for unit in UNITS))
    enabled = orderd.run("systemctl", "is-enabled", *names, check=False).split()
    orderd.run("systemctl", "stop", "orderd.target")

    # What a boot starts, without the boot.
    orderd.run("systemctl", "start", "multi-user.target")

    for unit in UNITS:
        orderd.await_state("active", unit)
    alone = orderd.unit("orderd", "ActiveState")
    orderd.run("systemctl", "stop", "orderd.target")
    orderd.shell(_REVERTED)
    assert enabled == ["disabled", "enabled", "enabled", "enabled"]
    assert alone == {"ActiveState": "inactive"}


def test_pruning_forgets_what_is_old_and_keeps_the_rest(orderd: Machine) -> None:
    orderd.product("Vase", stock=1)
    orderd.product("Bowl", stock=1)
    orderd.sql(
        "UPDATE processed_requests SET created_at = now() - interval '91 days' "
        "WHERE id = 'product-Vase'"
    )

    orderd.run("systemctl", "start", "orderd-prune")

    assert orderd.settled("product-Vase") == 0
    assert orderd.settled("product-Bowl") == 1
    orderd.run("systemctl", "enable", "--quiet", "--now", "orderd-prune.timer")
    timers = orderd.run("systemctl", "list-timers", "--no-pager", "orderd-prune.timer")
    orderd.run("systemctl", "disable", "--quiet", "--now", "orderd-prune.timer")
    assert "orderd-prune.service" in timers


def test_enabled_migrations_run_before_each_start(orderd: Machine) -> None:
    orderd.run("systemctl", "enable", "--quiet", "orderd-migrate")
    after = f"--after-cursor={orderd.cursor()}"

    orderd.run("systemctl", "restart", "orderd")

    orderd.run("systemctl", "disable", "--quiet", "orderd-migrate")
    said = [one["MESSAGE"] for one in orderd.guest.journal("--unit=orderd-migrate", after)]
    assert "the schema is up to date" in said, said
    assert orderd.unit("orderd", "ActiveState")["ActiveState"] == "active"


def _documented(line: str) -> str:
    """Return the block of the page that has this line."""
    blocks = re.findall(r"(?ms)^```sh\n(.+?)^```", PAGE.read_text())
    (block,) = [block for block in blocks if line in block]
    return str(block)


def _consumers(orderd: Machine, queue: str) -> int:
    listed = orderd.run("rabbitmqctl", "-q", "--formatter=json", "list_queues", "name", "consumers")
    return sum(int(row["consumers"]) for row in json.loads(listed) if row["name"] == queue)
