"""What every long-running program needs of its host: signals, logs, status, systemd."""
