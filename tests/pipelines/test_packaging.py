"""The package is one, and declares what it needs: installed without extras it works, with `sandbox` the demo does too.

Its source stands alone as well, copied into a dlt project.
"""

from __future__ import annotations

import ast
import importlib
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import duckdb
import pytest
import tomlkit
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from posthog_warehouse.sandbox.local import Sandbox
from tests import one_name
from tests.faults.syncing import LONG
from tests.pipelines.conftest import ROOT, Program

_PYPROJECT = tomlkit.parse((ROOT / "pyproject.toml").read_text()).unwrap()
_PROJECT = _PYPROJECT["project"]
_EXTRAS: dict[str, list[str]] = _PROJECT["optional-dependencies"]
_OURS = one_name.FOLDERS
_PACKAGE = "posthog_warehouse"
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
from posthog_warehouse.pipelines.__main__ import main
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
        and name != _PACKAGE
        and not declared & {canonicalize_name(owner) for owner in owners.get(name, [])}
    }
    assert undeclared == {}


def test_it_works_where_nothing_but_its_dependencies_is_installed(sandbox_cloud: Sandbox, program: Program) -> None:
    """Those of dlt and others too: what they use without declaring it would be missing as well."""
    brought = _brought_by(_declared())
    absent = sorted(
        module
        for module, owners in packages_distributions().items()
        if module != _PACKAGE and not brought & {canonicalize_name(owner) for owner in owners}
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


def _packages() -> list[str]:
    """The folders with modules, by the names that they have where they are installed."""
    folders = [path.parent.relative_to(ROOT) for folder in _OURS for path in (ROOT / folder).rglob("__init__.py")]
    return [_PACKAGE, *(".".join((_PACKAGE, *folder.parts)) for folder in folders)]


def _modules() -> set[str]:
    """All modules, as paths in the wheel."""
    paths = (path.relative_to(ROOT) for folder in _OURS for path in (ROOT / folder).rglob("*.py"))
    return {f"{_PACKAGE}/__init__.py", *(f"{_PACKAGE}/{path.as_posix()}" for path in paths)}


def test_the_wheel_takes_every_folder_that_has_modules() -> None:
    setup = _PYPROJECT["tool"]["setuptools"]
    assert sorted(setup["packages"]) == sorted(_packages())
    assert setup["package-dir"] == {f"{_PACKAGE}.{folder}": folder for folder in _OURS}
    assert {path.parent for path in map(Path, _modules())} == {Path(*name.split(".")) for name in _packages()}


@pytest.mark.parametrize("folder", _OURS)
def test_the_folders_of_a_checkout_are_the_package(folder: str) -> None:
    """For mypy, editors and `python -m`; and not a second time by the names of the folders."""
    assert (ROOT / _PACKAGE / folder).is_symlink()
    assert (ROOT / _PACKAGE / folder).resolve() == ROOT / folder
    module = importlib.import_module(f"{_PACKAGE}.{folder}")
    assert module.__file__ is not None
    assert Path(module.__file__).resolve() == ROOT / folder / "__init__.py"
    with pytest.raises(ImportError, match=f"{_PACKAGE}.{folder}"):
        importlib.import_module(folder)


def test_nothing_is_imported_by_the_name_of_its_folder() -> None:
    """Wherever code stands: in modules, in the texts of programs that tests start, in docs."""
    names = "|".join(_OURS)
    code = re.compile(rf"\bfrom ({names})(\.\w+)* import\b|^\s*import ({names})\b|-m\W+({names})\b", re.MULTILINE)
    suffixes = {".py", ".md", ".toml", ".yml", ""}
    files = [path for path in ROOT.iterdir() if path.is_file() and path.suffix in suffixes]
    for folder in (*_OURS, "tests", "benchmarks", "docs", "scripts", ".github", ".ci"):
        files += [path for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix in suffixes]
    files = [path for path in files if "node_modules" not in path.parts and path != Path(__file__)]
    assert len(files) > 500
    found = {str(path.relative_to(ROOT)): match[0] for path in files if (match := code.search(path.read_text()))}
    assert found == {}


def test_a_folder_that_may_be_moved_names_itself_by_no_name() -> None:
    assert [str(path) for name, path in _imports("sources") if name in (_PACKAGE, *_OURS)] == []
    for path in (ROOT / "sources/posthog").rglob("*.py"):
        dots = max(map(len, re.findall(r"^\s*from (\.+)", path.read_text(), re.MULTILINE)), default=0)
        assert dots <= len(path.relative_to(ROOT / "sources/posthog").parts), f"{path} imports from above the source"
    absolute = re.compile(rf"^\s*(from|import) {_PACKAGE}\.destinations\b", re.MULTILINE)
    assert [str(path) for path in (ROOT / "destinations").rglob("*.py") if absolute.search(path.read_text())] == []


def test_the_source_lists_what_it_needs_where_it_is_copied() -> None:
    owners = packages_distributions()
    imported = {canonicalize_name(owner) for name, _ in _imports("sources") for owner in owners.get(name, [])}
    wanted = [line for line in _PROJECT["dependencies"] if canonicalize_name(Requirement(line).name) in imported]
    assert (ROOT / "sources/posthog/requirements.txt").read_text().splitlines() == wanted


_COPIED = """
import sys
sys.modules["posthog_warehouse"] = None  # what is installed here would not be there

import dlt

from {folder} import posthog

pipeline = dlt.pipeline("copied", destination=dlt.destinations.duckdb("copied.duckdb"), dataset_name="theirs")
pipeline.run(posthog().with_resources("events", "persons"))
"""


@pytest.mark.parametrize("folder", ["posthog", "their_posthog"] if LONG else ["their_posthog"])
def test_the_source_works_where_it_is_copied_into_a_dlt_project(
    sandbox_cloud: Sandbox, tmp_path: Path, folder: str
) -> None:
    """As `dlt init` does it, under whatever name; configured as ever."""
    shutil.copytree(ROOT / "sources" / "posthog", tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    program = Program(tmp_path).settings(f'[sources.posthog]\nhost = "{sandbox_cloud.host}"\n')
    program.settings(f'[sources.posthog]\napi_key = "{sandbox_cloud.api_key}"\n', "secrets.toml")
    _run_script(program, sys.executable, _COPIED.format(folder=folder))
    with duckdb.connect(str(tmp_path / "copied.duckdb"), read_only=True) as connection:
        [(persons,)] = connection.execute("SELECT count(*) FROM theirs.persons WHERE NOT is_deleted").fetchall()
        [(events,)] = connection.execute("SELECT count(*) FROM theirs.events").fetchall()
    assert persons == sandbox_cloud.counts()["persons"]
    assert events == sandbox_cloud.counts()["events"]


def _run_script(program: Program, python: str, text: str) -> None:
    """A script in the program's folder, with nothing of the checkout on its path."""
    (program.folder / "load.py").write_text(text)
    environment = {name: value for name, value in program.environment.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, "load.py"],
        cwd=program.folder,
        env=environment | {"RUNTIME__DLTHUB_TELEMETRY": "false"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]


builds = pytest.mark.skipif(not LONG, reason="builds the wheel: in the long form")


def _run(*command: str, cwd: Path) -> None:
    done = subprocess.run([*command], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-4000:]}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as pip does it, of a copy that has no links, no bytecode and no old builds."""
    checkout, built = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("wheel")
    for folder in _OURS:
        shutil.copytree(ROOT / folder, checkout / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE", f"{_PACKAGE}/__init__.py", f"{_PACKAGE}/py.typed"):
        (checkout / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, checkout / file)
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    _run(sys.executable, "-c", build, str(built), cwd=checkout)
    [wheel] = built.glob("*.whl")
    return wheel


@pytest.mark.slow
@builds
def test_the_wheel_is_one_package_with_all_of_ours(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        [metadata] = [archive.read(name).decode() for name in names if name.endswith(".dist-info/METADATA")]
    info = f"{_PACKAGE}-{_PROJECT['version']}.dist-info"
    assert {name.partition("/")[0] for name in names} == {_PACKAGE, info}
    assert {name for name in names if name.startswith(f"{_PACKAGE}/")} == {*_modules(), f"{_PACKAGE}/py.typed"}
    assert f"{info}/licenses/LICENSE" in names
    assert "License-Expression: Apache-2.0" in metadata.splitlines()


@pytest.fixture
def installed(wheel: Path, sandbox_cloud: Sandbox, tmp_path: Path) -> Program:
    """The wheel's program, installed outside the checkout, in a folder where our folders' names are the user's.

    Its dependencies are those of the environment that runs this.
    """
    clean, work = tmp_path / "clean", tmp_path / "work"
    _run(sys.executable, "-m", "venv", "--without-pip", str(clean), cwd=tmp_path)
    python = str(clean / "bin" / "python")
    _run(
        sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", str(wheel), cwd=tmp_path
    )
    [packages] = clean.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    (work / "sources").mkdir(parents=True)
    (work / "sources" / "numbers.py").write_text(
        "import dlt\n\n\n@dlt.resource\ndef numbers():\n    yield from [{'n': 1}, {'n': 2}]\n"
    )
    for folder in ("destinations", "pipelines", "sandbox"):
        (work / f"{folder}.py").write_text("raise RuntimeError('this is the user\\'s own')\n")

    class Installed(Program):
        command = (str(clean / "bin" / "posthog-warehouse"),)

    program = Installed(work).pointed_at(sandbox_cloud)
    program.environment["PYTHONPATH"] = str(work)
    return program


@pytest.mark.slow
@builds
def test_the_installed_program_leaves_the_users_names_alone(installed: Program) -> None:
    for arguments in (["--help"], ["doctor"], ["sync", "--since", "3d"]):
        outcome = installed(*arguments)
        assert outcome.code == 0, f"{arguments}: {outcome.out[-2000:]}{outcome.err[-2000:]}"
    demo = installed("demo", "--events", "2000", "--persons", "100")
    assert demo.code == 0, demo.err[-2000:]


_WITH_THEIRS = """
import dlt
import posthog_warehouse

from posthog_warehouse.sources.posthog import posthog
from sources.numbers import numbers

assert "clean" in posthog_warehouse.__file__
pipeline = dlt.pipeline("both", destination=dlt.destinations.duckdb("both.duckdb"), dataset_name="theirs")
pipeline.run(posthog().with_resources("events"))
pipeline.run(numbers())
assert pipeline.dataset().events.arrow().num_rows
assert pipeline.dataset().numbers.arrow().num_rows == 2
"""


@pytest.mark.slow
@builds
def test_a_dlt_script_has_our_source_beside_its_own(installed: Program, sandbox_cloud: Sandbox) -> None:
    installed.environment |= {
        "SOURCES__POSTHOG__API_KEY": sandbox_cloud.api_key,
        "SOURCES__POSTHOG__HOST": sandbox_cloud.host,
    }
    _run_script(installed, str(Path(installed.command[0]).parent / "python"), _WITH_THEIRS)


@pytest.mark.slow
@pytest.mark.skipif(not LONG, reason="builds the wheel and installs it, from a package index: in the long form")
def test_the_wheel_works_in_a_clean_environment(wheel: Path, sandbox_cloud: Sandbox, tmp_path: Path) -> None:
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        pytest.skip("uv is not installed")

    _run(uv, "venv", "--quiet", "--python", sys.executable, "clean", cwd=tmp_path)
    python = str(tmp_path / "clean/bin/python")
    _run(uv, "pip", "install", "--quiet", "--python", python, str(wheel), cwd=tmp_path)
    (tmp_path / "work").mkdir()

    class Installed(Program):
        command = (str(tmp_path / "clean/bin/posthog-warehouse"),)

    installed = Installed(tmp_path / "work").pointed_at(sandbox_cloud)
    del installed.environment["PYTHONPATH"]  # nothing of the checkout
    for arguments in (["--help"], ["doctor"], ["sync", "--since", "3d"]):
        outcome = installed(*arguments)
        assert outcome.code == 0, f"{arguments}: {outcome.out[-2000:]}{outcome.err[-2000:]}"

    assert "pip install 'posthog-warehouse[sandbox]'" in installed("demo").err
    _run(uv, "pip", "install", "--quiet", "--python", python, f"{wheel}[sandbox]", cwd=tmp_path)
    demo = installed("demo", "--events", "2000", "--persons", "100")
    assert demo.code == 0, demo.err[-2000:]
