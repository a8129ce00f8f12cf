"""Keys: the operator's signature under model files, and the box's own key for TLS."""
