"""The package declares what it needs: installed without extras it works, with the `sandbox` extra the demo does."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
import tomlkit
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sandbox.local import Sandbox
from tests.faults.syncing import LONG
from tests.pipelines.conftest import ROOT, Program

_PROJECT = tomlkit.parse((ROOT / "pyproject.toml").read_text()).unwrap()["project"]
_EXTRAS: dict[str, list[str]] = _PROJECT["optional-dependencies"]
_OURS = ("sources", "destinations", "pipelines", "sandbox")
_MAY_NEED = {
    "sources": (),
    "pipelines": (),
    "destinations": ("delta", "iceberg", "gs", "az"),
    "sandbox": ("sandbox",),
}
"""Of which extras the modules of a folder may import something."""

# Run before the program: whatever no declared dependency brings is as if it were not installed.
_WITHOUT = """
import importlib.abc, json, sys

class Absent(importlib.abc.MetaPathFinder):
    names = frozenset(json.loads({names!r}))
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
        return None

sys.meta_path.insert(0, Absent())
from pipelines.__main__ import main
main()
"""


def _declared(*extras: str) -> list[Requirement]:
    lines = [*_PROJECT["dependencies"], *(line for extra in extras for line in _EXTRAS[extra])]
    return [Requirement(line) for line in lines]


def _brought_by(wanted: list[Requirement]) -> set[str]:
    """Names of all distributions that installing `wanted` here brings, as far as they are installed."""
    brought: set[str] = set()
    seen: set[tuple[str, str]] = set()
    queue = [(each, "") for each in wanted]
    while queue:
        requirement, extra = queue.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for each in ("", *requirement.extras):
            if (name, each) in seen:
                continue
            seen.add((name, each))
            try:
                lines = requires(name) or []
            except PackageNotFoundError:
                continue
            brought.add(name)
            queue += [(Requirement(line), each) for line in lines]
    return brought


def _imports(folder: str) -> Iterator[tuple[str, Path]]:
    """Top-level modules that a folder's modules import, wherever it is done, and where."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((alias.name.partition(".")[0], path) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0], path


@pytest.mark.parametrize("folder", _OURS)
def test_whatever_is_imported_is_declared(folder: str) -> None:
    """By ourselves: what a dependency happens to bring today it may not bring tomorrow."""
    declared = {canonicalize_name(each.name) for each in _declared(*_MAY_NEED[folder])}
    owners = packages_distributions()
    undeclared = {
        name: str(path.relative_to(ROOT))
        for name, path in _imports(folder)
        if name not in sys.stdlib_module_names
        and name not in _OURS
        and not declared & {canonicalize_name(owner) for owner in owners.get(name, [])}
    }
    assert undeclared == {}


def test_it_works_where_nothing_but_its_dependencies_is_installed(sandbox_cloud: Sandbox, program: Program) -> None:
    """Those of dlt and others too: what they use without declaring it would be missing as well."""
    brought = _brought_by(_declared())
    absent = sorted(
        module
        for module, owners in packages_distributions().items()
        if module not in _OURS and not brought & {canonicalize_name(owner) for owner in owners}
    )
    assert {"chdb", "pandas", "psycopg2", "pytest", "uvicorn"} <= {*absent}
    assert not {"dlt", "duckdb", "httpx", "pyarrow"} & {*absent}
    script = program.folder / "without.py"
    script.write_text(_WITHOUT.format(names=json.dumps(absent)))

    class Alone(Program):
        command = (sys.executable, str(script))

    alone = Alone(program.folder).pointed_at(sandbox_cloud)
    for arguments in (["doctor"], ["sync", "--since", "3d"]):
        outcome = alone(*arguments)
        assert outcome.code == 0, f"{arguments}: {outcome.out[-2000:]}{outcome.err[-2000:]}"


@pytest.mark.slow
@pytest.mark.skipif(not LONG, reason="builds the wheel and installs it, from a package index: in the long form")
def test_the_wheel_works_in_a_clean_environment(sandbox_cloud: Sandbox, tmp_path: Path) -> None:
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        pytest.skip("uv is not installed")

    def run(*command: str) -> None:
        done = subprocess.run([*command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"

    run(uv, "build", "--quiet", "--wheel", "--out-dir", str(tmp_path / "wheel"), str(ROOT))
    [wheel] = (tmp_path / "wheel").glob("*.whl")
    assert {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()} >= {*_OURS}
    run(uv, "venv", "--quiet", "--python", sys.executable, "clean")
    python = str(tmp_path / "clean/bin/python")
    run(uv, "pip", "install", "--quiet", "--python", python, str(wheel))
    (tmp_path / "work").mkdir()

    class Installed(Program):
        command = (str(tmp_path / "clean/bin/posthog-warehouse"),)

    installed = Installed(tmp_path / "work").pointed_at(sandbox_cloud)
    del installed.environment["PYTHONPATH"]  # nothing of the checkout
    for arguments in (["--help"], ["doctor"], ["sync", "--since", "3d"]):
        outcome = installed(*arguments)
        assert outcome.code == 0, f"{arguments}: {outcome.out[-2000:]}{outcome.err[-2000:]}"

    assert "pip install 'posthog-warehouse[sandbox]'" in installed("demo").err
    run(uv, "pip", "install", "--quiet", "--python", python, f"{wheel}[sandbox]")
    demo = installed("demo", "--events", "2000", "--persons", "100")
    assert demo.code == 0, demo.err[-2000:]
