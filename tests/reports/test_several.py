"""Several evidence items in one summary and on one page: a line each, what they share once, the rest counted."""

import re
from pathlib import Path

import pytest

from auditor.reports.html import drawing
from tests.helpers.command import run
from tests.helpers.fixtures import SNAPSHOTS
from tests.helpers.terminal import screen

COUNT = len(SNAPSHOTS)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str]]:
    """The page of all snapshots, and the lines of the summary."""
    target = tmp_path_factory.mktemp("several") / "several.html"
    done = run("scan", *SNAPSHOTS, "--html", target, "--names")
    assert done.returncode == 1, done.stderr
    return target.read_text(encoding="utf-8"), done.stdout.splitlines()


def test_the_summary_has_a_line_an_evidence_item(page: tuple[str, list[str]]) -> None:
    _, lines = page
    start = next(number for number, line in enumerate(lines) if line.startswith("evidence "))
    assert [line.split()[0] for line in lines[start + 1 : start + 1 + COUNT]] == sorted(path.name for path in SNAPSHOTS)
    assert len(lines) < 80


def test_what_every_run_notes_is_said_once(page: tuple[str, list[str]]) -> None:
    _, lines = page
    notes = [line for line in lines if line.startswith("Note: ")]
    assert sum("ledger of" in note for note in notes) == 1
    assert not any("published keys" in note or "sweep of" in note for note in notes)
    assert sum("more than one API server writes" in line for line in lines) == 2  # of two providers: not as always
    assert re.fullmatch(r"Note: \d+ more notes of single evidence items, listed by -v and the reports\.", notes[-1])
    unread = [line for line in lines if "claimed encrypted by prefix" in line]
    assert len(unread) == 1


def test_verbose_leaves_no_note_out() -> None:
    lines = run("scan", *SNAPSHOTS[:3], "-v").stdout.splitlines()
    assert sum("ledger of" in line for line in lines) == 3
    assert sum("claimed encrypted by prefix" in line for line in lines) == 2  # the first holds nothing encrypted


def test_an_object_that_counts_in_each_is_said_to(page: tuple[str, list[str]]) -> None:
    text, lines = page
    assert "Secrets, counted in each evidence item, " in lines[0]
    assert any("rotate the credentials that the readable values hold, each once" in line for line in lines)
    assert "objects with a readable value, counted in each evidence item" in text
    assert re.search(r"<td>1-plaintext.db \d+ and in 3 more files</td>", text)


def test_more_keys_than_columns_fit_share_one(page: tuple[str, list[str]]) -> None:
    text, _ = page
    places = text[text.index('<section id="places">') :]
    heads = re.findall(r"<th[^>]*>([a-z]+)</th>", places[: places.index("</thead>")])
    assert heads == ["place", "values", "readable", "decrypted", "under"]
    assert re.search(r"<td>\d+ aescbc/cbc16, \d+ aescbc/key1, ", places)


def test_a_narrow_terminal_has_them_too(tmp_path: Path) -> None:
    for path in SNAPSHOTS[:2]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    lines = screen(("scan", *(path.name for path in SNAPSHOTS[:2])), 60, tmp_path).splitlines()
    for path in SNAPSHOTS[:2]:
        assert sum(line.startswith(path.name) for line in lines) == 1


def test_keys_of_one_provider_have_colours_of_their_own() -> None:
    series = [{"provider": "aescbc", "name": f"aescbc/key{number}", "counts": [1]} for number in range(6)]
    chart = drawing.bars("shares", "shares", {"rows": ["latest"], "series": series})
    assert chart is not None
    assert len({colour for colour, _ in chart.legend}) == 6
