"""How fast orderd is, beside `pgbench -c 1` with the same statements: `python -m tests.bench`."""
