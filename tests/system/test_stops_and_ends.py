"""However orderd ends, nothing is lost, and systemd does the right thing next."""

import time

from tests.system.machine import PATIENCE_S, Machine
from tools.waiting import wait_until

COUNT = 4_000
PREFETCH = 400
WATCHDOG_S = 6


def test_a_stop_under_load_settles_what_is_in_hand_and_ends_well(orderd: Machine) -> None:
    product_id = orderd.product("Desk", stock=10_000)
    orderd.run("systemctl", "stop", "orderd")
    orderd.load("stop-", product_id, COUNT)
    orderd.run("systemctl", "start", "orderd")
    wait_until(lambda: orderd.settled("stop-"), timeout_s=PATIENCE_S, what="work", poll_s=0.01)

    started_s = time.monotonic()
    orderd.run("systemctl", "stop", "orderd")

    took_s = time.monotonic() - started_s
    shown = orderd.unit("orderd", "ActiveState", "Result", "ExecMainStatus", "NRestarts")
    done = orderd.settled("stop-")
    assert shown == {
        "ActiveState": "inactive",
        "Result": "success",
        "ExecMainStatus": "0",
        "NRestarts": "0",
    }
    assert took_s < 30
    assert 0 < done < COUNT
    assert orderd.ready("order") == COUNT - done
    assert orderd.sql("SELECT count(*) FROM outbox") == "0"

    orderd.run("systemctl", "start", "orderd")

    orderd.await_settled("stop-", COUNT)
    assert _left(orderd, product_id) == 10_000 - COUNT


def test_a_frozen_daemon_is_aborted_and_begun_anew_and_work_goes_on(orderd: Machine) -> None:
    orderd.drop_in("orderd.service", f"[Service]\nWatchdogSec={WATCHDOG_S}s\n")
    orderd.run("systemctl", "restart", "orderd")
    pid, after = orderd.pid(), f"--after-cursor={orderd.cursor()}"

    orderd.run("kill", "-STOP", f"{pid}")

    wait_until(lambda: orderd.restarts() == 1, timeout_s=PATIENCE_S, what="restart")
    orderd.await_state("active")
    said = [entry["MESSAGE"] for entry in orderd.guest.journal("--unit=orderd", after)]
    assert any("Watchdog timeout" in text for text in said)
    assert any("signal SIGABRT" in text for text in said)
    # Where it stood still: what it waits for is a turn of the loop.
    stack = said[said.index("Fatal Python error: Aborted") :]
    assert any("/orderd/daemon/loop.py" in text for text in stack)
    assert orderd.pid() != pid
    orderd.product("Clock", stock=1)


def test_a_turning_loop_is_left_alone_by_a_short_watchdog(orderd: Machine) -> None:
    orderd.drop_in("orderd.service", f"[Service]\nWatchdogSec={WATCHDOG_S}s\n")
    orderd.run("systemctl", "restart", "orderd")
    orderd.run("systemctl", "stop", "rabbitmq-server")
    paused_s = time.monotonic()
    orderd.await_status("paused")

    # An outage is no hang: the pings go on, for longer than the watchdog would wait.
    wait_until(
        lambda: time.monotonic() - paused_s > 1.5 * WATCHDOG_S, timeout_s=PATIENCE_S, what="time"
    )

    assert orderd.restarts() == 0
    orderd.run("systemctl", "start", "rabbitmq-server")
    orderd.await_status("running")


def test_a_killed_daemon_comes_back_each_time_a_little_later(orderd: Machine) -> None:
    product_id = orderd.product("Chair", stock=10_000)
    waits_usec = []
    with orderd.producer("kill-", product_id, 2 * COUNT) as producer:
        wanted = 1
        for number in (1, 2, 3):
            # No message may be in hand at each of three kills, or it is poison.
            orderd.await_settled("kill-", wanted)
            waits_usec.append(orderd.unit("orderd", "RestartUSecNext")["RestartUSecNext"])
            orderd.run("systemctl", "kill", "--signal=KILL", "orderd")
            wanted = orderd.settled("kill-") + PREFETCH
            wait_until(
                lambda restarts=number: orderd.restarts() == restarts,  # type: ignore[misc]
                timeout_s=PATIENCE_S,
                what="restart",
            )
            orderd.await_state("active")
        published = int(producer.communicate("stop")[0])

    orderd.await_settled("kill-", published)
    assert _left(orderd, product_id) == 10_000 - published
    assert waits_usec[0] == "1s"
    assert len(set(waits_usec)) == 3


def test_a_wrong_configuration_is_named_and_not_tried_again(orderd: Machine) -> None:
    orderd.run("systemctl", "stop", "orderd")
    after = f"--after-cursor={orderd.cursor()}"
    orderd.write("/etc/orderd/orderd.env", "ORDERD_BATCH_MAX=0\nORDERD_LOG_LEVLE=info\n")

    started = orderd.guest.result("systemctl", "start", "orderd")

    assert started.returncode != 0
    shown = orderd.unit("orderd", "ActiveState", "SubState", "ExecMainStatus", "NRestarts")
    assert shown == {
        "ActiveState": "failed",
        "SubState": "failed",
        "ExecMainStatus": "78",
        "NRestarts": "0",
    }
    (line,) = orderd.log("--priority=err", after)
    assert line["event"] == "config.rejected"
    assert "batch_max" in line["message"]
    assert "log_levle" in line["message"]


def test_a_schema_of_another_version_is_named_and_not_tried_again(orderd: Machine) -> None:
    orderd.run("systemctl", "stop", "orderd")
    orderd.sql("UPDATE schema_migrations SET checksum = 'x' || checksum")
    try:
        started = orderd.guest.result("systemctl", "start", "orderd")
        shown = orderd.unit("orderd", "ActiveState", "ExecMainStatus", "NRestarts")
    finally:
        orderd.sql("UPDATE schema_migrations SET checksum = substr(checksum, 2)")

    assert started.returncode != 0
    assert shown == {"ActiveState": "failed", "ExecMainStatus": "78", "NRestarts": "0"}
    assert orderd.log("--priority=crit", "--lines=1")[0]["event"] == "schema.outdated"


def _left(orderd: Machine, product_id: int) -> int:
    return int(orderd.sql(f"SELECT stock_quantity FROM products WHERE id = {product_id}"))  # noqa: S608
