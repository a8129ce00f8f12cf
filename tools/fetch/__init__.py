"""Bring published weights and media onto the machine: clients, cache, archives, and their use."""
