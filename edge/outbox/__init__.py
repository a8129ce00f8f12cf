"""The outbox: events on disk until they are acknowledged."""
