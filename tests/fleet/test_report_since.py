"""Reports on a fleet: which findings are new since a baseline."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from auditor.fleet.report import writes
from auditor.fleet.report.model import FleetReport
from auditor.options import Options
from tests.fleet.test_report import ask, grid, section
from tests.helpers import fleet
from tests.helpers.fixtures import MIGRATION

CONFIG = MIGRATION / "5-defragmented.encryption.json"


def report(top: Path, day: int, before: dict[str, Any] | None = None, **questions: Any) -> FleetReport:
    """A scan of the folder, and a report of the morning of a day."""
    options = Options(encryption_configs=(str(CONFIG),))
    fleet.run(fleet.request(top / "backups", top / "set", str(top / "compare.key"), options=options))
    return ask(top / "set", before, as_of=f"2026-11-{day:02d}T06:00:00Z", **questions)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A backup with leftovers in freed pages: nothing that is readable is current."""
    (tmp_path / "backups").mkdir()
    fleet.key(tmp_path)
    shutil.copy(fleet.STAGES[3], tmp_path / "backups" / fleet.name(7))
    return tmp_path


def test_what_was_left_over_and_is_current_again_is_new(folder: Path) -> None:
    before = report(folder, 7).state
    shutil.copy(fleet.STAGES[0], folder / "backups" / fleet.name(8))
    after = report(folder, 8, before, new_only=True)
    assert after.exit_code == 1
    new = grid(after, "new")
    assert len(new) == after.new
    assert {row["place"] for row in new} >= {"latest"}
    leaking = [row for row in fleet.table(folder / "set", "findings") if row["place"] == "latest"]
    assert {row["key"] for row in new if row["place"] == "latest"} == {
        row["key"] for row in leaking if row["finding"] == "plaintext"
    }


def test_what_is_left_over_in_the_next_backup_too_is_not(folder: Path) -> None:
    before = report(folder, 7).state
    shutil.copy(fleet.STAGES[3], folder / "backups" / fleet.name(8))
    after = report(folder, 8, before, new_only=True)
    assert (after.new, after.exit_code) == (0, 0)


def test_a_baseline_of_an_earlier_version_knows_objects_alone(folder: Path) -> None:
    before = {name: value for name, value in report(folder, 7).state.items() if name not in {"writes", "nameless"}}
    again = report(folder, 7, before, new_only=True)
    assert (again.new, again.exit_code) == (0, 3)
    assert any("may be new: the baseline is of an earlier version" in each for each in again.open_questions)
    assert "none known to be new since the baseline" in section(again, "conclusion").sentences[0]
    before["findings"] = before["findings"][1:]
    assert report(folder, 7, before, new_only=True).exit_code == 1


def write(place: str, revision: str, severity: str = "high", key: str = "/registry/secrets/a/b") -> list[str]:
    return ["prod", "plaintext", severity, "secrets", "a", "b", place, key, revision]


def fragment(evidence: str, id_: str, cluster: str = "prod") -> list[str]:
    return [cluster, "plaintext", "high", "secrets", "unknown", "unknown", "freed", evidence, id_]


@pytest.mark.parametrize(
    ("before", "after", "new"),
    [
        (write("freed", "5"), write("freed", "5"), 0),
        (write("freed", "5"), write("freed", "6"), 1),
        (write("freed", "5"), write("history", "5"), 0),
        (write("latest", "5"), write("history", "5"), 0),
        (write("latest", "5"), write("history", "6"), 1),
        (write("freed", "5"), write("latest", "5"), 1),
        (write("freed", "5"), write("unplaced", "5"), 1),
        (write("latest", "5"), write("latest", "6"), 0),
        (write("latest", "5"), write("latest", "5", key="/registry/secrets/a/c"), 1),
        (write("freed", "5", "high"), write("freed", "5", "critical"), 1),
        (write("freed", "5", "critical"), write("freed", "5", "high"), 0),
    ],
)
def test_a_write_is_known_by_its_place_key_and_revision(before: list[str], after: list[str], new: int) -> None:
    changes = writes.compare({"writes": [after], "nameless": []}, {"writes": [before], "nameless": []})
    assert (len(changes.new), changes.unmatched) == (new, 0)


@pytest.mark.parametrize(
    ("before", "after", "new", "unmatched"),
    [
        ([fragment("x", "1")], [fragment("x", "1")], 0, 0),
        ([fragment("x", "1")], [fragment("x", "1"), fragment("y", "1")], 0, 1),
        ([fragment("x", "1")], [fragment("y", "1"), fragment("y", "2"), fragment("y", "3")], 2, 1),
        ([fragment("x", "1")], [fragment("y", "1", "unknown /b.db")], 1, 0),
        ([], [fragment("y", "1")], 1, 0),
    ],
)
def test_a_fragment_without_a_name_is_never_taken_for_another(
    before: list[list[str]], after: list[list[str]], new: int, unmatched: int
) -> None:
    changes = writes.compare({"writes": [], "nameless": after}, {"writes": [], "nameless": before})
    assert (len(changes.new), changes.unmatched) == (new, unmatched)
