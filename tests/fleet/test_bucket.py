"""A fleet in a bucket, with its data set in a bucket: rows equal lone scans, and what cannot be read is a row."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import auditor
from tests.helpers import fleet
from tests.helpers.buckets import KEYS, delete, put, served
from tests.helpers.fixtures import PLAINTEXT, PROVIDERS

CLUSTERS, DAYS = 2, 9
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
    """The objects of a bucket: clusters over nine days, with what real buckets have too."""
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
