"""A role of the daemon's own, with the documented privileges alone, beside the owner's."""

import re

from tests.system.machine import Machine
from tools.debian_root import TREE

WORKER = "postgresql://worker:secret@127.0.0.1/orderd"
CONNECTED = (
    "SELECT DISTINCT usename FROM pg_stat_activity "
    "WHERE datname = 'orderd' AND usename <> 'postgres'"
)
AGE = "UPDATE processed_requests SET created_at = now() - interval '91 days' WHERE id ^@ 'role-'"


def test_a_daemon_with_few_privileges_works_and_only_the_owner_prunes(orderd: Machine) -> None:
    grants = re.findall(
        r"^GRANT [^;]+;$", (TREE / "docs/reference/database.md").read_text(), re.MULTILINE
    )
    assert grants
    orderd.sql("CREATE ROLE worker LOGIN PASSWORD 'secret'")
    for grant in grants:
        if grant.endswith("TO orderd;"):
            orderd.sql(grant.replace("TO orderd;", "TO worker;"))
    orderd.write("/etc/orderd/credentials/database_url", WORKER)
    orderd.write("/etc/orderd/owner-credentials/database_url", "postgresql:///orderd")

    orderd.run("systemctl", "restart", "orderd")

    product_id = orderd.product("Rug", stock=100)
    orderd.load("role-", product_id, 10)
    orderd.await_settled("role-", 10)
    assert orderd.sql(CONNECTED) == "worker"
    orderd.sql(AGE)
    as_daemon = ("--uid=orderd", "--property=LoadCredential=orderd:/etc/orderd/credentials")
    refused = orderd.guest.result("systemd-run", "-qP", *as_daemon, "orderctl", "prune", "--yes")
    assert refused.returncode != 0
    assert orderd.settled("role-") == 10
    orderd.run("systemctl", "start", "orderd-prune", "orderd-migrate")
    assert orderd.settled("role-") == 0
