"""How ONVIF cameras are found, and asked for the addresses of their streams."""
