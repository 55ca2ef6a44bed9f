"""Comparisons across stores and files: kine with kine, kine with etcd, Gardener's series, data directories."""

import itertools
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from auditor.diff.compare import Comparison, DiffOptions, compare
from auditor.diff.objects import Content, FormChange
from auditor.model.vocabulary import Severity
from auditor.options import Options
from auditor.reports.diff import words
from tests.evidence.gardener.test_backup import full, secret, written
from tests.helpers import kine_stages
from tests.helpers.fixtures import MIGRATION
from tests.helpers.kine_stages import KINE
from tests.helpers.sealing import database

__all__ = ["full"]
K3S = [KINE / "k3s-like" / name for name in ("3-rewritten", "8-rotated")]
BUNDLED = [KINE / "kine-bundled" / name for name in ("2-enabled", "4-compacted", "8-rotated", "9-restarted")]
PAIRS = [tuple(K3S), *itertools.pairwise(BUNDLED)]


def configured(stage: Path) -> Options:
    return Options(encryption_configs=(kine_stages.configuration(stage),))


def current(database: Path) -> dict[bytes, bytes]:
    """The newest value of every key, as SQLite itself reads the database with its WAL."""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute("SELECT name, value, deleted FROM kine ORDER BY id").fetchall()
    values = {name: value for name, value, deleted in rows if not deleted}
    gone = {name for name, deleted in {name: deleted for name, _, deleted in rows}.items() if deleted}
    return {
        name.encode() if isinstance(name, str) else name: value for name, value in values.items() if name not in gone
    }


def secrets(values: dict[bytes, bytes]) -> dict[bytes, bytes]:
    return {key: value for key, value in values.items() if key.startswith(b"/registry/secrets/")}


def forms(comparison: Comparison) -> dict[str, str]:
    cells = comparison.columns
    rows = zip(cells["key"], cells["form"], cells["resource"], strict=True)
    return {str(key): str(form) for key, form, resource in rows if resource == "secrets"}


@pytest.mark.parametrize(("before", "after"), PAIRS, ids=kine_stages.name_of)
def test_kine_with_kine(before: Path, after: Path, tmp_path: Path) -> None:
    """Whatever lies in the WAL or on overflow pages: the current values are those that SQLite gives."""
    folders = [kine_stages.unpack(stage, tmp_path / str(number)) for number, stage in enumerate((before, after))]
    options = DiffOptions(configured(before), configured(after))
    comparison = compare(folders[0], folders[1], options)
    was, now = (secrets(current(folder / "state.db")) for folder in folders)
    assert forms(comparison).keys() == {key.decode() for key in was.keys() | now.keys()}
    assert comparison.of(FormChange.APPEARED) >= len(now.keys() - was.keys())
    for key, form in forms(comparison).items():
        old, new = was.get(key.encode()), now.get(key.encode())
        assert form == expected(old, new)
    assert not comparison.of(FormChange.UNKNOWN)
    assert not comparison.with_content(Content.UNKNOWN)


def expected(old: bytes | None, new: bytes | None) -> str:
    if old is None or new is None:
        return "appeared" if old is None else "vanished"
    sealed, seals = (value.startswith(b"k8s:enc:") for value in (old, new))
    if sealed and seals:
        return "unchanged" if old.split(b":")[:5] == new.split(b":")[:5] else "re-keyed"
    return "became encrypted" if seals else "turned to plaintext" if sealed else "still plaintext"


@pytest.mark.parametrize("turned", [False, True], ids=["kine to etcd", "etcd to kine"])
@pytest.mark.parametrize("stage", [K3S[0], BUNDLED[1]], ids=kine_stages.name_of)
def test_kine_with_etcd(stage: Path, tmp_path: Path, *, turned: bool) -> None:
    """k3s' move from SQLite to etcd: the same values, at other revisions; the older one is not asked for."""
    folder = kine_stages.unpack(stage, tmp_path)
    pairs = current(folder / "state.db")
    snapshot = database(tmp_path / "etcd.db", sorted(pairs.items()))
    sides = (snapshot, folder) if turned else (folder, snapshot)
    own = configured(stage)
    comparison = compare(*sides, DiffOptions(own, own, same_content=True))
    assert forms(comparison).keys() == {key.decode() for key in secrets(pairs)}
    assert set(forms(comparison).values()) <= {"unchanged", "still plaintext"}
    assert comparison.moved == comparison.rewritten == 0
    assert any("their revisions, and so their order, are not compared" in note for note in comparison.notes)


def test_one_object_that_is_lost_is_one(tmp_path: Path) -> None:
    stage = K3S[0]
    folder = kine_stages.unpack(stage, tmp_path)
    pairs = current(folder / "state.db")
    del pairs[min(secrets(pairs))]
    comparison = compare(
        folder,
        database(tmp_path / "etcd.db", sorted(pairs.items())),
        DiffOptions(configured(stage), configured(stage), same_content=True),
    )
    assert comparison.of(FormChange.VANISHED) == 1
    assert "1 object appeared, vanished or holds other content" in " ".join(words.verdict(comparison, Severity.MEDIUM))


def test_gardeners_series(full: bytes, tmp_path: Path) -> None:
    (tmp_path / "full.db").write_bytes(full)
    backup = written(tmp_path, full)
    options = DiffOptions(Options(), Options(), different_clusters=True)
    comparison = compare(tmp_path / "full.db", backup, options)
    names = {name: secret(name).key.decode() for name in "abcd"}
    assert forms(comparison) == {
        names["a"]: "became encrypted",
        names["b"]: "vanished",
        names["c"]: "unchanged",
        names["d"]: "appeared",
    }
    assert compare(backup, backup, options).moved == 0


def test_data_directories(tmp_path: Path) -> None:
    archive, plain = MIGRATION / "data-dir.tar.gz", MIGRATION / "1-plaintext.db"
    config = (str(MIGRATION / "6-rotating.encryption.json"),)
    options = DiffOptions(replace(Options(), encryption_configs=config), Options(encryption_configs=config))
    comparison = compare(plain, archive, options)
    assert comparison.of(FormChange.BECAME_ENCRYPTED) == 27
    same = compare(archive, archive, options)
    assert same.moved == 0
    assert not any("not applied" in part.reason for part in same.unexamined)
