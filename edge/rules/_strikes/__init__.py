"""Blows, that is punches and kicks: what the rules `strike` and `fight` judge."""
