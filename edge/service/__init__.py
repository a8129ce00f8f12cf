"""The process: start, reload, signals, systemd, logs and provisioning."""
