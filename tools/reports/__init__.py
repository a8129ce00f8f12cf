"""The report of a session: what was recorded, its exercises, curves, and a page of them."""
