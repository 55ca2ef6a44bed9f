"""A readable Secret planted in kine's files, in etcdctl's dumps and in Gardener's increments keeps the audit from 0.

In every interval of their ledgers that is no row; checksums are made right again. As test_planting.py does for etcd's.
"""

import sqlite3
from pathlib import Path

import pytest

import auditor
from auditor import Options, Severity
from auditor.evidence.kine import accounts
from auditor.evidence.ledger import Account
from tests.evidence.etcd.test_dump_responses import as_json, as_protobuf
from tests.helpers import members_on_disk, planting_stores
from tests.helpers.planting import FORMS, Evidence, ends_with_0, intervals, planted
from tests.helpers.planting_stores import MADE, TEXT_MEDIA, TEXTS
from tests.helpers.sweeps import sample
from tests.system.test_planting import alone

CASES = [(make, form) for make in MADE for form in (TEXTS if make in TEXT_MEDIA else FORMS)]
NAMELESS = b"S3cr3t-" * 40
"""Begins as nothing does."""


@pytest.mark.parametrize(("make", "form"), sample(CASES, 10))
def test_in_every_interval_that_is_no_row(make: str, form: str, tmp_path: Path) -> None:
    evidence = MADE[make](tmp_path)
    assert ends_with_0(evidence)
    for account, at, content in planted(evidence, TEXTS[form], len(form), 6):
        evidence.file.write_bytes(content)
        assert not ends_with_0(evidence), f"{form} in {account.name} at {at}"


@pytest.mark.parametrize("make", MADE)
def test_the_ledger_alone_meets_what_has_no_signature(make: str, tmp_path: Path) -> None:
    evidence = MADE[make](tmp_path)
    for account, at, content in planted(evidence, NAMELESS, 1, 8):
        evidence.file.write_bytes(content)
        with alone("ledger"):
            assert not ends_with_0(evidence), f"{account.name} at {at}"


@pytest.mark.parametrize("make", MADE)
def test_the_accounts_of_honest_evidence_add_up(make: str, tmp_path: Path) -> None:
    evidence = MADE[make](tmp_path)
    audit = auditor.scan(evidence.root, Options(encryption_configs=(evidence.config,)))
    assert audit.ledger
    for own in audit.ledger:
        parts = own.structure + own.row + own.empty + own.checksum + own.inner + own.unaccounted
        assert (parts, own.unaccounted) == (own.size, 0), own.medium
    assert any(own.medium.endswith(evidence.file.name) for own in audit.ledger)


def test_what_is_planted_in(tmp_path: Path) -> None:
    """The intervals of each kind: if one has none, nothing is planted there."""
    counts = {}
    for make, made in MADE.items():
        (tmp_path / make).mkdir()
        counts[make] = {account for account, parts in intervals(made(tmp_path / make)).items() if parts}
    assert counts["database"] == {Account.STRUCTURE, Account.EMPTY}
    assert counts["log"] >= {Account.STRUCTURE, Account.EMPTY}
    assert counts["increment"] == {Account.STRUCTURE, Account.CHECKSUM}
    assert all(Account.STRUCTURE in every for every in counts.values())


def changed(folder: Path, **columns: int) -> Evidence:
    """A database of kine's in which one row has other numbers."""
    evidence = planting_stores.database(folder)
    connection = sqlite3.connect(evidence.file, isolation_level=None)
    for name, number in columns.items():
        connection.execute(f"UPDATE kine SET {name} = ? WHERE id = 3", (number,))
    connection.close()
    return evidence


def test_a_text_in_the_numbers_of_a_row(tmp_path: Path) -> None:
    """Three numbers of eight bytes hold a password of 24."""
    assert ends_with_0(changed(tmp_path / "small", create_revision=2, prev_revision=1, lease=3600))
    text = [int.from_bytes(part, "big") for part in (b"S3cr3t-p", b"assw0rd-", b"0123456!")]
    evidence = changed(
        tmp_path / "large", **dict(zip(("create_revision", "prev_revision", "lease"), text, strict=True))
    )
    with alone("ledger"):
        assert not ends_with_0(evidence)


