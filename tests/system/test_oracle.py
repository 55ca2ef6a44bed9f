"""The auditor's rows of every fixture, held against those of a reader that shares no code with it."""

import tarfile
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import auditor
from tests.helpers import oracle
from tests.helpers.fixtures import MIGRATION, SNAPSHOTS, canaries, name_of, truth
from tests.helpers.packing import DATA_FILTER

SECRETS = b"/registry/secrets/"
PROVIDERS = {
    "k8s\0": "identity",
    "{": "identity",
    "\xd9\xd9\xf7": "identity",
    "k8s:enc:aescbc:v1:": "aescbc",
    "k8s:enc:aesgcm:v1:": "aesgcm",
    "k8s:enc:secretbox:v1:": "secretbox",
    "k8s:enc:kms:v1:": "kms v1",
    "k8s:enc:kms:v2:": "kms v2",
}
COMPARED = ["offset", "size", "place", "key", "mod_revision", "create_revision", "version", "provider", "page"]

each_snapshot = pytest.mark.parametrize("path", SNAPSHOTS, ids=name_of)


def expected_rows(stored: list[oracle.Stored]) -> list[tuple[Any, ...]]:
    """What the inventory of Secrets must hold, by COMPARED; a leftover without a key may be of a Secret."""
    return [
        (
            each.offset,
            each.size,
            each.place,
            "" if each.key is None else each.key.decode(),
            each.main,
            each.create,
            each.version,
            PROVIDERS.get(each.prefix, "unknown"),
            each.page,
        )
        for each in stored
        if not each.tombstone and (each.key is None or each.key.startswith(SECRETS))
    ]


def inventory_rows(rows: pd.DataFrame) -> list[tuple[Any, ...]]:
    """The inventory's rows, by COMPARED; an unknown key or number is empty."""
    return [
        tuple(None if cell is pd.NA else "" if cell == "unknown" and name == "key" else cell for name, cell in pairs)
        for pairs in (zip(COMPARED, row, strict=True) for row in zip(*(rows[name] for name in COMPARED), strict=True))
    ]


@cache
def inventory(path: Path) -> pd.DataFrame:
    return auditor.scan(path).inventory


@pytest.fixture(scope="module")
def member(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory beside the fixtures, unpacked."""
    folder = tmp_path_factory.mktemp("data-dir")
    with tarfile.open(MIGRATION / "data-dir.tar.gz") as archive:
        archive.extractall(folder, **DATA_FILTER)
    return folder / "etcd"


def log_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.glob("member/wal/*.wal")):
        yield path.name, path.read_bytes()


@each_snapshot
def test_the_plain_reader_reads_what_etcdctl_read(path: Path) -> None:
    stored = oracle.database(path.read_bytes())
    newest = max(each.main or 0 for each in stored if each.place == "latest")
    mine = {each.key: (each.main, each.version, each.size) for each in stored if each.place == "latest"}
    theirs = {
        entry["key"].encode(): (entry["mod_revision"], entry["version"], entry["size"])
        for entry in truth(path)["stored"]
        if entry["mod_revision"] <= newest  # etcdctl was asked a moment after the snapshot
    }
    assert len(theirs) > 50
    assert {key: mine[key] for key in theirs} == theirs


@each_snapshot
def test_rows_are_the_plain_readers(path: Path) -> None:
    assert inventory_rows(inventory(path)) == expected_rows(oracle.database(path.read_bytes()))


@each_snapshot
def test_at_each_offset_a_stored_value_begins(path: Path) -> None:
    rows = inventory(path)
    spans = sorted(zip(rows["offset"], rows["size"], strict=True))
    with path.open("rb") as file:
        for offset, size in spans:
            file.seek(offset)
            assert size > 8
            assert file.read(8).startswith((b"k8s\0", b"k8s:enc:"))
    assert all(offset + size <= following for (offset, size), (following, _) in pairwise(spans))


@each_snapshot
def test_every_canary_of_the_file_lies_in_a_row(path: Path) -> None:
    rows, raw = inventory(path), path.read_bytes()
    spans = list(zip(rows["offset"], rows["offset"] + rows["size"], strict=True))
    at = [each for canary in canaries(path) for each in oracle.find_all(raw, canary, 0, len(raw))]
    told = truth(path)["canary_bytes"].values()
    assert len(at) >= sum(each["latest_in_file"] + sum(each["earlier_in_file"]) for each in told)
    assert all(any(start <= each < end for start, end in spans) for each in at)


def test_rows_of_the_raw_database_are_the_plain_readers(member: Path) -> None:
    database = member / "member" / "snap" / "db"
    assert inventory_rows(inventory(database)) == expected_rows(oracle.database(database.read_bytes()))


def test_the_plain_reader_finds_in_the_log_what_the_database_holds(member: Path) -> None:
    files = dict(log_files(member))
    written = [put for name, data in files.items() for put in oracle.puts(name, data)]
    values = {(put.key, files[put.file][put.offset : put.offset + put.size]) for put in written}
    raw = (member / "member" / "snap" / "db").read_bytes()
    stored = [each for each in oracle.database(raw) if each.place == "latest"]
    assert len(stored) > 50
    for each in stored:
        assert (each.key, raw[each.offset : each.end]) in values
    for name, data in files.items():
        spans = [(put.offset, put.offset + put.size) for put in written if put.file == name]
        held = list(oracle.find_all(data, b"CANARY-", 0, len(data)))
        assert len(held) >= 25
        assert all(any(start <= at < end for start, end in spans) for at in held)


def test_rows_of_the_log_are_the_plain_readers(member: Path) -> None:
    rows = auditor.scan(member).inventory
    rows = rows[rows["place"] == "wal"]
    mine = [put for name, data in log_files(member) for put in oracle.puts(name, data) if put.key.startswith(SECRETS)]
    assert sorted(
        zip([Path(name).name for name in rows["source"]], rows["offset"], rows["size"], rows["key"], strict=True)
    ) == sorted((put.file, put.offset, put.size, put.key.decode()) for put in mine)
