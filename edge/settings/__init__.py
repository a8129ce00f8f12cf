"""The configuration: one schema, read from one TOML file."""
