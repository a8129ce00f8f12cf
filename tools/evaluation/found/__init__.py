"""Predictions: of a result file, of recordings, or of the networks themselves."""
