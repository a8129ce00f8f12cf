"""The process: start, reload, signals, systemd, logs and set-up."""
