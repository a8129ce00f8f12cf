"""Convert recorded or published poses to the formats of other programs.

`sources` reads, `choice` selects, and each other file of this folder writes one format.
"""
