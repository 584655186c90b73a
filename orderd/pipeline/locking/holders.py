"""Who holds a lock, in words."""


def described(pid: int | None, application: str | None, what: str, since: str | None) -> str:
    """Return how to name who holds a lock: *pid* is None for a prepared transaction.

    *what* began at *since*; that and the *application* are None or empty where not known.
    """
    holder = "a prepared transaction" if pid is None else f"pid {pid}"
    known = [application] if application else []
    known += [f"{what} {since}"] if since else []
    return f"{holder} ({', '.join(known)})" if known else holder
