"""The project's own accuracy in one run: what `make accuracy` prints and docs/accuracy.md holds."""
