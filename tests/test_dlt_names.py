"""What is used of dlt is documented, or it is in one of the two rooms for the rest: `destinations/dlt_internals` and
`sources/posthog/dlt_internals.py`, which `tests/destinations/test_dlt_internals.py` holds against the dlt there is.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from posthog_warehouse import destinations, pipelines, sources

ROOT = Path(__file__).parent.parent
ROOMS = ("destinations/dlt_internals/", "sources/posthog/dlt_internals.py")
FOLDERS = ("sources", "destinations", "pipelines", "sandbox", "benchmarks")

DOCUMENTED = {
    "dlt.Pipeline": "general-usage/pipeline",
    "dlt.Schema": "general-usage/schema",
    "dlt.config.get": "general-usage/credentials/advanced",
    "dlt.current.resource_state": "general-usage/state",
    "dlt.current.source_schema": "general-usage/schema",
    "dlt.current.source_state": "general-usage/state",
    "dlt.destinations.ducklake": "dlt-ecosystem/destinations/ducklake",
    "dlt.destinations.duckdb": "dlt-ecosystem/destinations/duckdb",
    "dlt.destinations.filesystem": "dlt-ecosystem/destinations/filesystem",
    "dlt.destinations.postgres": "dlt-ecosystem/destinations/postgres",
    "dlt.mark.materialize_table_schema": "general-usage/resource",
    "dlt.mark.with_file_import": "general-usage/resource",
    "dlt.mark.with_table_name": "general-usage/resource",
    "dlt.pipeline": "general-usage/pipeline",
    "dlt.resource": "general-usage/resource",
    "dlt.secrets.get": "general-usage/credentials/advanced",
    "dlt.secrets.value": "general-usage/credentials/advanced",
    "dlt.source": "general-usage/source",
    "dlt.common.configuration.specs.BaseConfiguration": "general-usage/credentials/advanced",
    "dlt.common.destination.capabilities.DestinationCapabilitiesContext": "dlt-ecosystem/destinations/sqlalchemy",
    "dlt.common.destination.typing.PreparedTableSchema": "dlt-ecosystem/destinations/sqlalchemy",
    "dlt.common.json": "reference/performance",
    "dlt.common.pipeline.get_dlt_pipelines_dir": "general-usage/pipeline",
    "dlt.common.schema.TColumnSchema": "dlt-ecosystem/destinations/dremio",
    "dlt.common.schema.TTableSchema": "dlt-ecosystem/destinations/destination",
    "dlt.destinations.impl.ducklake.configuration.DuckLakeCredentials": "dlt-ecosystem/destinations/ducklake",
    "dlt.pipeline.exceptions.PipelineStepFailed": "walkthroughs/run-a-pipeline",
    "dlt.sources.DltResource": "examples/partial_loading",
    "dlt.sources.rest_api.rest_api_source": "dlt-ecosystem/verified-sources/rest_api/basic",
    "dlt.sources.rest_api.typing.RESTAPIConfig": "dlt-ecosystem/verified-sources/rest_api/basic",
}
"""What may be used anywhere, and the page of https://dlthub.com/docs/ that shows it."""


def files() -> list[Path]:
    """All modules but the rooms."""
    found = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in found if not path.relative_to(ROOT).as_posix().startswith(ROOMS)]


