"""What a run is made of: cameras, networks, filters and rules, built from the configuration."""
