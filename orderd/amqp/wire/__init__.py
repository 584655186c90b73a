"""AMQP field tables and properties, read and written exactly."""
