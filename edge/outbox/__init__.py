"""The outbox keeps events on disk until they are acknowledged."""
