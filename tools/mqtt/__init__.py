"""A local MQTT broker for demos and tests, and a subscriber."""
