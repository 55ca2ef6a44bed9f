"""The order of imports, and the size of things: what a reader of the listing of auditor/ may rely on.

Imports that are lazy or for the type checker alone count as any other.
"""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# fmt: off
ROOMS = (
    "version", "platform", "sandbox", "text", "errors", "inputs", "options", "protobuf", "arrays", "model", "observer",
    "run_log", "evidence", "kubernetes", "encryption", "judgement", "hunt", "audit", "scanning", "history", "find",
    "watch", "diff", "reports", "verify", "fleet", "self_check", "", "cli", "__main__",
)
# fmt: on
"""Each imports from those before it; the one without a name is auditor/__init__.py."""
EVIDENCE = (
    "containers",
    "bbolt",
    "etcd",
    "gardener",
    "kine",
    "dqlite",
    "sql",
    "objects",
    "images",
    "discovery",
    "live",
)
"""The rooms of evidence/, in the same way."""
ROOT_MODULES, MODULE_LINES, FUNCTION_LINES = 11, 300, 50
WRITTEN_BY_HAND = sorted(path for path in (ROOT / "auditor").rglob("*.py") if path.parent.name != "protobuf")


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {name_of(path): path for path in WRITTEN_BY_HAND}


@cache
def syntax(name: str) -> ast.Module:
    return ast.parse(MODULES[name].read_bytes())


def imports(name: str) -> Iterator[tuple[str, int]]:
    """The modules of auditor/ that one imports, and the lines."""
    for node in ast.walk(syntax(name)):
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}:{node.lineno} imports relatively"
            names = [f"{node.module}.{each.name}" for each in node.names]
        else:
            continue
        for full in names:
            if full.split(".")[0] == "auditor":
                yield (full if full in MODULES or full == "auditor.protobuf" else full.rpartition(".")[0]), node.lineno


def upward(order: tuple[str, ...], depth: int, prefix: str) -> list[str]:
    """The imports among the rooms of a package that do not lead to one before; depth: of their names in a module's."""

    def room(name: str) -> str:
        return [*name.split("."), "", ""][depth]

    def rank(name: str) -> int | None:
        return order.index(room(name)) if f"{name}.".startswith(prefix) and room(name) in order else None

    return [
        f"{name}:{line} imports {other}"
        for name in MODULES
        for other, line in imports(name)
        if (own := rank(name)) is not None and (its := rank(other)) is not None and its > own
    ]


def test_every_room_has_a_place_in_the_order() -> None:
    assert {[*name.split("."), ""][1] for name in MODULES} <= set(ROOMS)
    packages = {path.parent.name for path in (ROOT / "auditor" / "evidence").glob("*/__init__.py")}
    assert packages == set(EVIDENCE)


def test_imports_lead_to_rooms_before() -> None:
    assert upward(ROOMS, 1, "auditor.") == []


def test_imports_among_the_rooms_of_evidence_do_too() -> None:
    assert upward(EVIDENCE, 2, "auditor.evidence.") == []


def test_no_modules_import_each_other() -> None:
    graph = {name: {other for other, _ in imports(name)} - {name} for name in MODULES}
    TopologicalSorter(graph).prepare()  # CycleError names the circle


def test_the_root_is_a_table_of_contents() -> None:
    assert len(list((ROOT / "auditor").glob("*.py"))) <= ROOT_MODULES


@pytest.mark.parametrize("name", MODULES)
def test_modules_and_functions_are_short(name: str) -> None:
    assert len(MODULES[name].read_bytes().splitlines()) < MODULE_LINES
    functions = [node for node in ast.walk(syntax(name)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    # of what the command line calls the parameters are its table of options, with their help
    begins = {each.name: each.body[0].lineno if name.startswith("auditor.cli.") else each.lineno for each in functions}
    lengths = {each.name: (each.end_lineno or 0) - begins[each.name] + 1 for each in functions}
    assert {each: lines for each, lines in lengths.items() if lines > FUNCTION_LINES} == {}


def test_packages_hold_a_docstring_and_no_code() -> None:
    packages = [name for name, path in MODULES.items() if path.name == "__init__.py" and name != "auditor"]
    bodies = {name: syntax(name).body for name in packages}
    assert [name for name, body in bodies.items() if len(body) != (ast.get_docstring(syntax(name)) is not None)] == []
