"""What the rule `fight` remembers of pairs of people."""
