"""The threat model names tests that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "auditor" / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)))


@pytest.mark.parametrize(("path", "name"), NAMED, ids="::".join)
def test_a_test_that_the_threat_model_names_exists(path: str, name: str) -> None:
    tree = ast.parse((ROOT / path).read_bytes())
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert any(function.startswith("test_") for function in functions) or path.endswith("test_threats.py")
    assert not name or name in functions


def test_every_line_of_the_model_names_one() -> None:
    lines = [line for line in PAGE.splitlines() if line.startswith("| ") and "---" not in line][1:]
    assert len(lines) > 15
    assert [line for line in lines if "`tests/" not in line.split(" | ")[-1]] == []
