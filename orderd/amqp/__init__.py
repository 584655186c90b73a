"""Everything that speaks AMQP: the only package that imports pika. It does not log."""
