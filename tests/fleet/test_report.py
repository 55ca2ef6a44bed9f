"""Reports on a fleet: every figure is that of a slow count over lone scans."""

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import auditor
from auditor.errors import UsageError
from auditor.fleet import clusters as clusters_file
from auditor.fleet.folder import DataSetFolder
from auditor.fleet.report import build, since, statement, write
from auditor.fleet.report.context import Context, Questions
from auditor.fleet.report.migration import Target
from auditor.fleet.report.model import Answer, FleetReport, Grid, Section
from auditor.fleet.report.rotate import steps
from auditor.options import Options
from tests.helpers import command, fleet
from tests.helpers.fixtures import MIGRATION, PROVIDERS

AS_OF = "2026-11-08T00:00:00Z"
ROTATING = MIGRATION / "6-rotating.encryption.json"
"""The configuration with both keys of the migration."""


def section(report: FleetReport, name: str) -> Section:
    return next(each for each in report.sections if each.name == name)


def grid(report: FleetReport, name: str) -> list[dict[str, Any]]:
    grids: Iterator[Grid] = (grid for section in report.sections for grid in section.grids)
    table = next(each for each in grids if each.name == name)
    return [dict(zip(table.header, row, strict=True)) for row in table.rows]


def ask(
    dataset: Path, earlier: dict[str, Any] | None = None, target: Target | None = None, **questions: Any
) -> FleetReport:
    context = Context(DataSetFolder(str(dataset)), Questions(**{"as_of": AS_OF, **questions}))
    return build.build(context, earlier, target)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clusters: one migrates over seven days, with a night missing and a damaged backup; one has two backups."""
    top = tmp_path_factory.mktemp("fleet")
    fleet.migration(top / "prod")
    (top / "prod" / fleet.name(2)).unlink()
    (top / "prod" / fleet.name(5)).write_bytes((top / "prod" / fleet.name(5)).read_bytes()[:9000])
    (top / "other").mkdir()
    for day, number in ((6, "1-every-provider"), (7, "2-kek-rotated")):
        shutil.copy(PROVIDERS / f"{number}.db", top / "other" / fleet.name(day))
    (top / "clusters.toml").write_text(
        f"""
        [cluster.production]
        paths = ["prod/"]
        encryption-config = ["{ROTATING}"]
        owner = "team-a"
        every = "1d"
        retention = "30d"
        [cluster.vanished]
        paths = ["nowhere/"]
        every = "1d"
        """
    )
    return top


@pytest.fixture(scope="module")
def dataset(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    own = tmp_path_factory.mktemp("set")
    listed = folder / "sources.txt"
    listed.write_text(f"# both\n{folder / 'prod'}\n\n{folder / 'other'}\n")
    known = clusters_file.read(str(folder / "clusters.toml"))
    fleet.run(fleet.request(f"@{listed}", own / "set", fleet.key(own), clusters=known))
    return own / "set"


def lone(path: Path) -> Any:
    return auditor.scan(path, Options(encryption_configs=(str(ROTATING),)))


def test_the_population(dataset: Path) -> None:
    report = ask(dataset)
    rows = {row["cluster"]: row for row in grid(report, "clusters")}
    assert set(rows) >= {"production", "vanished"}
    production = rows["production"]
    assert (production["met"], production["examined"] + production["failed"], production["missing"]) == (6, 6, 1)
    assert production["expected"] == "7"
    assert production["newest examined"] == "2026-11-07T00:00:00Z"
    assert production["age in hours"] == "24.0"
    assert (rows["vanished"]["met"], rows["vanished"]["missing"]) == (0, 1)
    (other,) = (row for name, row in rows.items() if name not in {"production", "vanished"})
    assert (other["met"], other["expected"]) == (2, "no schedule")
    assert section(report, "population").answer is Answer.UNKNOWN
    assert report.exit_code == 1
    assert any("vanished" in question for question in report.open_questions)


def test_backups_of_no_known_cluster_are_no_cluster(tmp_path: Path) -> None:
    fleet.migration(tmp_path / "backups")
    (tmp_path / "backups" / fleet.name(9)).write_bytes(fleet.STAGES[0].read_bytes()[:9000])
    fleet.run(fleet.request(tmp_path / "backups", tmp_path / "set", fleet.key(tmp_path)))
    population = section(ask(tmp_path / "set"), "population")
    assert "8 backups of 1 cluster (1 of no known one)" in population.sentences[0]


def test_what_to_rotate_is_what_a_slow_count_says(folder: Path, dataset: Path) -> None:
    """Every readable Secret's data of every backup, parsed anew, against what the newest one holds by its rows."""
    report = ask(dataset)
    listed = {row["backup"]: row for row in grid(report, "restrict") if row["cluster"] == "production"}
    for path in sorted((folder / "prod").iterdir()):
        if path.name == fleet.name(5):
            continue
        audit = lone(path)
        assert (str(path) in listed) == bool(audit.tally.readable)
        if audit.tally.readable:
            assert listed[str(path)]["readable values"] == audit.tally.readable
    rotated = grid(report, "rotate")
    expected = {str(path) for path in map(Path, listed) if _holds_current(path)}
    assert {path for path, row in listed.items() if row["credentials current today"]} == expected
    assert rotated
    every = [row for row in grid(report, "restrict") if row["credentials current today"]]
    assert rotated[-1]["backups freed"] == rotated[-1]["of"] == len(every) >= len(expected) > 0
    assert {row["owner"] for row in rotated if row["current in"] == "production"} == {"team-a"}


