"""Reports on a fleet: what a verdict covers, which times count, and that nothing open passes for a conclusion."""

import os
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from auditor.errors import UsageError
from auditor.fleet import clusters as clusters_file
from auditor.fleet.clusters import Clusters
from auditor.fleet.report.migration import Target
from auditor.fleet.report.model import Answer
from auditor.fleet.selection import FirstLook
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
    return fleet.migrated(tmp_path_factory.mktemp("migrated"), ROTATED)


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
    before: dict[str, Any] = {"findings": [], "clusters": {}}
    report = ask(tmp_path / "set", before, as_of=NIGHT)
    assert report.new == len({(row["key"], row["place"], row["mod_revision"]) for row in rows})


CASES = Path(__file__).parents[2] / "fixtures" / "cases"
SPAN = 86400


def test_backups_of_no_known_cluster_answer_for_themselves_alone(tmp_path: Path) -> None:
    """Two stores without the namespace that names a cluster: the newer one says nothing of the older."""
    (tmp_path / "backups").mkdir()
    shutil.copy(CASES / "csv-semicolon-formula" / "semi.db", tmp_path / "backups" / fleet.name(6))
    opted_out = CASES / "documented-opt-out-of-events"
    shutil.copy(opted_out / "snapshot.db", tmp_path / "backups" / fleet.name(7))
    options = Options(encryption_configs=(str(opted_out / "config.json"),))
    fleet.run(fleet.request(tmp_path / "backups", tmp_path / "set", fleet.key(tmp_path), options=options))
    older = next(row for row in fleet.table(tmp_path / "set", "backups") if fleet.name(6) in row["url"])
    assert {row["cluster"] for row in fleet.table(tmp_path / "set", "backups")} == {"unknown"}
    assert older["readable_latest"]
    report = ask(tmp_path / "set", as_of=NIGHT)
    assert [(row["newest backup"], row["readable current values"]) for row in grid(report, "leaking")] == [
        (older["url"], older["readable_latest"])
    ]
    assert section(report, "leak").sentences[0].startswith("0 clusters, and 1 backup of no known one")
    assert section(report, "rotate").answer is Answer.FINDINGS
    (row,) = grid(report, "restrict")
    assert row["credentials current today"]
    assert row["only readable restore point within 7 days"] == "unknown"
    (open_,) = [each for each in report.open_questions if "--max-age" in each]
    assert open_.startswith("1 backup of no known cluster, older than --max-age")
    # and the newer one's findings are no longer the older one's
    other = ask(tmp_path / "set", None, Target.of("aescbc", "2026-11-01"), as_of=NIGHT)
    assert grid(other, "migration")[0]["verdict"] != "COMPLETE"


def test_nothing_examined_is_no_pass(tmp_path: Path) -> None:
    fleet.migration(tmp_path / "backups")
    fleet.run(fleet.request(tmp_path / "backups", tmp_path / "set", fleet.key(tmp_path)))
    listing = tmp_path / "set" / "listing.parquet"
    pq.write_table(pq.read_table(listing).slice(0, 0), listing)  # as of empty sources
    report = ask(tmp_path / "set")
    assert report.open_questions == ("no backup was examined",)
    assert report.exit_code == 3
    assert section(report, "conclusion").sentences[0].startswith("INCONCLUSIVE")


def test_a_backup_of_the_future_is_open_and_hides_nothing(tmp_path: Path) -> None:
    fleet.migration(tmp_path / "backups")
    shutil.copy(fleet.STAGES[6], tmp_path / "backups" / "snapshot_2036-11-01_000000.db")
    text = f'[cluster.prod]\npaths = ["backups/"]\nencryption-config = ["{ROTATED}"]\nevery = "1d"\n'
    clusters = known(tmp_path, text)
    fleet.run(fleet.request(tmp_path / "backups", tmp_path / "set", fleet.key(tmp_path), clusters=clusters))
    report = ask(tmp_path / "set", None, Target.of("aescbc:key2", "2026-11-07"), as_of="2026-11-10T00:00:00Z")
    assert "1 backup dated later than this report: when taken is not known" in report.open_questions
    assert "the newest examined backup of prod is of 2026-11-07: older than --max-age" in report.open_questions
    (row,) = grid(report, "clusters")
    assert (row["missing"], row["newest examined"], row["age in hours"]) == (2, "2026-11-07T00:00:00Z", "72.0")
    assert grid(report, "migration")[0]["verdict"] == "NOT PROVEN"
    # a clock that is some minutes ahead is none of the future
    ahead = ask(tmp_path / "set", as_of="2026-11-06T23:55:00Z")
    assert "1 backup dated later than this report: when taken is not known" in ahead.open_questions


@pytest.mark.parametrize("second", [-86400, 0])
def test_a_backup_without_a_time_is_open_and_inside_every_retention(tmp_path: Path, second: int) -> None:
    (tmp_path / "backups").mkdir()
    copy = shutil.copy(fleet.STAGES[0], tmp_path / "backups" / "old.db")
    os.utime(copy, (second, second))
    fleet.run(fleet.request(tmp_path / "backups", tmp_path / "set", fleet.key(tmp_path)))
    report = ask(tmp_path / "set", retention=SPAN)
    assert "1 backup without a time: when taken is not known" in report.open_questions
    assert report.severe == 1
    (row,) = grid(report, "restrict")
    assert (row["taken"], row["leaves the store"]) == ("", "unknown")


