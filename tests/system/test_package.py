"""The package from one version to the next, and to its end."""

from pathlib import Path

from tests.system.machine import Machine, repacked

# The same package, called newer: what counts is what an upgrade does to what runs.
NEWER = repacked(
    "newer",
    sign="+",
    change=r"sed -i 's/^.Service.$/&\nEnvironment=OF_THE_UPGRADE=1/' "
    "usr/lib/systemd/system/orderd*.service",
)
# As the package was when /etc/orderd/orderd.toml was a conffile.
OLDER = repacked(
    "older",
    sign="~",
    change="mkdir -p etc/orderd && echo '# shipped' >etc/orderd/orderd.toml && "
    "echo /etc/orderd/orderd.toml >>DEBIAN/conffiles",
)
FIRST_STEPS = """
    echo 'amqp://orderd:PASSWORD@localhost/%2F' >/etc/orderd/credentials/rabbitmq_url
    systemctl enable --quiet --now orderd
"""
NOT_NEEDED = {"NeedDaemonReload": "no"}
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
        # Under the new unit, not under the one that systemd had read before.
        assert orderd.unit(unit, "NeedDaemonReload") == NOT_NEEDED
        assert "OF_THE_UPGRADE=1" in orderd.shell(
            f"tr '\\0' '\\n' </proc/{orderd.pid(unit)}/environ"
        )
    left = orderd.sql(f"SELECT stock_quantity FROM products WHERE id = {product_id}")  # noqa: S608
    assert int(left) == 1_000_000 - published
    assert orderd.ready("order.dlq") == 0
    assert orderd.shell("cat /etc/orderd/orderd.toml") == "batch_max = 50\n"


def test_an_upgrade_asks_nothing_and_leaves_what_was_a_conffile_to_the_operator(
    orderd: Machine, package: Path
) -> None:
    own = "# mine\nbatch_max = 50\n"
    orderd.shell(OLDER)
    # Without the newer one's files, as it was then.
    orderd.run("apt-get", "purge", "-qy", "orderd", timeout_s=300)
    try:
        orderd.run("apt-get", "install", "-qy", "/root/older.deb", timeout_s=300)
        orderd.write("/etc/orderd/orderd.toml", own)

        # A question would be answered by the end of the input, and dpkg fail.
        orderd.run("dpkg", "--install", f"/root/{package.name}", timeout_s=300)

        kept = orderd.shell("cat /etc/orderd/orderd.toml")
        beside = orderd.shell("ls /etc/orderd")
        orderd.run("dpkg", "--purge", "orderd", timeout_s=300)
        left = orderd.shell("ls -d /etc/orderd 2>/dev/null || true")
    finally:
        orderd.run("apt-get", "install", "-qy", f"/root/{package.name}", timeout_s=300)
        orderd.shell(FIRST_STEPS)
    assert kept == own
    assert "dpkg" not in beside
    assert left == ""


def test_what_may_hold_passwords_is_for_orderd_and_root_alone(orderd: Machine) -> None:
    orderd.shell("""
        echo 'batch_max = 60' >/etc/orderd/conf.d/size.toml
        echo ORDERD_PREFETCH=70 >/etc/orderd/orderd.env
        systemd-tmpfiles --create orderd.conf
    """)

    stat = "stat --format='%a %U:%G %n'"
    listed = orderd.shell(f"cd /etc/orderd && {stat} orderd.toml orderd.env conf.d conf.d/* cred*")

    assert listed.splitlines() == [
        "640 root:orderd orderd.toml",
        "640 root:orderd orderd.env",
        "750 root:orderd conf.d",
        "640 root:orderd conf.d/size.toml",
        "700 root:root credentials",
    ]
    orderd.run("systemctl", "restart", "orderd")
    started = orderd.log("--grep=daemon.started", "--lines=1")
    assert "batches of up to 60, prefetch 70" in started[0]["message"]


def test_the_documents_of_a_debian_package_are_there(machine: Machine) -> None:
    place = "/usr/share/doc/orderd"

    news = machine.shell(f"zcat {place}/NEWS.Debian.gz")
    listed = machine.shell(f"ls {place}").split()

    assert news.startswith("orderd (")
    assert {"README.Debian", "copyright", "changelog.gz", "examples"} <= set(listed)
    assert machine.shell("dpkg-query -W -f='${Conffiles}' orderd") == ""
    assert "#batch_max = 200" in machine.shell("cat /usr/share/orderd/orderd.toml")


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
        orderd.shell(FIRST_STEPS)

    assert (running, kept) == ("", secret)
    assert [path for path in found if not path.startswith(STAYS)] == []
    assert units == ""
    orderd.product("Stool", stock=1)
