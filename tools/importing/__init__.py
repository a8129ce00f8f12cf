"""A network of the user's own becomes a model of the program: read, understand, try, write."""