def used(tree: ast.Module) -> Iterator[str]:
    """The names of dlt that a module uses: imports, and `dlt.` with what follows it as far as it is a name of dlt's."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and _is_dlts(node.module):
            yield from (f"{node.module}.{each.name}" for each in node.names)
        elif isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name != "dlt" and _is_dlts(each.name))
        elif isinstance(node, ast.Attribute) and (name := _dotted(node)) is not None and name.startswith("dlt."):
            yield name
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # A module that is imported by its name.
            yield from re.findall(r"^dlt\.(?:common|destinations|extract|load|normalize|pipeline)\.[\w.]*", node.value)


def _is_dlts(module: str) -> bool:
    return module.partition(".")[0] == "dlt"


def _dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := _dotted(node.value)) is not None:
        return f"{before}.{node.attr}"
    return None


def undocumented(text: str) -> set[str]:
    """The names of dlt that a module uses and that its documentation lacks."""
    names = {*used(ast.parse(text))}
    # `dlt.mark` on the way to `dlt.mark.make_hints`, and what follows a documented name (`dlt.common.json.dumps`).
    return {
        name
        for name in names
        if not any(f"{known}.".startswith(f"{name}.") or f"{name}.".startswith(f"{known}.") for known in DOCUMENTED)
    }


def test_only_the_rooms_use_names_that_dlts_documentation_lacks() -> None:
    found = {path.relative_to(ROOT).as_posix(): undocumented(path.read_text(encoding="utf-8")) for path in files()}
    assert not {path: sorted(names) for path, names in found.items() if names}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("from dlt.common.storages import FilesystemConfiguration", "dlt.common.storages.FilesystemConfiguration"),
        ("from dlt import current_thing", "dlt.current_thing"),
        ("import dlt.load.load", "dlt.load.load"),
        ("import dlt\ndlt.dataset(1)", "dlt.dataset"),
        ("import dlt\ndlt.current.resource().apply_hints()", "dlt.current.resource"),
        ("import_module(f'dlt.common.libs.{package}')", "dlt.common.libs."),
        ("import dlt\ndlt.current.source_schema().name", None),
        ("from dlt.common import json", None),
        ("import dlt\ndlt.common.json.dumps({})", None),
    ],
)
def test_such_names_are_found(text: str, name: str | None) -> None:
    assert undocumented(text) == ({name} if name else set())


def test_all_that_is_documented_is_used() -> None:
    names = {name for path in files() for name in used(ast.parse(path.read_text(encoding="utf-8")))}
    assert not {known for known in DOCUMENTED if not any(f"{name}.".startswith(f"{known}.") for name in names)}


# -- what dlt keeps to itself


def modules() -> Iterator[ModuleType]:
    for package in (destinations, pipelines, sources):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not found.name.endswith("__main__") and "dlt_internals" not in found.name:
                yield importlib.import_module(found.name)


@cache
def private_names(kind: type) -> frozenset[str]:
    """What a class of dlt's has, or gives its objects, that begins with one underscore."""
    text = inspect.getsource(kind)
    return frozenset(
        {*re.findall(r"\bself\.(_[a-z]\w*)", text), *(name for name in vars(kind) if re.match(r"_[a-z]", name))}
    )


def touched(kind: type) -> set[str]:
    """The names with one underscore that a class of ours defines, reads or sets."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except OSError:  # dlt made it, out of the parameters of a source
        return set()
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    names |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    return {name for name in names if re.match(r"_[a-z]", name)}


def test_only_the_rooms_touch_what_dlts_classes_keep_to_themselves() -> None:
    found: dict[str, set[str]] = {}
    seen = 0
    for module in modules():
        for name, kind in vars(module).items():
            if not isinstance(kind, type) or kind.__module__ != module.__name__:
                continue
            theirs = [base for base in kind.__mro__ if _is_dlts(base.__module__)]
            seen += bool(theirs)
            if names := touched(kind) & {name for base in theirs for name in private_names(base)}:
                found[f"{module.__name__}.{name}"] = names
    assert seen > 10
    assert not found


def test_nothing_reaches_into_dlts_objects() -> None:
    private = {name for kind in _classes_of_the_rooms() for name in private_names(kind)} - {*dir(_Tuple)}
    assert {"_hints_variants", "_job_client", "_raw_capabilities"} <= private
    found = {}
    for path in files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in private:
                owner = ast.unparse(node.value)
                if owner not in {"self", "cls"}:
                    found[f"{path.relative_to(ROOT)}:{node.lineno}"] = f"{owner}.{node.attr}"
    assert not found


class _Tuple(NamedTuple):
    """Whose methods begin with an underscore so that no field is called like them."""

    field: int


def _classes_of_the_rooms() -> set[type]:
    """The classes of dlt's that the rooms take, and those that they are made of."""
    rooms = [importlib.import_module("posthog_warehouse.sources.posthog.dlt_internals")]
    found = pkgutil.iter_modules(importlib.import_module("posthog_warehouse.destinations.dlt_internals").__path__)
    rooms += [importlib.import_module(f"posthog_warehouse.destinations.dlt_internals.{each.name}") for each in found]
    kinds = [kind for room in rooms for kind in vars(room).values() if isinstance(kind, type)]
    return {base for kind in kinds for base in kind.__mro__ if _is_dlts(base.__module__)}