def test_a_text_in_a_row_of_sqlite_sequence(tmp_path: Path) -> None:
    evidence = planting_stores.database(tmp_path)
    connection = sqlite3.connect(evidence.file, isolation_level=None)
    connection.execute("INSERT INTO sqlite_sequence VALUES ('S3cr3t-password', 7)")
    connection.close()
    with alone("ledger"):
        assert not ends_with_0(evidence)


def test_what_two_structures_claim_is_a_gap(tmp_path: Path) -> None:
    """An overflow page that is a page of the freelist, too."""
    evidence = planting_stores.database(tmp_path)
    raw = bytearray(evidence.file.read_bytes())
    trunk = int.from_bytes(raw[32:36], "big") - 1
    count = int.from_bytes(raw[trunk * 4096 + 4 : trunk * 4096 + 8], "big")
    raw[trunk * 4096 + 8 : trunk * 4096 + 8 + 4 * count] = (2).to_bytes(4, "big") * count
    evidence.file.write_bytes(raw)
    assert not ends_with_0(evidence)


HEADERS = {
    "a field twice": (b'{"cluster_id":1,', b'{"cluster_id":8316293,"cluster_id":1,'),
    "a number past its range": (b'"member_id":2', b'"member_id":99999999999999999999999999'),
    "a number of many digits": (b'"version":1', b'"version":00000000000000000000000000000001'),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_dump_holds_each_field_once_and_in_range(name: str, tmp_path: Path) -> None:
    raw = as_json([members_on_disk.sealed(b"a")])
    before, after = HEADERS[name]
    for content, complete in ((raw, True), (raw.replace(before, after, 1), False)):
        (tmp_path / "dump").write_bytes(content)
        assert auditor.scan(tmp_path / "dump", Options()).complete is complete


@pytest.mark.parametrize("more", [b"\x20\x01", b"\x18\x07", b"\x18\x01\x18\x01"])
def test_a_protobuf_dump_holds_each_field_once(more: bytes, tmp_path: Path) -> None:
    (tmp_path / "dump").write_bytes(as_protobuf([members_on_disk.sealed(b"a")]) + more)
    assert not auditor.scan(tmp_path / "dump", Options()).complete


def test_a_text_in_the_time_of_an_event(tmp_path: Path) -> None:
    evidence = MADE["increment"](tmp_path)
    raw = evidence.file.read_bytes()
    at = raw.index(b"2026-11-24T")
    evidence.file.write_bytes(evidence.repair(raw[:at] + b"S3cr3t-password-0123456789-abc" + raw[at + 30 :]))
    assert not ends_with_0(evidence)


def test_a_log_whose_older_frames_are_of_another_log(tmp_path: Path) -> None:
    """Sixteen bytes of salts and of a checksum that nothing precedes: the salts of one log are near its header's."""
    evidence = MADE["log"](tmp_path)
    raw = evidence.file.read_bytes()
    step = 24 + 4096
    heads = range(32, len(raw) - step + 1, step)
    first = next(at for at in heads if raw[at + 8 : at + 16] != raw[16:24])
    assert int.from_bytes(raw[16:20], "big") - int.from_bytes(raw[first + 8 : first + 12], "big") in range(
        1, accounts.SALTS
    )
    evidence.file.write_bytes(raw[: first + 8] + b"S3cr3t-password!" + raw[first + 24 :])
    assert auditor.scan(evidence.root, Options(encryption_configs=(evidence.config,))).exit_code(Severity.MEDIUM)


def test_a_text_of_an_index_that_is_no_rows_name(tmp_path: Path) -> None:
    """An index copies the names of rows: one that is of no row may be anything."""
    name = b"/" + b"n" * 80
    planted_name = b'/{"kind":"Secret","data":{"password":"aHVudGVyMg=="}}'.ljust(len(name), b"x")
    connection = members_on_disk.kine(tmp_path / "state.db")
    members_on_disk.row(connection, name, b"a text")
    connection.close()
    raw = (tmp_path / "state.db").read_bytes()
    config = members_on_disk.configuration(tmp_path)
    evidence = Evidence(tmp_path / "state.db", tmp_path / "state.db", config, bytes)
    assert ends_with_0(evidence)
    at = raw.rindex(name)  # the pages of indexes lie behind the first of the rows
    assert raw.count(name) == 3
    evidence.file.write_bytes(raw[:at] + planted_name + raw[at + len(name) :])
    assert not ends_with_0(evidence)
