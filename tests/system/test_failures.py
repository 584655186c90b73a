"""A unit that has failed for good is shown as failed, and told by the means of the operator."""

from tests.system.machine import PATIENCE_S, Machine
from tools.waiting import wait_until

NOTICE = "orderd-failure@orderd.service.service"
# Ended three times within a minute, it is not started again.
LIMIT = "[Unit]\nStartLimitBurst=3\n[Service]\nRestartSec=100ms\nRestartSteps=0\n"
SENDMAIL = "#!/bin/sh\nsystemd-cat --identifier=mail\n"
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
    after = f"--after-cursor={orderd.cursor()}"
    _example(orderd, "failure-mail.conf")
    orderd.write("/usr/sbin/sendmail", SENDMAIL)
    orderd.run("chmod", "755", "/usr/sbin/sendmail")
    try:
        _fail(orderd)
        orderd.await_state("inactive", NOTICE)
        mail = [entry["MESSAGE"] for entry in orderd.guest.journal("--identifier=mail", after)]
    finally:
        orderd.run("rm", "/usr/sbin/sendmail")

    assert mail[:2] == ["To: root", "Subject: orderd.service failed on guest"]
    # The lines of the journal, too.
    assert any("batch_max = 0 (file /etc/orderd/conf.d/a.toml)" in line for line in mail[2:]), mail
    assert orderd.unit(NOTICE, "Result") == {"Result": "success"}


def test_a_wrong_configuration_is_told_to_a_url_as_the_example_calls_it(orderd: Machine) -> None:
    orderd.run("apt-get", "install", "-qy", "--no-install-recommends", "curl", timeout_s=300)
    after = f"--after-cursor={orderd.cursor()}"
    _example(orderd, "failure-webhook.conf")
    orderd.shell(
        "install -m 600 /dev/stdin /etc/orderd/failure-webhook <<<'url = \"http://127.0.0.1:8099\"'"
    )
    orderd.write("/root/hook.py", HOOK)
    orderd.run("systemd-run", "--quiet", "--unit=hook", "python3", "/root/hook.py")
    orderd.shell("until (: </dev/tcp/127.0.0.1/8099) 2>/dev/null; do sleep 0.1; done", timeout_s=30)
    try:
        _fail(orderd)
        orderd.await_state("inactive", NOTICE)
        called = [entry["MESSAGE"] for entry in orderd.guest.journal("--unit=hook", after)]
    finally:
        orderd.shell("systemctl stop hook; rm /etc/orderd/failure-webhook")

    assert '{"text": "orderd.service failed on guest"}' in called


def _fail(orderd: Machine) -> None:
    orderd.write("/etc/orderd/conf.d/a.toml", "batch_max = 0\n")
    orderd.run("systemctl", "restart", "orderd", check=False)
    orderd.await_state("failed")


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
