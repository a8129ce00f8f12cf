"""Settings: who may set what. One schema, read from one TOML file."""
