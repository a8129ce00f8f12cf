"""How right rules are: labels, matching in time, pictures of what went wrong."""
