"""A fleet in a bucket, with its data set in a bucket: rows equal lone scans, and what cannot be read is a row."""

import json
import re
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import auditor
from auditor.model.vocabulary import Severity
from tests.fleet.test_neighbours import packed
from tests.helpers import azurite, fleet, gcs
from tests.helpers.buckets import KEYS, delete, put, served
from tests.helpers.fixtures import MIGRATION, PLAINTEXT, PROVIDERS
from tests.helpers.objects import StoredObject
from tests.helpers.sweeps import everything

CLUSTERS, DAYS = 2, 9 if everything() else 4
"""Clusters, and days of a backup each: of the 7 stages of a migration the last goes on."""


@pytest.fixture(scope="module")
def s3() -> Iterator[tuple[str, dict[str, str]]]:
    """The address of a real S3 server, and the environment in which its buckets are read."""
    with served("s3_server") as address:
        for bucket in ("backups", "sets"):
            put(f"{address}/{bucket}", b"")
        yield address, {**KEYS, "AWS_ENDPOINT_URL": address}


@pytest.fixture(scope="module")
def objects(s3: tuple[str, dict[str, str]]) -> dict[str, bytes]:
    """The objects of a bucket: clusters over some days, with what real buckets have too."""
    address, _ = s3
    contents: dict[str, bytes] = {}
    for cluster in range(CLUSTERS):
        for day in range(1, DAYS + 1):
            stage = fleet.STAGES[min(max(day - cluster, 0), len(fleet.STAGES) - 1)]
            contents[f"etcd/c{cluster}/{fleet.name(day)}"] = stage.read_bytes()
    contents[f"etcd/c0/{fleet.name(20)}"] = b""
    contents[f"etcd/c1/{fleet.name(20)}"] = PLAINTEXT.read_bytes()[:30_000]
    contents[f"etcd/c2/{fleet.name(20)}"] = b"\x1f\x8b" + bytes(4000)
    contents[f"etcd/c3/{fleet.name(20)}"] = (PROVIDERS / "1-every-provider.db").read_bytes()
    contents[f"etcd/c4/{fleet.name(20)}"] = b"nothing of etcd's, in words"
    for name, raw in {**contents, "etcd/c4/notes.txt": b"what a folder passes over, a bucket does too"}.items():
        put(f"{address}/backups/{name}", raw)
    archived = f"etcd/c5/{fleet.name(20)}"
    put(f"{address}/backups/{archived}", PLAINTEXT.read_bytes(), **{"x-amz-storage-class": "GLACIER"})
    contents[archived] = b""
    return contents