def _holds_current(path: Path) -> bool:
    """Whether a scan with --current says that a readable value of a backup is current in the newest one."""
    options = Options(
        encryption_configs=(str(ROTATING),),
        current=str(path.with_name(fleet.name(7))),
        current_configs=(str(ROTATING),),
    )
    rows = auditor.scan(path, options).findings
    rows = rows[rows["finding"] == "plaintext"]
    return bool(rows["same_as_latest"].isin(["yes", "part", "elsewhere"]).any())


def test_the_keys(folder: Path, dataset: Path) -> None:
    counts: Counter[str] = Counter()
    for path in sorted((folder / "prod").iterdir()):
        if path.name != fleet.name(5):
            providers = {use.key_name for use in lone(path).keys if use.values and use.key_name}
            counts.update(f"aescbc/{name}" for name in providers)
    rows = {row["key"]: row for row in grid(ask(dataset), "keys") if row["cluster"] == "production"}
    assert {
        key: row["needed by backups examined"] - _of_damaged(dataset, key) for key, row in rows.items() if key in counts
    } == counts
    # one backup was damaged and one is missing: nothing is said to be needed no more
    assert {row["by the newest backup's current values"] for row in rows.values()} <= {"yes", "unknown"}
    assert {row["no examined backup inside the retention needs it after"] for row in rows.values()} == {"unknown"}


def _of_damaged(dataset: Path, key: str) -> int:
    damaged = [row["backup"] for row in fleet.table(dataset, "backups") if fleet.name(5) in row["url"]]
    used = [row for row in fleet.table(dataset, "keys") if row["backup"] in damaged and row["values"]]
    return int(any(f"{row['provider']}/{row['key_name']}" == key for row in used))


def test_without_value_ids_it_is_unknown(folder: Path, tmp_path: Path) -> None:
    known = clusters_file.read(str(folder / "clusters.toml"))
    fleet.run(fleet.request(folder / "prod", tmp_path / "set", clusters=known))
    report = ask(tmp_path / "set")
    assert any("without a key of value ids" in question for question in report.open_questions)
    assert "no" not in {row["current today"] for row in grid(report, "leftovers")}
    held = {row["credentials current today"] for row in grid(report, "restrict")}
    assert 0 not in held


def test_since_the_last_report(folder: Path, dataset: Path, tmp_path: Path) -> None:
    first = ask(dataset)
    with (tmp_path / "first.json").open("w") as out:
        write.json(first, out)
    earlier = since.load(str(tmp_path / "first.json"))
    again = ask(dataset, earlier, new_only=True)
    assert again.new == 0
    assert again.exit_code == 3
    assert grid(again, "changes") == []
    cluster, finding, *_, key, _ = next(row for row in earlier["writes"] if row[6] == "latest")
    lost = (cluster, finding, "latest", key)
    earlier["writes"] = [row for row in earlier["writes"] if (row[0], row[1], row[6], row[7]) != lost]
    assert ask(dataset, earlier).new == 1
    assert ask(dataset, earlier, new_only=True).exit_code == 1
    (tmp_path / "no.json").write_text("[1, 2")
    with pytest.raises(UsageError, match="no JSON report"):
        since.load(str(tmp_path / "no.json"))


def test_a_migration(folder: Path, dataset: Path, tmp_path: Path) -> None:
    report = ask(dataset, None, Target.of("aescbc", "2026-11-01"))
    rows = {row["cluster"]: row for row in grid(report, "migration")}
    assert rows["production"]["verdict"] in {"NOT PROVEN", "INCOMPLETE"}
    # of a whole series with its keys, it is complete from the day on which everything was rewritten
    (tmp_path / "prod").mkdir()
    for day, number in ((3, 2), (4, 3), (5, 4)):
        shutil.copy(fleet.STAGES[number], tmp_path / "prod" / fleet.name(day))
    text = f'[cluster.prod]\npaths = ["prod/"]\nencryption-config = ["{MIGRATION / "3-rewritten.encryption.json"}"]\n'
    (tmp_path / "c.toml").write_text(text)
    known = clusters_file.read(str(tmp_path / "c.toml"))
    fleet.run(fleet.request(tmp_path / "prod", tmp_path / "set", fleet.key(tmp_path), clusters=known))
    whole = ask(tmp_path / "set", None, Target.of("aescbc:key1", "2026-11-03"), as_of="2026-11-05T12:00:00Z")
    (row,) = grid(whole, "migration")
    assert row["verdict"] == "COMPLETE"
    assert row["first backup in which all is encrypted with it"] == "2026-11-03T00:00:00Z"
    other = ask(tmp_path / "set", None, Target.of("kms", "2026-11-03"), as_of="2026-11-05T12:00:00Z")
    assert grid(other, "migration")[0]["verdict"] == "INCOMPLETE"
    assert other.exit_code == 1
    for name, since_day in (("rot13", "2026-01-01"), ("kms", "")):
        with pytest.raises(UsageError):
            Target.of(name, since_day)


