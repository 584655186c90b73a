"""The package from one version to the next, and to its end."""

from pathlib import Path

from tests.system.machine import Machine

# The same package, called newer: what counts is what an upgrade does to what runs.
NEWER = """
    cd /root
    dpkg-deb --raw-extract orderd_*_all.deb newer
    sed -i 's/^Version: .*/&+newer/' newer/DEBIAN/control
    dpkg-deb --build newer newer.deb
    rm -r newer
"""
# What stays after a purge, as Debian wants it: a user's number is not given to somebody else.
STAYS = ("/root/", "/var/log/", "/var/lib/dpkg/", "/var/lib/apt/", "/var/cache/", "/proc/", "/sys/")


def test_an_upgrade_under_load_loses_nothing_and_keeps_what_was_edited(orderd: Machine) -> None:
    product_id = orderd.product("Table", stock=1_000_000)
    orderd.shell(NEWER)
    orderd.write("/etc/orderd/orderd.toml", "batch_max = 50\n")
    orderd.run("systemctl", "start", "orderd@extra")
    pids = {unit: orderd.pid(unit) for unit in ("orderd", "orderd@extra")}
    with orderd.producer("upgrade-", product_id, 100_000) as producer:
        orderd.await_settled("upgrade-", 1)

        orderd.run("apt-get", "install", "-qy", "/root/newer.deb", timeout_s=300)

        after = orderd.settled("upgrade-")
        orderd.await_settled("upgrade-", after + 1)
        published = int(producer.communicate("stop")[0])

    orderd.await_settled("upgrade-", published)
    assert orderd.run("dpkg-query", "-W", "-f=${Version}", "orderd").endswith("+newer")
    for unit, pid in pids.items():
        assert orderd.pid(unit) not in (0, pid)
        assert orderd.restarts(unit) == 0
    left = orderd.sql(f"SELECT stock_quantity FROM products WHERE id = {product_id}")  # noqa: S608
    assert int(left) == 1_000_000 - published
    assert orderd.ready("order.dlq") == 0
    assert orderd.shell("cat /etc/orderd/orderd.toml") == "batch_max = 50\n"


def test_a_removed_package_stops_its_daemons_and_a_purged_one_leaves_nothing(
    orderd: Machine, package: Path
) -> None:
    secret = orderd.shell("cat /etc/orderd/credentials/rabbitmq_url")
    orderd.run("systemctl", "start", "orderd@extra")
    try:
        orderd.run("apt-get", "remove", "-qy", "orderd", timeout_s=300)
        running = orderd.shell("grep --no-messages -lx orderd /proc/[0-9]*/comm || true")
        kept = orderd.shell("cat /etc/orderd/credentials/rabbitmq_url")

        orderd.run("apt-get", "purge", "-qy", "orderd", timeout_s=300)
        found = orderd.shell("find / -xdev -name '*orderd*' -not -path '/tmp/*'").split()
        units = orderd.shell("systemctl list-unit-files --no-legend 'orderd*' || true")
    finally:
        orderd.run("apt-get", "install", "-qy", f"/root/{package.name}", timeout_s=300)
        orderd.write("/etc/orderd/credentials/rabbitmq_url", secret)
        orderd.run("systemctl", "enable", "--quiet", "--now", "orderd")

    assert (running, kept) == ("", secret)
    assert [path for path in found if not path.startswith(STAYS)] == []
    assert units == ""
    orderd.product("Stool", stock=1)
