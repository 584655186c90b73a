"""What orderd promises, shown from outside: a real daemon, RabbitMQ and PostgreSQL."""
