"""What `edge-tools draw` is made of: shapes of a configuration, a still, a page and its server."""
