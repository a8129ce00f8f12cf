"""The parts of a run, made from the configuration: cameras, networks, trackers, rules, sinks."""
