"""A company's bucket from end to end: its rows are those of lone scans, its report's figures those of slow counts."""

import json
import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import auditor
from auditor import Options
from auditor.model.audit import Audit
from auditor.model.vocabulary import Place
from tests.helpers import fleet
from tests.helpers.buckets import KEYS, put, served
from tests.helpers.company import Backup, Company, company, uid
from tests.helpers.memory import Peaks, watched
from tests.helpers.sweeps import everything

CLUSTERS, NIGHTS = (12, 25) if everything() else (4, 5)
"""Clusters, and nights of a backup each: 300 backups where all are to run."""
BULK = 420 if everything() else 8
"""Megabytes of values in one of the backups, whose snapshot is a fifth larger."""
OWN = 300 << 20
"""Bytes of its own that no process may have, the libraries' included."""
COMPARED = ["place", "key", "provider", "key_name", "decrypted", "mod_revision", "size", "severity"]
AS_OF = f"2026-11-{NIGHTS:02d}T12:00:00Z"


@dataclass(frozen=True, slots=True)
class Scanned:
    """A company, what fleet scan made of it, and a lone scan of each backup."""

    company: Company
    dataset: Path
    rows: dict[str, dict[str, Any]]
    """Events of the backups, by object."""
    lone: dict[str, Audit]
    """Of each backup that can be read."""
    report: dict[str, Any]
    peaks: Peaks
    """Of the processes of all scans."""

    def grid(self, name: str) -> list[dict[str, Any]]:
        grids = (grid for section in self.report["sections"] for grid in section["tables"])
        table = next(each for each in grids if each["name"] == name)
        return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]

    def of(self, cluster: int) -> list[Backup]:
        """The readable backups that show a cluster, in the order of their nights."""
        return sorted(
            (each for each in self.company.backups if each.holds == cluster and each.name in self.lone),
            key=lambda each: each.night,
        )


@pytest.fixture(scope="module", params=[0, 9] if everything() else [9], ids=lambda faults: f"faults {faults}")
def scanned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    """faults: one request in so many is refused, and another cut."""
    folder = tmp_path_factory.mktemp("company")
    made, peaks = company(folder, CLUSTERS, NIGHTS, BULK), Peaks()
    with pytest.MonkeyPatch.context() as patch, served("s3_server", f"--faults={request.param}") as address:
        for name, value in {**KEYS, "AWS_ENDPOINT_URL": address}.items():
            patch.setenv(name, value)
        put(f"{address}/backups", b"")
        for name, raw in [(each.name, each.raw) for each in made.backups] + [made.keys_object]:
            put(f"{address}/backups/{name}", raw)
        dataset = folder / "set"
        arguments: list[str | Path] = ["fleet", "scan", "s3://backups/etcd/", "--dataset", dataset, "--jobs", "2"]
        arguments += ["--compare-key", fleet.key(folder), "--clusters", made.clusters_file(), "--max-ratio", "100"]
        # who meets a failing store asks again
        states: list[str] = []
        rows: dict[str, dict[str, Any]] = {}
        for _ in range(5):
            with fleet.running([*arguments, "--json", "-"]) as (process, _, _), watched(process.pid, peaks):
                out, errors = process.communicate()
            assert process.returncode in {1, 3}, errors
            for event in fleet.lines(out):
                if event["event"] == "backup":
                    rows[event["url"].removeprefix("s3://backups/")] = event
            states = [row["state"] for row in rows.values()]
            if "unreachable" not in states:
                break
        report = folder / "report.json"
        done = fleet.command("fleet", "report", dataset, "--json", report, "--as-of", AS_OF)
        assert done.returncode in {1, 3}, done.stderr
    lone = {}
    for backup in made.backups:
        if rows[backup.name]["state"] == "examined":
            path = folder / "lone.db"
            path.write_bytes(backup.raw)
            lone[backup.name] = auditor.scan(path, Options(encryption_configs=_configuration(made, backup.holds)))
    return Scanned(made, dataset, rows, lone, json.loads(report.read_text()), peaks)


def _configuration(made: Company, cluster: int) -> tuple[str, ...]:
    """What the scan of the fleet has for a cluster: nothing for the one that no file names."""
    return (str(made.configuration(cluster)),) if 0 <= cluster != made.unnamed else ()


def test_every_backup_is_a_row_of_its_state(scanned: Scanned) -> None:
    assert set(scanned.rows) == {each.name for each in scanned.company.backups}
    for backup in scanned.company.backups:
        row = scanned.rows[backup.name]
        if " or " in backup.state:
            assert row["state"] == "unreadable" or row["gaps"], backup
        else:
            assert row["state"] == backup.state, (backup, row)
        assert row["state"] == "examined" or row["reason"]
    assert len(fleet.table(scanned.dataset, "backups")) == len(scanned.company.backups)
    assert fleet.is_tidy(scanned.dataset)


