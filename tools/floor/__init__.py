"""The floor of a camera in metres: from points of known size, or from people who walk on it."""
