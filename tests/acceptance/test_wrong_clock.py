"""A daemon whose machine has a wrong clock: times in data are the database's."""

import json
from datetime import UTC, datetime, timedelta

from tests.acceptance.shop import Shop, product
from tests.support.clocks import on_a_wrong_clock
from tools.daemon import DaemonProcess

DAY_S = 86_400
HOUR_MS = 3_600_000


def test_a_dead_letter_has_the_time_of_the_database(
    shop: Shop, database_url: str, vhost_url: str
) -> None:
    env = {"ORDERD_DATABASE_URL": database_url, "ORDERD_RABBITMQ_URL": vhost_url}
    orderd = DaemonProcess(env, program=on_a_wrong_clock("orderd", -DAY_S))
    try:
        orderd.wait_ready()
        shop.channel.queue_declare("listen", exclusive=True)
        shop.channel.queue_bind("listen", "orderd.events", "system.dead_lettered")
        # One before any batch has told the time, one after.
        for marker in ("first", "second"):
            mark = orderd.mark()
            shop.channel.basic_publish("", "product", b"no command")
            orderd.wait_for_event("message.dead_lettered", after=mark)
            shop.send_all([product(id=marker)])
            shop.wait_for(marker)
        moments = []
        for _ in range(2):
            _, properties, _ = shop.channel.basic_get("product.dlq", auto_ack=True)
            moments.append(properties.headers["orderd-failed-at"])
            _, _, body = shop.channel.basic_get("listen", auto_ack=True)
            moments.append(json.loads(body)["time"])

        now = datetime.now(UTC)
        for moment in moments:
            assert abs(datetime.fromisoformat(moment) - now) < timedelta(hours=1)
        assert orderd.stop() == 0
    finally:
        orderd.kill()


def test_a_copy_that_another_daemon_made_expires_by_the_time_of_the_database(
    shop: Shop, database_url: str, vhost_url: str
) -> None:
    env = {"ORDERD_DATABASE_URL": database_url, "ORDERD_RABBITMQ_URL": vhost_url}
    orderd = DaemonProcess(env, program=on_a_wrong_clock("orderd", DAY_S))
    now_ms = round(datetime.now(UTC).timestamp() * 1000)
    try:
        orderd.wait_ready()
        for name, ends_at_ms in {"alive": now_ms + HOUR_MS, "over": now_ms - HOUR_MS}.items():
            copy = product(id=name)
            copy.properties.headers = {"orderd-attempt": 1, "orderd-expires-at": ends_at_ms}
            shop.send_all([copy])

        assert shop.wait_for("alive", "over") == {"alive": "applied", "over": "expired"}
        assert orderd.stop() == 0
    finally:
        orderd.kill()
