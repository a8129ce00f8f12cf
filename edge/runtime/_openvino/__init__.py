"""OpenVINO: its compiled networks, behind the session that the CPU's runner executes."""
