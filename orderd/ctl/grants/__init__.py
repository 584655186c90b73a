"""What `orderctl grants` prints: least privilege for each role, as SQL and for RabbitMQ."""
