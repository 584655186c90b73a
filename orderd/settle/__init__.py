"""What is sent once an outcome is durable, and the ack that comes after it."""