def test_the_rows_are_those_of_lone_scans(scanned: Scanned) -> None:
    by_id = {row["backup"]: row["url"].removeprefix("s3://backups/") for row in fleet.table(scanned.dataset, "backups")}
    stored = defaultdict(list)
    for row in fleet.table(scanned.dataset, "inventory"):
        stored[by_id[row["backup"]]].append(row)
    for backup in scanned.company.backups:
        if (audit := scanned.lone.get(backup.name)) is None:
            assert backup.name not in stored
            continue
        row = scanned.rows[backup.name]
        assert row["sha256"] == audit.evidence.sha256
        assert row["readable_alone"] == audit.tally.readable
        own = sorted(stored[backup.name], key=lambda each: (int(each["offset"]), each["place"]))
        lone = audit.inventory.sort_values(["offset", "place"]).to_dict("records")
        assert len(own) == len(lone)
        if backup.holds == scanned.company.unnamed:  # keys that lie in the bucket decrypt them
            continue
        assert row["readable"] == audit.tally.readable
        assert row["verdict"] == audit.verdict().value
        assert [[each[name] for name in COMPARED] for each in own] == [
            [each[name] for name in COMPARED] for each in lone
        ]


if everything():  # of a small one the libraries take more than its bytes

    def test_a_large_backup_costs_no_memory(scanned: Scanned) -> None:
        """It is fetched into a file and mapped: nowhere do its bytes stand in a process's own memory."""
        large = max(scanned.company.backups, key=lambda each: len(each.raw))
        size = len(large.raw)
        assert size > BULK << 20
        assert scanned.rows[large.name]["sha256"] == scanned.lone[large.name].evidence.sha256
        reading = scanned.peaks.of("reading")
        assert len(reading) >= len(scanned.lone) // 2  # some are too short-lived to be seen
        assert max(reading) - statistics.median(reading) < size // 2
        assert max((*reading, *scanned.peaks.of("other"))) < OWN


def test_keys_in_the_bucket_count_as_readable(scanned: Scanned) -> None:
    """Of the cluster whose keys lie beside another's backups every value that is encrypted with them."""
    made = scanned.company
    for backup in scanned.of(made.unnamed):
        row = scanned.rows[backup.name]
        sealed = (scanned.lone[backup.name].inventory["provider"] == "aescbc").sum()
        assert row["readable"] == row["readable_alone"] + sealed
    assert [row["object"] for row in scanned.grid("beside")] == [f"s3://backups/{made.keys_object[0]}"]


def test_the_population_is_that_of_a_count(scanned: Scanned) -> None:
    rows = {row["cluster"]: row for row in scanned.grid("clusters")}
    for cluster in range(scanned.company.clusters - 1):
        row = rows[f"c{cluster:02d}"]
        own = [each for each in scanned.company.backups if each.owner == cluster]
        examined = [each for each in own if each.name in scanned.lone]
        assert row["met"] == len(own)
        assert row["examined"] == len(examined)
        assert row["missing"] == NIGHTS - len({each.night for each in own})
        newest = max(each.night for each in examined)
        assert row["newest examined"] == f"2026-11-{newest:02d}T00:00:00Z"


def test_leaking_clusters_are_those_whose_newest_backup_is_readable(scanned: Scanned) -> None:
    expected = {}
    for cluster in range(scanned.company.clusters):
        audit = scanned.lone[scanned.of(cluster)[-1].name]
        table = audit.inventory
        readable = ["identity", "aescbc"] if cluster == scanned.company.unnamed else ["identity"]
        if current := int(((table["place"] == Place.LATEST.label) & table["provider"].isin(readable)).sum()):
            expected[_label(scanned, cluster)] = current
    leaking = {row["cluster"]: row["readable current values"] for row in scanned.grid("leaking")}
    assert leaking == expected


def _label(scanned: Scanned, cluster: int) -> str:
    return uid(cluster) if cluster == scanned.company.unnamed else f"c{cluster:02d}"


def test_backups_to_restrict_are_those_that_hold_readable_values(scanned: Scanned) -> None:
    counted = {
        f"s3://backups/{name}": scanned.rows[name]["readable"]
        for name in scanned.lone
        if scanned.rows[name]["readable"]
    }
    assert {row["backup"]: row["readable values"] for row in scanned.grid("restrict")} == counted


def test_credentials_to_rotate_are_those_of_a_search_for_their_bytes(scanned: Scanned) -> None:
    """A backup holds a current credential where a password of its cluster's newest backup stands readable in it."""
    holding: set[str] = set()
    for cluster in range(scanned.company.clusters - 1):
        own = scanned.of(cluster)
        holding |= {
            f"s3://backups/{backup.name}"
            for backup in own
            if any(password in backup.raw for password in own[-1].passwords)
        }
    names = [_label(scanned, number) for number in range(scanned.company.clusters - 1)]
    rows = [row for row in scanned.grid("restrict") if row["cluster"] in names]
    assert {row["backup"] for row in rows if row["credentials current today"]} == holding
    steps = scanned.grid("rotate")
    assert steps[-1]["backups freed"] == steps[-1]["of"]


def test_the_keys_are_those_of_lone_scans(scanned: Scanned) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    for cluster in range(scanned.company.clusters - 1):
        for backup in scanned.of(cluster):
            used = {use.key_name for use in scanned.lone[backup.name].keys if use.values and use.key_name}
            counts.update((_label(scanned, cluster), f"aescbc/{name}") for name in used)
    rows = {
        (row["cluster"], row["key"]): row["needed by backups examined"]
        for row in scanned.grid("keys")
        if row["cluster"] != uid(scanned.company.unnamed)
    }
    assert {pair: count for pair, count in rows.items() if pair in counts} == counts
