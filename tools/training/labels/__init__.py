"""Labels out of our own poses, and frames that are worth labelling."""
