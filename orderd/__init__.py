"""orderd applies a shop's commands from RabbitMQ to PostgreSQL, exactly once in effect."""

__version__ = "0.1.0"
