"""The clock of a contender: it starts when everything is imported. Nothing here that is not in Python itself."""

from __future__ import annotations

import json
import time


class Measured:
    """Prints, at the end of the block, how long it took; and the CPU time of this process until it began."""

    def __enter__(self) -> None:
        self._cpu_began = time.process_time()
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        wall = time.monotonic() - self._began
        print(json.dumps({"wall_seconds": wall, "start_cpu_seconds": self._cpu_began}))
