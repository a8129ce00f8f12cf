"""Decoding of network streams in processes of their own.

A fork server (`zygote`) starts one decoder process (`session`) per stream. The program talks to it
over a Unix socket (`wire`), and the frames come through shared memory (`shared`). A stream that
hangs, crashes or takes too much memory ends its own process and nothing else.
"""
