"""orderd on a real Debian 13: systemd as PID 1, RabbitMQ 4, PostgreSQL 17, all in one guest."""
