"""The daemon: one loop that owns the connections, and the way it is put together."""
