"""Fetch published weights and media: clients of registries, cache, archives."""
