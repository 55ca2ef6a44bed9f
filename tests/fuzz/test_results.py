"""The longer run in portions, which goes on where it stopped, and the page that is made of its results."""

import sys
from pathlib import Path

import pytest

from tests.fuzz import job, results


def _run(monkeypatch: pytest.MonkeyPatch, path: Path, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["python -m tests.fuzz", "--results", str(path), *arguments])
    return job.main()


def test_a_run_in_portions_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path, page = tmp_path / "results.jsonl", tmp_path / "page.md"
    options = ("--count", "74", "--only", "latest|gzip", "--processes", "1")
    assert _run(monkeypatch, path, *options, "--seeds", "3") == 0
    (first,) = results.read(path)
    assert _run(monkeypatch, path, *options, "--seeds", "2-4") == 0
    lines = results.read(path)
    assert [line["seed"] for line in lines] == [3, 2, 4]
    assert lines[0] == first
    assert all(line["files"] == sum(_numbers(line)) > 0 and not line["bad"] for line in lines)
    page.write_text(f"before\n{results.BEGIN}\nold\n{results.END}\nbehind\n")
    monkeypatch.setattr(results, "PAGE", page)
    assert _run(monkeypatch, path, "--table") == 0
    text = page.read_text()
    assert "in 3 portions, seeds 2-4; " in text
    assert f"| all | {sum(line['files'] for line in lines):,} |" in text
    assert text.startswith(f"before\n{results.BEGIN}\n")
    assert text.endswith(f"{results.END}\nbehind\n")
    assert "\nold\n" not in text


def _numbers(line: dict[str, dict[str, dict[str, dict[str, int]]]]) -> list[int]:
    return [number for families in line["ends"].values() for each in families.values() for number in each.values()]


def test_the_page_is_what_the_results_give() -> None:
    text = results.PAGE.read_text(encoding="utf-8")
    assert results.page(text, results.RESULTS) == text
