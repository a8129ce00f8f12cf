"""A consumer beyond a cut: writes each event as a line. Arguments: port, file."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from tests.promises.box_process import Consumer

if __name__ == "__main__":
    written = 0
    with Consumer(int(sys.argv[1])) as consumer, Path(sys.argv[2]).open(
        "w", encoding="utf-8"
    ) as file:
        while True:
            records = consumer.records[written:]
            file.writelines(json.dumps(r) + "\n" for r in records)
            file.flush()
            written += len(records)
            time.sleep(0.02)
