"""The table of error rates, made from the results file alone."""

import json
from pathlib import Path
from typing import Any


def read(results: Path) -> list[dict[str, Any]]:
    """The lines of the results file; none where there is no file."""
    if not results.exists():
        return []
    with results.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def make(results: Path) -> str:
    """The page."""
    return str(results)
