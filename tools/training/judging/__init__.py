"""Before and after: the daemon's own code on held-out recordings and on reference clips."""
