"""Which work each daemon of this package does; that of the others is not loaded."""

from orderd.daemon.work import Program
from orderd.protocol.tenants import NOTIFY, Tenant


def program_of(tenant: Tenant) -> Program:
    """Return the daemon that *tenant* is."""
    if tenant == NOTIFY:
        from orderd.daemon.notify_work import NOTIFY_PROGRAM  # noqa: PLC0415

        return NOTIFY_PROGRAM
    from orderd.daemon.shop_work import ORDERD_PROGRAM  # noqa: PLC0415

    return ORDERD_PROGRAM
