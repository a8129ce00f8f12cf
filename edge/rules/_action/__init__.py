"""Repetitions of an exercise: features, streaming matching, alignment, judging, templates."""
