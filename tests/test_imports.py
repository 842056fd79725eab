"""Imports go one way: read from the sources, of every package of the project, lazy ones and those for types included."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("oneshot_runtime", "train", "export", "benchmarks")

FLOORS = (
    ("errors",),
    ("results", "vision"),
    ("model",),
    ("search",),
    ("stores",),
    ("gallery",),
    ("quality", "conformance"),
    ("transfer",),
    ("matcher",),
    ("camera", "cluster"),
    ("server",),  # it reads what a page's camera sees
    ("cli",),
)
"""The rooms of the runtime from the lowest up: a room imports from itself, its neighbours to the left, and what lies below."""

SYNTHETIC_USERS = {"synthetic", "camera", "server", "cli"}
"""Beside training, benchmarks and tests: what draws examples."""

PARTS = {
    "oneshot_runtime": {"oneshot_runtime"},
    "train": {"train", "oneshot_runtime"},
    "export": {"export", "train", "oneshot_runtime"},
    "benchmarks": {"benchmarks", "export", "train", "oneshot_runtime"},
}


def modules(package: str) -> dict[str, Path]:
    files = {}
    for path in (ROOT / package).rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


EVERYTHING = {name: path for package in PACKAGES for name, path in modules(package).items()}


def imports(path: Path) -> Iterator[str]:
    """The project's modules that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                name = whole if whole in EVERYTHING else node.module
                if name in EVERYTHING:
                    yield name
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in EVERYTHING)


GRAPH = {name: set(imports(path)) - {name} for name, path in EVERYTHING.items()}
RUNTIME = {name: used for name, used in GRAPH.items() if name.split(".")[0] == "oneshot_runtime"}


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def circles() -> list[list[str]]:
    """Strongly connected components of more than one module (Tarjan 1972)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for other in GRAPH[name]:
            if other not in order:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], order[other])
        if low[name] == order[name]:
            members = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(members) > 1:
                found.append(sorted(members))

    for name in GRAPH:
        if name not in order:
            visit(name)
    return found


def test_no_import_circles() -> None:
    assert circles() == []


def test_no_room_imports_from_one_above_it() -> None:
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    upward = []
    for module, used in RUNTIME.items():
        if room(module) in ("", "synthetic", "__main__"):
            continue
        for other in used:
            inside = room(other)
            if other == "oneshot_runtime":  # for its version
                continue
            if inside == "synthetic":
                if room(module) not in SYNTHETIC_USERS:
                    upward.append(f"{module} -> {other}")
            elif floor[inside] > floor[room(module)] or (floor[inside] == floor[room(module)] and inside != room(module)):
                upward.append(f"{module} -> {other}")
    assert upward == []


def test_synthetic_uses_vision_only() -> None:
    used = {room(other) for module, others in RUNTIME.items() if room(module) == "synthetic" for other in others}
    assert used <= {"synthetic", "vision", "errors"}


def test_conformance_uses_the_gallery_and_what_lies_below() -> None:
    used = {room(other) for module, others in RUNTIME.items() if room(module) == "conformance" for other in others}
    assert used <= {"conformance", "gallery", "stores", "search", "model", "errors"}


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_one_way(package: str) -> None:
    used = {other.split(".")[0] for module, others in GRAPH.items() if module.split(".")[0] == package for other in others}
    assert used <= PARTS[package]


def test_only_what_belongs_there_lies_at_the_top() -> None:
    files = {path.name for path in (ROOT / "oneshot_runtime").glob("*.py")}
    assert files <= {"__init__.py", "__main__.py", "errors.py", "results.py", "gallery.py", "matcher.py"}


def test_file_names_occur_once_in_the_runtime() -> None:
    names = Counter(path.stem for name, path in modules("oneshot_runtime").items())
    del names["__init__"]
    assert [name for name, count in names.items() if count > 1] == []
