"""Pages of the docs that are made of the program: every key of the configuration, every message."""
