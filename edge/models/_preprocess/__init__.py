"""The preprocessing of network inputs, shared by the daemon and the tools."""
