"""Parts of the family `hybrid`."""
