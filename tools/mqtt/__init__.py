"""An MQTT broker to try things with, and a subscription at a broker."""