def test_a_fleet_in_a_bucket(
    s3: tuple[str, dict[str, str]], objects: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, environment = s3
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    arguments = ["fleet", "scan", "s3://backups/etcd/", "--dataset", "s3://sets/fleet", "--no-compare", "--jobs", "2"]
    result = fleet.command(*arguments, "--json", tmp_path / "lines")
    assert result.returncode == 1, result.stderr
    events = fleet.lines((tmp_path / "lines").read_text())
    rows = {event["url"].removeprefix("s3://backups/"): event for event in events if event["event"] == "backup"}
    assert set(rows) == set(objects)
    states = {name: row["state"] for name, row in rows.items() if row["state"] != "examined"}
    assert states.pop(f"etcd/c5/{fleet.name(20)}") == "archived"
    assert set(states.values()) <= {"unreadable", "refused"}
    assert all(rows[name]["reason"] for name in states)
    # each distinct content once: the same bytes under another name have the same rows
    lone: dict[bytes, dict[str, object]] = {}
    for name, raw in objects.items():
        if rows[name]["state"] != "examined":
            continue
        if raw not in lone:
            (tmp_path / "one.db").write_bytes(raw)
            audit = auditor.scan(tmp_path / "one.db")
            lone[raw] = {
                "sha256": audit.evidence.sha256,
                "readable": audit.tally.readable,
                "verdict": audit.verdict().value,
                "gaps": len(audit.gaps),
                "complete": audit.complete,
                "cluster": audit.evidence.cluster.identity or "unknown",
            }
        assert {key: rows[name][key] for key in lone[raw]} == lone[raw], name
    again = fleet.command(*arguments, "--json", "-")
    begin, *attempted, end = fleet.lines(again.stdout)
    assert {event["state"] for event in attempted} == {"archived"}
    assert (begin["found"], end["states"]["examined"]) == (len(objects), len(objects) - len(states) - 1)
    report = fleet.command("fleet", "report", "s3://sets/fleet", "--json", tmp_path / "report.json")
    assert report.returncode == 1, report.stderr
    document = json.loads((tmp_path / "report.json").read_text())
    grids = {grid["name"]: grid for section in document["sections"] for grid in section["tables"]}
    columns = grids["clusters"]["columns"]
    total = sum(row[columns.index("met")] for row in grids["clusters"]["rows"])
    examined = sum(row[columns.index("examined")] for row in grids["clusters"]["rows"])
    assert (total, examined) == (len(objects), end["states"]["examined"])
    for refused in ("s3://backups/etcd/set", "s3://backups"):
        assert (
            fleet.command("fleet", "scan", "s3://backups/etcd/", "--dataset", refused, "--no-compare").returncode == 2
        )
    (texts,) = re.findall(r"([0-9]+) other object is a text", " ".join(document["sections"][1]["sentences"]))
    assert texts == "1"
    missing = fleet.command("fleet", "scan", "s3://backups/none/", "--dataset", "s3://sets/x", "--no-compare")
    assert (missing.returncode, "no object" in missing.stderr or "no such" in missing.stderr) == (2, True)


CLEAN = MIGRATION / "7-rotated.db"
ROTATED = MIGRATION / "7-rotated.encryption.json"
SECRETS = json.dumps(
    {"apiVersion": "v1", "kind": "SecretList", "items": [StoredObject(data={b"password": b"CANARY-9988"}).tree()]}
).encode()
PAIRED = "static_kuberesources_2026-11-23_040000.tar.gz"


@pytest.mark.parametrize(
    ("name", "raw", "backup"),
    [
        ("enc.yaml", ROTATED.read_bytes(), False),
        (PAIRED, packed(b'{"kind":"Pod","apiVersion":"v1"}', "pod.json"), False),
        (PAIRED, packed(ROTATED.read_bytes(), "encryption-config"), False),
        ("enc.yaml", PLAINTEXT.read_bytes(), True),
        ("secrets_encryption.yaml", SECRETS, True),
        (PAIRED, packed(PLAINTEXT.read_bytes(), "etcd/snapshot.db"), True),
        (PAIRED, packed(SECRETS, "secrets.json"), True),
        (PAIRED, b"<html>503</html>", True),
        ("cluster.rkestate", SECRETS + b" " * (4 << 20), True),
        ("k0s.yaml", b"", True),
    ],
)
def test_no_object_is_passed_over_by_its_name(
    s3: tuple[str, dict[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    raw: bytes,
    backup: bool,
) -> None:
    """What is named like a file of keys is a backup like any other, unless it is a text, or an archive of texts."""
    address, environment = s3
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    bucket = f"named{zlib.crc32(name.encode() + raw)}"
    put(f"{address}/{bucket}", b"")
    put(f"{address}/{bucket}/snapshot_2026-11-23_040000.db", CLEAN.read_bytes())
    put(f"{address}/{bucket}/{name}", raw)
    summary, rows = fleet.run(fleet.request(f"s3://{bucket}/", tmp_path / "set"))
    assert [row["url"] for row in rows if row["url"].endswith(name)] == [f"s3://{bucket}/{name}"] * backup
    assert summary.found == 1 + backup
    if backup:
        assert summary.exit_code(Severity.CRITICAL) == (1 if len(raw) > 99 else 3)


def test_versions_and_locks(s3: tuple[str, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each version is a backup, delete markers are counted, and the store is asked what it holds fast."""
    address, environment = s3
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    put(f"{address}/kept", b"", **{"x-amz-bucket-object-lock-enabled": "true"})  # which turns versions on
    for stage in fleet.STAGES[:3]:
        put(f"{address}/kept/etcd/newest.db", stage.read_bytes())
    put(f"{address}/kept/etcd/removed.db", PLAINTEXT.read_bytes())
    put(f"{address}/kept/etcd/removed.db?legal-hold", LEGAL_HOLD)
    delete(f"{address}/kept/etcd/removed.db")
    arguments: list[str | Path] = [
        "fleet",
        "scan",
        "s3://kept/etcd/",
        "--dataset",
        tmp_path / "set",
        "--no-compare",
        "--jobs",
        "1",
    ]
    result = fleet.command(*arguments, "--json", "-")
    assert result.returncode == 1, result.stderr
    rows = [event for event in fleet.lines(result.stdout) if event["event"] == "backup"]
    assert len(rows) == 4
    assert len({row["url"] for row in rows}) == 4
    assert {row["state"] for row in rows} == {"examined"}
    assert sorted(row["version"] for row in rows) == [False, True, True, True]
    digests = {row["sha256"] for row in rows}
    assert digests == {auditor.scan(path).evidence.sha256 for path in (*fleet.STAGES[:3], PLAINTEXT)}
    held = {row["url"].partition("?")[0].rpartition("/")[2]: row["hold"] for row in rows if row["readable"]}
    assert held == {"newest.db": "", "removed.db": "legal hold"}
    # what is not the newest any more keeps its id: it is not read again
    put(f"{address}/kept/etcd/newest.db", fleet.STAGES[3].read_bytes())
    again = [event for event in fleet.lines(fleet.command(*arguments, "--json", "-").stdout) if "url" in event]
    assert len(again) == 1
    fleet.command("fleet", "report", tmp_path / "set", "--json", tmp_path / "report.json")
    document = json.loads((tmp_path / "report.json").read_text())
    population = " ".join(document["sections"][1]["sentences"])
    assert "Earlier versions of objects: 4 among these, and 1 delete marker." in population


LEGAL_HOLD = b"<LegalHold><Status>ON</Status></LegalHold>"


def test_versions_in_a_bucket_of_google_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each generation is a backup, of removed objects too, and one that is replaced is not read again."""
    newest, removed, apart = f"etcd/{fleet.name(3)}", f"etcd/{fleet.name(4)}", f"etcd-of-others/{fleet.name(5)}"
    with gcs.server({removed: PLAINTEXT.read_bytes(), apart: b""}, versions=True) as address:
        for name, value in gcs.connection(address).items():
            monkeypatch.setenv(name, value)
        for stage in fleet.STAGES[:3]:
            gcs.put(address, newest, stage.read_bytes())
        gcs.delete(address, removed)
        result, rows = _scanned("gs://backups/etcd", tmp_path / "set")
        assert result.returncode == 1, result.stderr
        assert "not looked at" not in result.stderr
        assert {row["state"] for row in rows} == {"examined"}
        assert len({row["url"] for row in rows}) == 4
        assert {row["url"].partition("#")[0] for row in rows} == {f"gs://backups/{newest}", f"gs://backups/{removed}"}
        # the name of a version tells when it was taken, as its object's does
        assert {row["taken"][:10] for row in rows} == {"2026-11-03", "2026-11-04"}
        by_content = {row["sha256"]: row["version"] for row in rows}
        earlier, last = (*fleet.STAGES[:2], PLAINTEXT), fleet.STAGES[2]
        assert by_content == {
            **{auditor.scan(path).evidence.sha256: True for path in earlier},
            auditor.scan(last).evidence.sha256: False,
        }
        gcs.put(address, newest, fleet.STAGES[3].read_bytes())
        _, again = _scanned("gs://backups/etcd", tmp_path / "set")
        assert [row["sha256"] for row in again] == [auditor.scan(fleet.STAGES[3]).evidence.sha256]
        population = _population(tmp_path)
    assert "Earlier versions of objects: 4 among these" in population
    assert "not looked at" not in population
    with gcs.server({newest: PLAINTEXT.read_bytes()}) as address:  # of a bucket that keeps none there are none
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", address)
        gcs.put(address, newest, fleet.STAGES[3].read_bytes())
        _, rows = _scanned("gs://backups/etcd/*.db", tmp_path / "other")
    assert [row["version"] for row in rows] == [False]


@pytest.mark.night
def test_versions_in_azure_are_said_not_to_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No server at hand keeps them: scan, its lines and the report say so, and none is claimed to be there."""
    with azurite.server({f"etcd/{fleet.name(3)}": PLAINTEXT.read_bytes()}) as address:
        for name, value in azurite.connection(address).items():
            monkeypatch.setenv(name, value)
        result, rows = _scanned("az://backups/etcd/", tmp_path / "set")
    assert [row["state"] for row in rows] == ["examined"], result.stderr
    assert "Earlier versions of objects were not looked at in az://backups/etcd/\n" in result.stderr
    assert fleet.lines(result.stdout)[-1]["unversioned"] == ["az://backups/etcd/"]
    assert "Earlier versions of objects were not looked at in az://backups/etcd/: " in _population(tmp_path)


def _scanned(source: str, dataset: Path) -> tuple[subprocess.CompletedProcess[str], list[dict[str, Any]]]:
    """The run of a scan, and the rows of what it examined."""
    result = fleet.command(
        *("fleet", "scan", source, "--dataset", dataset, "--no-compare", "--jobs", "1", "--json", "-")
    )
    return result, [event for event in fleet.lines(result.stdout) if event["event"] == "backup"]


def _population(folder: Path) -> str:
    """What the report on the data set `set` says of what was examined."""
    done = fleet.command("fleet", "report", folder / "set", "--json", folder / "report.json", "--force")
    assert done.returncode in {1, 3}, done.stderr
    return " ".join(json.loads((folder / "report.json").read_text())["sections"][1]["sentences"])
