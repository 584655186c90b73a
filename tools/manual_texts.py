"""What only the manual pages say: examples, and what each unit of systemd does."""

from collections.abc import Mapping
from typing import Final

Examples = Mapping[str, str]
"""What is typed, by what it does."""

ORDERCTL: Final[Examples] = {
    "See on one screen what is well and what is not; exit with 1 if something is not:": (
        "orderctl status"
    ),
    "Order two pieces of product 1 for user 1, and wait for the reply:": (
        "orderctl call order create \\\n"
        """    '{"user_id":1,"items":[{"product_id":1,"quantity":2}]}' \\\n"""
        "    --id web-1"
    ),
    "Publish a command from a file, without waiting for its outcome:": (
        "orderctl publish product create @laptop.json --id laptop-1"
    ),
    "See what became of a request:": "orderctl explain web-1",
    "See which dead letters would be replayed, then replay them:": (
        "orderctl dlq replay order --code retries_exhausted --dry-run\n"
        "orderctl dlq replay order --code retries_exhausted"
    ),
    "See which notifications have failed and why, and have one of them sent again:": (
        "orderctl notify list --state failed\n"
        "orderctl notify retry e5d76b93-ffef-430e-9d10-6c041459a639"
    ),
    "Read a mail as a template of your own puts it, then send a test over the channel `mail`:": (
        "orderctl notify preview order.shipped\norderctl notify test mail --to ada@example.com"
    ),
    "Keep a dead letter as JSON before it is discarded:": (
        "orderctl --json dlq show --id web-1 >web-1.json\norderctl dlq discard --id web-1 --yes"
    ),
    "Make a key for JWTs, and send a command with a token that is valid for 15 minutes:": (
        "orderctl token keygen\n"
        "orderctl token issue --key private.pem --subject shop \\\n"
        "    --scope order.create >shop.jwt\n"
        "orderctl call order create @order.json --auth-file shop.jwt"
    ),
    "Check settings, schema and topology before an upgrade's restart:": (
        "orderctl config check\norderctl migrate --check\norderctl topology lint"
    ),
    "Serve metrics for Prometheus:": "orderctl metrics --listen 127.0.0.1:9645",
}

ORDERD: Final[Examples] = {
    "Run in the foreground, with servers named by the environment, and a log for people:": (
        "DATABASE_URL=postgresql://orderd@localhost/orderd \\\n"
        "RABBITMQ_URL=amqp://orderd:PASSWORD@localhost/%2F \\\n"
        "orderd --log-format text"
    ),
    "Have it read its configuration again, and log a status line:": (
        "systemctl reload orderd\nsystemctl kill --signal=USR1 --kill-whom=main orderd"
    ),
    "Read refusals only, of a daemon that logs JSON:": (
        "journalctl -t orderd -o cat |\n    jq 'select(.event == \"command.refused\")'"
    ),
    'The same, of one with `log_format = "journal"`:': "journalctl EVENT=command.refused",
}

ORDERD_NOTIFY: Final[Examples] = {
    "Send each order's news to its user, and what is out of stock to an address, by the mail "
    "server of this machine; in `/etc/orderd/orderd.toml`:": (
        "[[notify.channel]]\n"
        'kind = "smtp"\n'
        'for = "users"\n'
        'url = "smtp://localhost"\n'
        "starttls = false\n"
        'from = "Shop <shop@example.com>"\n'
        "\n"
        "[[notify.channel]]\n"
        'kind = "smtp"\n'
        'name = "stock"\n'
        'for = "admins"\n'
        'types = ["product.out_of_stock"]\n'
        'url = "smtp://localhost"\n'
        "starttls = false\n"
        'from = "Shop <shop@example.com>"\n'
        'to = ["stock@example.com"]'
    ),
    "Have it read its configuration and templates again:": "systemctl reload orderd-notify",
    "See what it is doing, or waiting for:": (
        "systemctl status orderd-notify\njournalctl -u orderd-notify -n 20"
    ),
}

