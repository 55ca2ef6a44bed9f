"""kine's databases of a real kube-apiserver: every canary lies in a row of the right place, every value opens."""

import sqlite3
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest

import auditor
from auditor import Audit, Options
from tests.helpers import kine_stages
from tests.helpers.kine_stages import STAGES

SHOWN = {"latest", "history", "deleted", "old-value"}
PLACES = {
    "state.db: kine leaf, row of a leaf": SHOWN | {"previous-root"},
    "state.db: kine overflow": SHOWN | {"previous-root", "freed"},
    "state.db: freelist page": {"freed"},
    "state.db: kine leaf, unallocated bytes of a leaf": {"slack"},
    "wal: current frame, row of a leaf": SHOWN,
    "wal: current frame, unallocated bytes of a leaf": {"slack"},
    "wal: current frame of a freelist page": {"freed"},
    "wal: superseded frame, row of a leaf": {"wal"},
    "wal: stale frame, row of a leaf": {"wal"},
    "wal: stale frame, no table leaf (overflow or free)": {"wal"},
}
"""How the truth names a place, and what a row there may say."""


@pytest.fixture(scope="module", params=STAGES, ids=kine_stages.name_of)
def stage(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.fixture(scope="module")
def raw(stage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kine_stages.unpack(stage, tmp_path_factory.mktemp("kine"))


@pytest.fixture(scope="module")
def audit(stage: Path, raw: Path) -> Audit:
    return auditor.scan(raw, Options(encryption_configs=(kine_stages.configuration(stage),)))


def spans(table: pd.DataFrame, source: str) -> list[tuple[int, int, str, str]]:
    """Offset, end, place and provider of every part of every row that lies in one file."""
    found = []
    for row in table.itertuples():
        parts = [part for part in str(row.extents).split(";") if part] or [f"{row.offset}+{row.size}"]
        for part in parts:
            where, colon, numbers = part.rpartition(":")
            if (where if colon else row.source) == source:
                at, _, length = numbers.partition("+")
                found.append((int(at), int(at) + int(length), str(row.place), str(row.provider)))
    return sorted(found)


def test_there_are_six_stages() -> None:
    assert len(STAGES) == 6


def test_every_canary_lies_in_a_row_with_the_place_that_the_truth_says(stage: Path, raw: Path, audit: Audit) -> None:
    told = kine_stages.truth(stage)
    mine: dict[str, Counter[str]] = {"state.db": Counter(), "wal": Counter()}
    for source, counts in zip(("state.db", "state.db-wal"), mine.values(), strict=True):
        content = (raw / source).read_bytes()
        rows = spans(audit.inventory, source)
        seen = 0
        for canary in kine_stages.canaries(stage):
            at = content.find(canary)
            while at >= 0:
                holders = [row for row in rows if row[0] <= at and at + len(canary) <= row[1]]
                assert len(holders) == 1, (source, at, canary)
                counts[holders[0][2]] += 1
                seen += 1
                at = content.find(canary, at + 1)
        assert seen == told["totals"]["bytes"][f"{stage.name}.raw/{source}"]
    for file, counts in mine.items():
        expected = {name: count for name, count in told["canary_places"].items() if name.startswith(file)}
        possible: Counter[str] = Counter()
        for name, count in expected.items():
            for place in PLACES[name]:
                possible[place] += count
        assert all(count <= possible[place] for place, count in counts.items()), (counts, expected)
        for place in ("freed", "slack", "wal"):
            exact = sum(count for name, count in expected.items() if PLACES[name] == {place})
            assert counts[place] >= exact, (place, counts, expected)


def test_rows_never_overlap_and_stand_where_they_say(raw: Path, audit: Audit) -> None:
    for source in ("state.db", "state.db-wal"):
        content = (raw / source).read_bytes()
        rows = spans(audit.inventory, source)
        assert all(before[1] <= after[0] for before, after in pairwise(rows))
        assert all(0 <= start < end <= len(content) for start, end, _, _ in rows)
    for row in audit.inventory.to_dict("records"):
        head = (raw / row["source"]).read_bytes()[row["offset"] : row["offset"] + 8]
        if row["provider"] not in {"identity", "unknown"}:
            assert head == b"k8s:enc:"
        elif row["encoding"] == "protobuf" and "head-lost" not in row["state"]:
            assert head[:4] == b"k8s\0"


def test_every_encrypted_value_opens_with_the_supplied_keys(stage: Path, audit: Audit) -> None:
    told = kine_stages.truth(stage)
    rows = audit.inventory
    current = rows[rows.place == "latest"]
    assert len(current) == sum(told["totals"]["current_providers"].values())
    encrypted = current[current.provider != "identity"]
    assert set(encrypted.decrypted) <= {"yes"}
    whole = rows[(rows.provider != "identity") & (rows.state == "") & (rows.provider != "unknown")]
    assert set(whole.decrypted) <= {"yes"}


def test_previous_values_are_counted_as_the_truth_counts_them(stage: Path, audit: Audit) -> None:
    told = kine_stages.truth(stage)["totals"]["current_old_value_providers"]
    rows = audit.inventory[audit.inventory.place == "old-value"]
    assert (rows.provider == "identity").sum() == told.get("identity protobuf", 0)
    assert len(rows) == sum(count for name, count in told.items() if name != "absent")


def test_old_values_are_29_findings_after_rewrite_and_compaction(tmp_path: Path) -> None:
    stage = kine_stages.KINE / "kine-bundled" / "4-compacted"
    audit = auditor.scan(
        kine_stages.unpack(stage, tmp_path), Options(encryption_configs=(kine_stages.configuration(stage),))
    )
    found = audit.findings[(audit.findings.place == "old-value") & (audit.findings.finding == "plaintext")]
    assert len(found) == len(set(found.key)) == 29
    assert set(found.same_as_latest) == {"yes"}
    assert set(found.severity) == {"critical"}
    rows = audit.inventory[audit.inventory.place == "latest"]
    latest = dict(zip(rows.key, rows.mod_revision, strict=True))
    assert all(at < latest[key] for key, at in zip(found.key, found.mod_revision, strict=True))


def test_the_live_rows_are_those_that_sqlite_shows(raw: Path, tmp_path: Path) -> None:
    audit = auditor.scan(raw, Options(resources=("*",)))
    for name in ("state.db", "state.db-wal"):
        (tmp_path / name).write_bytes((raw / name).read_bytes())
    with sqlite3.connect(tmp_path / "state.db") as connection:
        rows = connection.execute(
            "SELECT name, id, length(value), length(old_value), prev_revision, created, create_revision FROM kine"
            " WHERE id IN (SELECT MAX(id) FROM kine GROUP BY name) AND deleted = 0 AND name LIKE '/registry/%'"
        ).fetchall()
        history = connection.execute("SELECT COUNT(*) FROM kine WHERE name LIKE '/registry/secrets/%'").fetchone()[0]
    connection.close()
    table = audit.inventory
    shown = table[table.place == "latest"]
    mine = {row.key: (row.mod_revision, row.size, row.create_revision) for row in shown.itertuples()}
    expected = {
        name: (number, size, number if created else born)
        for name, number, size, _, _, created, born in rows
        if not name.startswith(
            ("/registry/health", "/registry/masterleases", "/registry/peerserverleases", "/registry/ranges")
        )
    }
    assert {key: mine[key] for key in expected} == expected
    old = {row.key: (row.mod_revision, row.size) for row in table[table.place == "old-value"].itertuples()}
    for name, _, _, size, previous, _, _ in rows:
        if size and name in expected:
            assert old[name] == (previous, size)
    secrets = table[(table.resource == "secrets") & table.place.isin(["latest", "history", "deleted", "old-value"])]
    assert history <= len(secrets)


def test_an_opened_database_alone_says_that_its_log_is_missing(stage: Path, raw: Path, tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes((raw / "state.db").read_bytes())
    audit = auditor.scan(tmp_path / "state.db")
    assert not audit.complete
    assert any("state.db-wal" in part.reason for part in audit.unexamined)
    assert any("state.db-shm" in note for note in audit.notes)


def test_a_file_and_its_folder_are_the_same_evidence(raw: Path, audit: Audit, stage: Path) -> None:
    again = auditor.scan(raw / "state.db", Options(encryption_configs=(kine_stages.configuration(stage),)))
    pd.testing.assert_frame_equal(audit.findings, again.findings)
