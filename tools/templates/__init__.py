"""Templates of exercises: made from examples, drawn, written."""
