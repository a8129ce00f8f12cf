"""What the loop does without while the machine is too hot or too slow."""