UNITS: Final[Mapping[str, str]] = {
    "orderd.service": "The daemon, one to a machine. `systemctl start` returns when it consumes "
    "commands, or stands by for another daemon; while a server is away it waits, and asks for more "
    "time. `systemctl stop` drains: the current batch is finished, the rest stays in the queues; "
    "it takes `shutdown_timeout` at most. `systemctl reload` reads the configuration again and "
    "returns when that is done. `systemctl status` shows what the daemon is doing, or waiting for. "
    "It is restarted after a failure, at first after 1 s and later after up to 60 s, until it has "
    "failed 30 times within an hour, but not after the exit codes 2 and 78: these need an "
    "operator. A unit that stays failed starts orderd-failure@NAME.service. A loop that has not "
    "turned for 90 s is ended by SIGABRT, and the stack of its main thread is in the journal.",
    "orderd@NAME.service": "One of several daemons, called NAME in log, connections and events. "
    "It behaves as orderd.service, and also reads `/etc/orderd/NAME.env`. Do not run "
    "orderd.service beside it unless you mean to have one more daemon.",
    "orderd-notify.service": "The daemon that tells users and administrators of events, by mail, "
    "webhook or log, see `orderd-notify`(8). It behaves as orderd.service, but runs as a user of "
    "its own, with the credentials in `/etc/orderd/notify-credentials`, and may reach servers "
    "anywhere. It also reads `/etc/orderd/orderd-notify.env`. `systemctl enable --now "
    "orderd-notify` starts it, now and at boot; orderd.target does not.",
    "orderd.target": "All instances together. Once enabled, it starts those that are enabled at "
    "boot; `systemctl reload orderd.target` and `systemctl stop orderd.target` reach all of them.",
    "orderd-migrate.service": "Brings the schema up to date by `orderctl migrate`, with the "
    "credentials in `/etc/orderd/owner-credentials`, and ends. Nothing starts it by itself: run "
    "`systemctl start orderd-migrate`, or enable it, and it runs before each start of a daemon. "
    "A start that fails leaves the schema as it was.",
    "orderd-prune.service": "Deletes requests and notifications that are older than "
    "`ledger_retention`, by `orderctl prune --yes`, with the same credentials, and ends. A request "
    "that comes again after that is taken for a new one.",
    "orderd-prune.timer": "Starts orderd-prune.service once a day, within an hour after midnight, "
    "and later where the machine was off then. It is not enabled by default.",
    "orderd-exporter.service": "Serves the metrics of orderd.service and live figures of its "
    "servers on http://127.0.0.1:9645/metrics, by `orderctl metrics --listen`. It is not enabled "
    "by default.",
    "orderd-failure@NAME.service": "Is started when the unit NAME has failed and is not "
    "started again. It writes one line of the priority `crit` to the journal; a drop-in lets it "
    "send mail or call a URL.",
    "orderd.slice": "Holds all of these services. Limits that are set here count for all together; "
    "addresses of remote servers (`IPAddressAllow=`) are added to those of each service.",
}

UNIT_FILES: Final[Mapping[str, str]] = {
    "/etc/orderd/orderd.env": "settings as variables, for all units; optional",
    "/etc/orderd/NAME.env": "the same for an instance, or for orderd-notify",
    "/etc/orderd/credentials/": "secrets of the daemon, each file named as a setting; read by "
    "systemd alone",
    "/etc/orderd/owner-credentials/": "the same for migrations and pruning",
    "/etc/orderd/notify-credentials/": "the same for orderd-notify, with a file notify_NAME for "
    "the channel NAME: the password of its mail account, or the key of its webhook",
    "/etc/orderd/templates/TYPE.txt": "texts of notifications, in place of those of the package",
    "/run/orderd/, /run/orderd-NAME/, /run/orderd-notify/": "health file and metrics of a running "
    "daemon",
}

UNIT_EXAMPLES: Final[Examples] = {
    "See a unit with its drop-ins, and how strict its sandbox is:": (
        "systemctl cat orderd\nsystemd-analyze security orderd"
    ),
    "Two daemons in place of one:": (
        "systemctl disable --now orderd\nsystemctl enable --now orderd@a orderd@b\n"
        "systemctl enable orderd.target"
    ),
    "Migrate before each start, and prune daily:": (
        "systemctl enable orderd-migrate\nsystemctl enable --now orderd-prune.timer"
    ),
    "Send notifications, as the configuration file says:": "systemctl enable --now orderd-notify",
    "Allow more memory to all daemons together:": (
        "systemctl set-property orderd.slice MemoryMax=1G"
    ),
    "See why it does not start:": ("systemctl status orderd\njournalctl -p err -u orderd -n 20"),
}