@pytest.mark.parametrize(("sample", "words"), [(100, "; it is never a pass"), (1, " left 6 backups out")])
def test_a_first_look_says_what_was_asked_for(tmp_path: Path, sample: int, words: str) -> None:
    fleet.migration(tmp_path / "backups")
    look = FirstLook(sample=sample)
    fleet.run(fleet.request(tmp_path / "backups", tmp_path / "set", fleet.key(tmp_path), look=look))
    assert f"a first look: --sample {sample}{words}" in ask(tmp_path / "set", as_of=NIGHT).open_questions


def test_retention_is_one_rule(tmp_path: Path) -> None:
    """--retention, else the cluster's, in every section."""
    fleet.migration(tmp_path / "backups")
    text = f'[cluster.prod]\npaths = ["backups/"]\nencryption-config = ["{ROTATED}"]\nretention = "2d"\n'
    clusters = known(tmp_path, text)
    fleet.run(fleet.request(tmp_path / "backups", tmp_path / "set", fleet.key(tmp_path), clusters=clusters))
    target = Target.of("aescbc:key2", "2026-11-07")
    for retention, first in ((0, 6), (5 * SPAN, 3), (400 * SPAN, 1)):
        report = ask(tmp_path / "set", None, target, as_of=NIGHT, retention=retention)
        inside = {fleet.name(day) for day in range(first, 8)}
        rows = fleet.table(tmp_path / "set", "findings")
        names = {row["backup"]: row["url"].rpartition("/")[2] for row in fleet.table(tmp_path / "set", "backups")}
        grave = [row for row in rows if row["severity"] != "low" and names[row["backup"]] in inside]
        assert report.severe == len({row["backup"] for row in grave})
        columns = ("finding", "severity", "resource", "namespace", "name")
        expected = {("prod", *(row[column] for column in columns)) for row in grave}
        assert {tuple(each) for each in report.state["findings"]} == expected
        old = [row for row in fleet.table(tmp_path / "set", "inventory") if names[row["backup"]] in inside]
        leftovers = [row for row in old if row["judged"] != "out of scope" and not _is_key2(row)]
        assert grid(report, "migration")[0]["leftovers inside the retention"] == len(leftovers)
        span = timedelta(seconds=retention or 2 * SPAN)
        for row in grid(report, "restrict"):
            leaves = datetime.fromisoformat(row["taken"]) + span
            assert row["leaves the store"] == f"{leaves:%Y-%m-%dT%H:%M:%SZ}"
        newest = {row["key"]: row for row in grid(report, "keys")}["aescbc/key2"]
        day = datetime.fromisoformat(f"{newest['the newest of']}T00:00:00Z") + span
        assert newest["no examined backup inside the retention needs it after"] == f"{day:%Y-%m-%d}"


def _is_key2(row: dict[str, Any]) -> bool:
    return (row["provider"], row["key_name"]) == ("aescbc", "key2")


def test_a_migration_counts_missing_backups_from_its_day(tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    for at in ("2026-10-01", "2026-11-26", "2026-11-27"):
        shutil.copy(fleet.STAGES[6], tmp_path / "backups" / f"etcd-{at}T060000Z.db")
    text = f'[cluster.prod]\npaths = ["backups/"]\nencryption-config = ["{ROTATED}"]\nevery = "1d"\n'
    clusters = known(tmp_path, text)
    fleet.run(fleet.request(tmp_path / "backups", tmp_path / "set", fleet.key(tmp_path), clusters=clusters))
    verdicts = {}
    for at in ("2026-11-25", "2026-11-20"):
        report = ask(tmp_path / "set", None, Target.of("aescbc:key2", at), as_of="2026-11-27T10:00:00Z")
        (row,) = grid(report, "migration")
        verdicts[at] = (row["verdict"], row["backups not read"])
    assert verdicts == {"2026-11-25": ("COMPLETE", 0), "2026-11-20": ("NOT PROVEN", 5)}


def test_a_damaged_backup_is_no_restore_point(tmp_path: Path) -> None:
    (tmp_path / "backups").mkdir()
    shutil.copy(fleet.STAGES[0], tmp_path / "backups" / fleet.name(1))
    raw = bytearray(fleet.STAGES[0].read_bytes())
    raw[-1] ^= 1  # of the trailer: everything else is read
    (tmp_path / "backups" / fleet.name(2)).write_bytes(raw)
    fleet.run(fleet.request(tmp_path / "backups", tmp_path / "set", fleet.key(tmp_path)))
    points = {
        row["backup"].rpartition("/")[2]: row["only readable restore point within 7 days"]
        for row in grid(ask(tmp_path / "set", as_of="2026-11-02T10:00:00Z"), "restrict")
    }
    assert points == {fleet.name(1): "yes", fleet.name(2): "no"}
