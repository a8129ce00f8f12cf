"""The fork server: python -m edge.capture._decoder SOCKET."""

from __future__ import annotations

import sys

from edge.capture._decoder.zygote import serve

if __name__ == "__main__":
    serve(int(sys.argv[1]))
