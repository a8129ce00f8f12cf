"""The parts of the rule `rom`: angles over time, repetitions, bounds, compensation, counts."""
