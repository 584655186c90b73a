"""The outbox: events that wait to be published, and those that were."""
