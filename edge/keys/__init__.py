"""Keys: which model files the operator signed, and the key of the box itself."""
