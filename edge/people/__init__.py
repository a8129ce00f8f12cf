"""People in the picture: who is who, where they are, and how they move. Pure functions."""
