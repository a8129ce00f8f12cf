"""An app of Flower: each site trains with its own command, the server averages the moves."""
