"""Values in elements and pages that say that they hold none, or that are no record: each is found, in bounded time."""

import os
from pathlib import Path

import pytest

import auditor
from auditor import Audit, Options
from auditor.arrays.buffer import Buffer
from auditor.evidence import carve
from auditor.protobuf.kv_pb2 import KeyValue
from tests.helpers import bolt_builder as bolt
from tests.helpers.ciphertexts import ciphertext
from tests.helpers.command import run
from tests.helpers.objects import StoredObject

CASES = Path(__file__).parents[3] / "fixtures" / "cases"
LEAK = StoredObject(name=b"leak", data={b"password": b"CANARY-hidden-52"})
READABLE = LEAK.protobuf()
SEALED = ciphertext("aescbc", b"key1", bytes(range(48)))
RECORDS = [bolt.record(2 + number, b"/registry/secrets/a/s%d" % number, SEALED) for number in range(3)]
TOMBSTONE = KeyValue(key=LEAK.key, create_revision=2, mod_revision=9, version=1, value=READABLE).SerializeToString()


def scan(folder: Path, raw: bytes, options: Options | None = None) -> Audit:
    (folder / "a.db").write_bytes(raw)
    return auditor.scan(folder / "a.db", options or Options())


def test_a_live_record_that_does_not_parse_is_carved_and_stays_a_gap() -> None:
    audit = auditor.scan(CASES / "live-record-illegal-tag" / "damaged.db")
    (row,) = audit.findings[audit.findings.finding == "plaintext"].to_dict("records")
    assert (row["key"], row["place"], row["state"]) == ("/registry/secrets/default/s1", "slack", "head-lost")
    assert any("is no mvccpb.KeyValue" in gap.reason for gap in audit.gaps)


def test_the_same_in_a_freed_page_is_found() -> None:
    audit = auditor.scan(CASES / "live-record-illegal-tag" / "same-damage-in-a-freed-page.db")
    assert set(audit.findings[audit.findings.finding == "plaintext"].place) == {"freed"}


def test_what_a_live_element_with_another_key_holds_is_carved(tmp_path: Path) -> None:
    audit = scan(tmp_path, bolt.backend([*RECORDS, (b"zzz", READABLE)]).seal())
    assert set(audit.findings[audit.findings.finding == "plaintext"].place) == {"slack"}
    assert any("no revision" in gap.reason for gap in audit.gaps)


@pytest.mark.parametrize("freed", [False, True])
def test_a_tombstone_with_a_value_is_judged(tmp_path: Path, freed: bool) -> None:
    pair = (bolt.revision(9, tombstone=True), TOMBSTONE)
    leaf = bolt.leaf("<", 2, [(0, *pair)])
    made = bolt.backend(RECORDS, freed=[leaf]) if freed else bolt.backend([*RECORDS, pair])
    audit = scan(tmp_path, made.seal())
    assert set(audit.findings[audit.findings.finding == "plaintext"].place) == {"freed" if freed else "deleted"}


def test_a_freed_page_that_says_it_is_a_branch_is_searched(tmp_path: Path) -> None:
    page = bolt.header("<", 2, bolt.BRANCH, 0, 0) + LEAK.json()
    assert "plaintext" in set(scan(tmp_path, bolt.backend(RECORDS, freed=[page]).seal()).findings.finding)


def test_a_search_goes_on_however_many_rows_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(carve, "PORTION", 10)
    raw = b"".join(b"".join(bolt.record(number, b"/registry/e/%07d" % number, b"1")) for number in range(1, 96))
    buffer = Buffer(raw)
    parts = list(carve.portions(buffer, [0], [len(raw)], fragments=True))
    assert [len(part) for part in parts] == [10] * 9 + [5]
    assert [row.mod_revision for part in parts for row in part] == list(range(1, 96))


@pytest.mark.parametrize(
    "text", [b"k8s\0\n", b'{"kind":"Secret"', b"k8s:enc:", b"\xd9\xd9\xf7kind", b'"kind":"Secret"\0']
)
@pytest.mark.parametrize("freed", [False, True])
def test_megabytes_of_a_signature_are_read_soon_or_a_gap(tmp_path: Path, text: bytes, freed: bool) -> None:
    """Within the two minutes that run() waits: each of the signatures may begin an object that reaches to the end."""
    image = text * (2_000_000 // len(text))
    made = bolt.backend(RECORDS, freed=[image + READABLE]) if freed else bolt.backend([*RECORDS, (b"zzz", image)])
    path = tmp_path / "a.db"
    path.write_bytes(made.seal())
    assert run("scan", path).returncode in {1, 3}


def test_an_object_behind_a_run_of_signatures_is_found() -> None:
    raw = b"k8s\0\n" * 1000 + READABLE + b"k8s\0\n" * 1000
    rows = carve.search(Buffer(raw), [0], [len(raw)], fragments=True)
    assert (rows[1].value_at, rows[1].value_len) == (5000, len(READABLE))
    # the last of a run stands alone: it may be a whole object
    assert [row.start for row in rows] == [0, 5000, 5000 + len(READABLE), len(raw) - 5]


def test_zeros_past_the_high_water_mark_are_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(bolt.backend(RECORDS, trailer=False, txids=(3, 4)).seal())
    os.truncate(path, 64 << 20)
    audit = auditor.scan(path)
    assert not audit.gaps
    with path.open("r+b") as file:
        file.seek(40 << 20)
        file.write(READABLE)
    assert set(auditor.scan(path).findings.finding) >= {"plaintext"}
