"""`edge-tools view`: messages of a broker or of a recording -> one page on loopback.

`board` holds the newest message of each topic, `live` fills it from a broker, `replay` from a
recording. `server` gives the page and its messages to browsers that `guard` lets in.
"""
