"""How every command runs: nothing of what libraries say for nobody comes between what the program says."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import logging, sys
from posthog_warehouse.pipelines.defaults import Format
from posthog_warehouse.pipelines.runner import perform

def command(run):
    try:
        raise OSError("a request that was given up")
    except OSError:
        logging.getLogger("some.library").exception("out of retries")
    logging.getLogger("posthog_warehouse.destinations.lake").warning("a note of ours")
    return 0

sys.exit(perform(command, Format.TEXT, debug=len(sys.argv) > 1))
"""


@pytest.mark.parametrize("debug", [False, True])
def test_what_libraries_log_is_shown_by_debug_alone(debug: bool) -> None:  # noqa: FBT001 - the parameter's value
    command = [sys.executable, "-c", SCRIPT, *(["--debug"] if debug else [])]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0
    assert "a note of ours" in ended.stderr
    assert ("Traceback" in ended.stderr) == ("out of retries" in ended.stderr) == debug
