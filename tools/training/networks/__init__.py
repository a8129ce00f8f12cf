"""Networks that can be trained: how each is built, reads a crop, is judged and is written."""
