"""Every benchmark in its short form: whether it works, not how fast anything is.

    python benchmarks/short.py

Each script looks itself whether what it measured was done right, and fails if not. Its table is printed only then.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from measuring import child_environment

HERE = Path(__file__).resolve().parent
_LONG = ("peers.py", "idle.py", "queries.py")


def scripts() -> list[Path]:
    """The scripts among the modules beside this one."""
    found = sorted(path for path in HERE.glob("*.py") if '__name__ == "__main__"' in path.read_text())
    # Those that take longest first.
    found.sort(key=lambda path: path.name not in _LONG)
    return [path for path in found if path != Path(__file__).resolve()]


def main() -> int:
    """Runs all, as many at once as there are cores. Returns 1 if one failed."""
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:

        def run(script: Path) -> tuple[float, subprocess.CompletedProcess[str]]:
            began = time.monotonic()
            command = [sys.executable, str(script), "--short", "--pages", f"{folder}/pages"]
            environment = child_environment(Path(folder) / script.stem)
            done = subprocess.run(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env=environment,
                cwd=folder,
                check=False,
            )
            return time.monotonic() - began, done

        is_good = True
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for script, (seconds, done) in zip(scripts(), pool.map(run, scripts()), strict=True):
                print(f"benchmarks/{script.name} {'works' if not done.returncode else 'FAILED'} ({seconds:.0f} s)")
                for line in done.stdout.splitlines():
                    if done.returncode or line.startswith("Left out"):
                        print(f"  {line}")
                is_good &= not done.returncode
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
