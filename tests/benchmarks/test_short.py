"""What benchmarks measure is looked at by people. That they work is seen by their short form: scripts/check runs it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import short

from tests.benchmarks.conftest import BENCHMARKS


def test_every_script_with_a_main_has_a_short_form() -> None:
    mains = {path for path in BENCHMARKS.glob("*.py") if "main" in functions(path)}
    assert {BENCHMARKS / "short.py", *short.scripts()} == mains
    assert all("add_usual(parser)" in path.read_text() for path in short.scripts())


def functions(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


def test_every_script_is_told_of_in_the_readme() -> None:
    readme = (BENCHMARKS / "README.md").read_text()
    assert [path.name for path in short.scripts() if f"benchmarks/{path.name}" not in readme] == []


def test_a_script_that_fails_is_shown_and_fails_the_check(tmp_path: Path) -> None:
    copy = tmp_path / "short.py"
    copy.write_text((BENCHMARKS / "short.py").read_text())
    (tmp_path / "measuring.py").write_text((BENCHMARKS / "measuring.py").read_text())
    guard = 'if __name__ == "__main__":'
    (tmp_path / "good.py").write_text(f'{guard}\n    print("Left out: one peer.\\nfigures")\n')
    (tmp_path / "bad.py").write_text(f'{guard}\n    raise SystemExit("rows are missing")\n')
    done = subprocess.run([sys.executable, str(copy)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "bad.py FAILED" in done.stdout
    assert "rows are missing" in done.stdout
    assert "good.py works" in done.stdout
    assert "Left out: one peer." in done.stdout
    assert "figures" not in done.stdout