def test_times_of_files_are_not_believed_against_revisions(tmp_path: Path) -> None:
    """A copy loses them: of the same second revisions tell the order, and against the revisions nothing is proven."""
    config = MIGRATION / "7-rotated.encryption.json"
    text = f'[cluster.prod]\npaths = ["same/", "ordered/", "reversed/"]\nencryption-config = ["{config}"]\n'
    (tmp_path / "c.toml").write_text(text)
    known = clusters_file.read(str(tmp_path / "c.toml"))
    verdicts: dict[str, list[str]] = {}
    times = {"same": [0] * 7, "ordered": [*range(7)], "reversed": [*range(7, 0, -1)]}
    for name, seconds in times.items():
        (tmp_path / name).mkdir()
        for stage, second in zip(fleet.STAGES, seconds, strict=True):
            copy = shutil.copy(stage, tmp_path / name)
            os.utime(copy, (1_795_000_000 + second, 1_795_000_000 + second))
        fleet.run(fleet.request(tmp_path / name, tmp_path / f"{name}-set", fleet.key(tmp_path), clusters=known))
        verdicts[name] = []
        for key in ("key1", "key2"):
            report = ask(tmp_path / f"{name}-set", None, Target.of(f"aescbc:{key}", "2026-11-01"), as_of="2026-11-20")
            verdicts[name].append(grid(report, "migration")[0]["verdict"])
            contrary = [each for each in report.open_questions if "older by revision" in each]
            assert bool(contrary) == (name == "reversed")
    assert verdicts["same"] == verdicts["ordered"] == ["INCOMPLETE", "COMPLETE"]
    assert "COMPLETE" not in verdicts["reversed"]


def test_times_in_names_are(tmp_path: Path) -> None:
    """As after a restore of an older backup: said, and no question."""
    (tmp_path / "backups").mkdir()
    for day, stage in enumerate(reversed(fleet.STAGES), 1):
        shutil.copy(stage, tmp_path / "backups" / fleet.name(day))
    fleet.run(fleet.request(tmp_path / "backups", tmp_path / "set", fleet.key(tmp_path)))
    report = ask(tmp_path / "set")
    assert not [each for each in report.open_questions if "older by revision" in each]
    assert any("as after a restore; the time decides" in each for each in section(report, "population").sentences)


def test_every_file(dataset: Path, tmp_path: Path) -> None:
    context = Context(DataSetFolder(str(dataset)), Questions(as_of=AS_OF))
    report = build.build(context)
    texts = {}
    for name, function in write.FORMATS.items():
        with (tmp_path / name).open("w") as out:
            function(report, out)
        texts[name] = (tmp_path / name).read_text()
    with (tmp_path / "statement").open("w") as out:
        statement.write(report, context, out)
    texts["statement"] = (tmp_path / "statement").read_text()
    document = json.loads(texts["json"])
    assert [each["name"] for each in document["sections"]][:2] == ["conclusion", "population"]
    assert report.sha256 in texts["statement"]
    assert report.sha256 in texts["html"]
    assert "http" not in texts["html"].partition("<body>")[2].replace("http://www.w3.org", "")
    for word in ("destroy", "may be retired", "safe to", "unused"):
        assert not [
            name for name, text in texts.items() if word in text.partition("<body>")[2 if name == "html" else 0]
        ]
    ids = {row["value_id"] for row in fleet.table(dataset, "values")}
    assert ids
    assert not [name for name, text in texts.items() for each in ids if each in text]


def test_a_report_is_verified_by_its_checksums(dataset: Path, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    done = command.run("fleet", "report", dataset, "--json", path)
    sums = Path(f"{path}.SHA256SUMS")
    assert done.returncode == 1, done.stderr
    assert f"Wrote {sums}" in " ".join(done.stdout.split())
    done = command.run("verify", path)
    assert (done.returncode, "report.json" in done.stdout) == (0, True), done.stdout + done.stderr
    path.write_text(path.read_text().replace("production", "prodvction"))
    done = command.run("verify", path)
    assert (done.returncode, "DIFFERS" in done.stdout) == (1, True)
    sums.unlink()
    done = command.run("verify", path)
    assert (done.returncode, "holds no hashes of itself" in " ".join(done.stderr.split())) == (2, True)


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ([], []),
        ([(["a"], 3)], [(["a"], 3)]),
        ([(["a"], 5), (["a", "b"], 1), (["c"], 2)], [(["a"], 5), (["c"], 7), (["b"], 8)]),
        ([(["a", "b"], 9), (["a"], 1)], [(["a", "b"], 10)]),
    ],
)
def test_the_order_of_rotation(sets: list[Any], expected: list[Any]) -> None:
    assert steps(sets) == expected
