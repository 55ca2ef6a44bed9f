"""Reports on a fleet: what a verdict covers, which times count, and that nothing open passes for a conclusion."""

import shutil
from pathlib import Path

import pytest

from auditor.errors import UsageError
from auditor.fleet import clusters as clusters_file
from auditor.fleet.clusters import Clusters
from auditor.fleet.report.migration import Target
from auditor.options import Options
from tests.fleet.test_report import ask, grid, section
from tests.helpers import fleet
from tests.helpers.fixtures import MIGRATION

ROTATED = MIGRATION / "7-rotated.encryption.json"
"""The configuration of the last stage."""
NIGHT = "2026-11-07T10:00:00Z"
"""Ten hours after the newest backup of the migration."""


def known(folder: Path, text: str) -> Clusters:
    (folder / "clusters.toml").write_text(text)
    return clusters_file.read(str(folder / "clusters.toml"))


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set of one migration, a stage a day, under its last configuration."""
    top = tmp_path_factory.mktemp("migrated")
    fleet.migration(top / "backups")
    options = Options(encryption_configs=(str(ROTATED),))
    fleet.run(fleet.request(top / "backups", top / "set", fleet.key(top), options=options))
    return top / "set"


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-07", "2026-11-07T00:00:00Z"),
        ("20261107", "2026-11-07T00:00:00Z"),
        ("2026-11-07T07:00:00+02:00", "2026-11-07T05:00:00Z"),
        ("2026-11-07 07:00", "2026-11-07T07:00:00Z"),
    ],
)
def test_from_is_a_time(migrated: Path, text: str, at: str) -> None:
    report = ask(migrated, None, Target.of("aescbc:key2", text), as_of=NIGHT)
    assert section(report, "migration").sentences[0].endswith(f"by backups since {at}.")
    examined = grid(report, "migration")[0]["backups"]
    assert examined == int(at <= "2026-11-07T00:00:00Z")


@pytest.mark.parametrize("text", ["banana", "1 Nov 2099", "2026-13-01"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--from .*: expected a time in ISO 8601"):
        Target.of("aescbc:key2", text)


def test_a_finding_is_new_whatever_names_its_detail_quotes(tmp_path: Path) -> None:
    """A key's file that is called accepted accepts nothing: nothing in a fleet does."""
    (tmp_path / "backups").mkdir()
    shutil.copy(fleet.STAGES[6], tmp_path / "backups" / fleet.name(7))
    shutil.copy(ROTATED, tmp_path / "backups" / "accepted-enc.yaml")
    fleet.run(fleet.request(tmp_path / "backups", tmp_path / "set", fleet.key(tmp_path)))
    rows = [row for row in fleet.table(tmp_path / "set", "findings") if row["finding"] == "known-key"]
    assert rows
    assert all("accepted-enc.yaml" in row["detail"] for row in rows)
    before = {"findings": [], "clusters": {}}
    report = ask(tmp_path / "set", before, as_of=NIGHT)
    assert report.new == len({(row["resource"], row["namespace"], row["name"]) for row in rows})
