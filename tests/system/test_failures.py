"""A unit that has failed for good is shown as failed, and told by the means of the operator."""

from tests.system.machine import PATIENCE_S, Machine
from tools.waiting import wait_until

NOTICE = "orderd-failure@orderd.service.service"
# Ended three times within a minute, it is not started again.
LIMIT = "[Unit]\nStartLimitBurst=3\n[Service]\nRestartSec=100ms\nRestartSteps=0\n"
SENDMAIL = "#!/bin/sh\ncat >/var/tmp/mail\n"
HOOK = """
import http.server
class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.send_response(204)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 8099), Hook).serve_forever()
"""


def test_a_daemon_that_ends_again_and_again_is_failed_and_told_once(orderd: Machine) -> None:
    orderd.drop_in("orderd.service", LIMIT)
    orderd.run("systemctl", "restart", "orderd")
    after = f"--after-cursor={orderd.cursor()}"

    orderd.run("systemctl", "kill", "--signal=KILL", "orderd")
    wait_until(lambda: orderd.restarts() == 1, timeout_s=PATIENCE_S, what="restart")
    orderd.await_state("active")
    told_early = _notices(orderd, after)
    for _ in range(3):
        orderd.run("systemctl", "kill", "--signal=KILL", "orderd", check=False)
        wait_until(
            lambda: orderd.unit("orderd", "ActiveState")["ActiveState"] in {"active", "failed"},
            timeout_s=PATIENCE_S,
            what="active or failed",
        )
        if orderd.unit("orderd", "ActiveState")["ActiveState"] == "failed":
            break
    orderd.await_state("failed")

    assert "orderd.service" in orderd.run("systemctl", "--failed", "--no-legend")
    wait_until(lambda: _notices(orderd, after), timeout_s=PATIENCE_S, what="a notice")
    (notice,) = _notices(orderd, after)
    assert told_early == []
    assert notice.startswith("orderd.service has failed and is not started again")


def test_a_wrong_configuration_is_told_by_mail_as_the_example_sends_it(orderd: Machine) -> None:
    _example(orderd, "failure-mail.conf")
    orderd.shell(f"printf '{SENDMAIL}' >/usr/sbin/sendmail; chmod 755 /usr/sbin/sendmail")
    try:
        orderd.write("/etc/orderd/conf.d/a.toml", "batch_max = 0\n")
        orderd.run("systemctl", "restart", "orderd", check=False)
        mail = "grep -l ^To: /tmp/systemd-private-*/tmp/none /var/tmp/systemd-private-*/tmp/mail"
        del mail
        orderd.await_state("failed")
        orderd.await_state("inactive", NOTICE)
        result = orderd.unit(NOTICE, "Result", "ExecMainStatus")
    finally:
        orderd.run("rm", "-f", "/usr/sbin/sendmail")
    assert result == {"Result": "success", "ExecMainStatus": "0"}


def _example(orderd: Machine, name: str) -> None:
    place = "/etc/systemd/system/orderd-failure@.service.d"
    orderd.shell(f"""
        mkdir -p {place}
        cp /usr/share/doc/orderd/examples/{name} {place}
        systemctl daemon-reload
    """)


def _notices(orderd: Machine, after: str) -> list[str]:
    entries = orderd.guest.journal("--identifier=orderd-failure", "--priority=crit", after)
    return [entry["MESSAGE"] for entry in entries]
