"""The guest as an administrator has it: what to publish, what to look at, what to put back."""

import json
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tools.guest import Guest
from tools.waiting import wait_until

HERE: Final = Path(__file__).parent
PATIENCE_S: Final = 60.0
# Ended by the end of its input; prints how many it published.
PRODUCER: Final = (HERE / "producer.py").read_text()
# A copy of the configuration file as the package brings it.
SHIPPED: Final = "/root/orderd.toml"
_REPACK: Final = r"""
    cd /root
    dpkg-deb --raw-extract orderd_*_all.deb {name}
    sed -i 's/^Version: .*/&{sign}{name}/' {name}/DEBIAN/control
    (cd {name} && {change})
    dpkg-deb --build {name} {name}.deb
    rm -r {name}
"""
_OWN_FILES: Final = (
    "/etc/systemd/system/orderd*.d /etc/orderd/*.env /etc/orderd/credentials.encrypted "
    "/etc/orderd/conf.d/* "
    "/etc/orderd/credentials/database_url /etc/orderd/owner-credentials/*"
)
_IS_AS_INSTALLED: Final = f"""
    systemctl --quiet is-active rabbitmq-server && systemctl --quiet is-active postgresql &&
    systemctl --quiet is-active orderd && test -z "$(ls -d {_OWN_FILES} 2>/dev/null)" &&
    test "$(systemctl show --property=NRestarts orderd)" = NRestarts=0 &&
    test -z "$(systemctl list-units --no-legend --state=active 'orderd@*')" &&
    cmp --quiet {SHIPPED} /etc/orderd/orderd.toml
"""


def repacked(name: str, *, sign: str, change: str = "true") -> str:
    """Return lines of shell that make /root/NAME.deb of the package, for its upgrade.

    Its version is the same with NAME behind the sign, + for newer and ~ for older; the change is
    lines of shell in the folder of its files.
    """
    return _REPACK.format(name=name, sign=sign, change=change)


class Machine:
    """One booted guest in which orderd is installed and its servers run."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.run = guest.run
        self.shell = guest.shell
        self.unit = guest.unit

    def publish(self, queue: str, action: str, data: Mapping[str, Any], request_id: str) -> None:
        """Publish a command with RabbitMQ's own tool."""
        payload = json.dumps({"id": request_id, "action": action, "data": data})
        to = ("exchange=amq.default", f"routing_key={queue}")
        self.run("rabbitmqadmin", "publish", *to, f"payload={payload}")

    def sql(self, query: str) -> str:
        """Return what psql prints of a query, as the server's administrator."""
        psql = ("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", "orderd", "-c", query)
        return self.run("runuser", "-u", "postgres", "--", *psql).strip()

    def settled(self, prefix: str) -> int:
        """Return how many requests, whose ids begin so, are in the ledger."""
        return int(
            self.sql(f"SELECT count(*) FROM processed_requests WHERE id ^@ '{prefix}'")  # noqa: S608
        )

    def await_settled(self, prefix: str, count: int) -> None:
        """Return when so many are, or more."""
        wait_until(
            lambda: self.settled(prefix) >= count,
            timeout_s=PATIENCE_S,
            what=f"{count} requests {prefix} in the ledger",
        )

    def ready(self, queue: str) -> int:
        """Return how many messages wait in the queue, with those that somebody has in hand."""
        listed = self.run(
            "rabbitmqctl", "-q", "--formatter=json", "list_queues", "name", "messages"
        )
        return sum(int(row["messages"]) for row in json.loads(listed) if row["name"] == queue)

    def product(self, name: str, stock: int) -> int:
        """Make a product by a command and return its id."""
        data = {"name": name, "price": "9.90", "stock_quantity": stock}
        self.publish("product", "create", data, f"product-{name}")
        self.await_settled(f"product-{name}", 1)
        return int(self.sql(f"SELECT id FROM products WHERE name = '{name}'"))  # noqa: S608

    def producer(self, prefix: str, product_id: int, count: int) -> "subprocess.Popen[str]":
        """Start to publish orders with the ids PREFIX1, PREFIX2, … until all, or told to stop."""
        argv = ("python3", "-c", PRODUCER, prefix, f"{product_id}", f"{count}")
        return subprocess.Popen(
            self.guest.command(*argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def load(self, prefix: str, product_id: int, count: int) -> None:
        """Publish so many orders, and return when the broker has them."""
        with self.producer(prefix, product_id, count) as producer:
            assert producer.stdout is not None
            assert producer.stdout.read().strip() == f"{count}"

    def pid(self, unit: str = "orderd") -> int:
        return int(self.unit(unit, "MainPID")["MainPID"])

    def restarts(self, unit: str = "orderd") -> int:
        return int(self.unit(unit, "NRestarts")["NRestarts"])

    def await_state(self, state: str, unit: str = "orderd") -> None:
        """Return when the unit is in this state, such as active or failed."""
        wait_until(
            lambda: self.unit(unit, "ActiveState")["ActiveState"] == state,
            timeout_s=PATIENCE_S,
            what=f"{unit} {state}",
        )

    def await_status(self, text: str, unit: str = "orderd") -> None:
        """Return when the status line that `systemctl status` shows has this text."""
        wait_until(
            lambda: text in self.unit(unit, "StatusText")["StatusText"],
            timeout_s=PATIENCE_S,
            what=f"{text!r} in the status of {unit}",
        )

    def log(self, *args: str, unit: str = "orderd") -> list[dict[str, Any]]:
        """Return orderd's lines in the journal, selected by further arguments of journalctl."""
        entries = self.guest.journal(f"--unit={unit}", *args)
        return [json.loads(one["MESSAGE"]) for one in entries if one["MESSAGE"][:1] == "{"]

    def cursor(self) -> str:
        """Return a place in the journal, for `--after-cursor=`."""
        shown = self.run("journalctl", "--quiet", "--lines=0", "--show-cursor")
        return shown.partition("cursor: ")[2].strip()

    def drop_in(self, unit: str, text: str) -> None:
        """Put a drop-in beside a unit, as `systemctl edit` does."""
        place = f"/etc/systemd/system/{unit}.d"
        self.shell(f"mkdir -p {place} && printf %s {shlex.quote(text)} >{place}/test.conf")
        self.run("systemctl", "daemon-reload")

    def write(self, path: str, text: str) -> None:
        self.shell(f"printf %s {shlex.quote(text)} >{shlex.quote(path)}")

    def begin_anew(self) -> None:
        """Bring servers, configuration and orderd back to how they were after installation."""
        if self.guest.result("bash", "-c", _IS_AS_INSTALLED).returncode == 0:
            return
        self.shell(f"""
            systemctl start rabbitmq-server postgresql
            systemctl stop 'orderd*' 2>/dev/null
            rm -rf {_OWN_FILES}
            cp {SHIPPED} /etc/orderd/orderd.toml
            systemctl daemon-reload
            systemctl reset-failed
            systemctl start orderd
        """)
