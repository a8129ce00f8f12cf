"""The state of the machine: temperatures, power, clocks, load, memory, throttling."""
