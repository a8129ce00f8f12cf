"""Command-line tools around the daemon: make, check and build networks; sign, replay, listen."""
