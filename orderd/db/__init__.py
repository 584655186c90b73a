"""PostgreSQL: connection, explicit transactions, named queries, migrations, faults."""
