"""What lies outside the trees: slack, lowered counts, older roots, the end of the file, pages that lie."""

import struct
from pathlib import Path

import pytest

import auditor
from auditor.model.audit import Audit
from auditor.model.vocabulary import EvidenceKind, Place
from tests.helpers import bolt_builder
from tests.helpers.fixtures import MIGRATION, SNAPSHOTS, name_of, repair
from tests.helpers.objects import StoredObject, envelope

PAGE = 4096
SECRET = StoredObject(data={b"password": b"correct horse"}).protobuf()
KEY = b"/registry/secrets/default/db"
RECORD = bolt_builder.record(7, KEY, SECRET)


def scanned(tmp_path: Path, data: bytes) -> Audit:
    path = tmp_path / "made.db"
    path.write_bytes(data)
    return auditor.scan(path)


def leaves_ending_in_a_secret(data: bytes) -> list[tuple[int, int]]:
    """(page, count) of the leaves, freed ones too, whose last element holds a plain Secret."""
    found = []
    for page in range(2, len(data) // PAGE):
        number, kind, count, _ = struct.unpack_from("<QHHI", data, page * PAGE)
        if (number, kind) == (page, bolt_builder.LEAF) and count:
            element = page * PAGE + 16 * count
            flags, pos, key_len, value_len = struct.unpack_from("<IIII", data, element)
            at = element + pos + key_len
            if not flags and b"v1\x12\x06Secret" in data[at : at + value_len]:
                found.append((page, count))
    return found


@pytest.mark.slow
def test_a_lowered_count_hides_no_value(tmp_path: Path) -> None:
    tried = 0
    for path in SNAPSHOTS:
        data = path.read_bytes()
        whole = auditor.scan(path).findings
        expected = set(whole[whole.finding == "plaintext"].offset)
        for page, count in leaves_ending_in_a_secret(data):
            changed = bytearray(data)
            struct.pack_into("<H", changed, page * PAGE + 10, count - 1)
            audit = scanned(tmp_path, repair(bytes(changed)))
            readable = audit.findings[audit.findings.finding == "plaintext"]
            assert set(readable.offset) == expected, (name_of(path), page)
            hidden = readable[readable.place == "slack"]
            assert len(hidden) == 1
            assert hidden.key.item() == whole[whole.offset == hidden.offset.item()].key.item()
            assert hidden.mod_revision.item() == whole[whole.offset == hidden.offset.item()].mod_revision.item()
            tried += 1
    assert tried > 10


@pytest.mark.parametrize("path", SNAPSHOTS, ids=name_of)
def test_real_databases_have_no_slack_and_no_fragments(path: Path) -> None:
    audit = auditor.scan(path)
    assert not {"slack", "unplaced", "previous-root"} & set(audit.inventory.place)
    assert not any("fragment" in part.what for part in audit.unexamined)


def test_a_byte_in_slack_is_noticed(tmp_path: Path) -> None:
    data = bytearray((MIGRATION / "5-defragmented.db").read_bytes())
    last = max(page for page in range(2, len(data) // PAGE) if data[page * PAGE + 8] == bolt_builder.LEAF)
    assert not data[(last + 1) * PAGE - 3]
    data[(last + 1) * PAGE - 3] = 7
    audit = scanned(tmp_path, repair(bytes(data)))
    (row,) = audit.inventory[audit.inventory.place == "slack"].to_dict("records")
    assert (row["offset"], row["size"], row["judged"], row["resource"]) == (
        (last + 1) * PAGE - 3,
        1,
        "out of scope",
        "unknown",
    )
    assert not audit.complete
    assert any("slack" in part.what and part.decisive for part in audit.unexamined)


def test_only_the_older_root_reaches_it(tmp_path: Path) -> None:
    """A raw database whose last commit wrote a new root; the tree before it is still whole."""
    old = bolt_builder.backend([RECORD], txids=(2, 3), trailer=False)
    data = bytearray(old.seal())
    pages = len(data) // PAGE
    data += bytes(PAGE)
    data[pages * PAGE : pages * PAGE + 16] = bolt_builder.header("<", pages, bolt_builder.LEAF, 0, 0)
    body = bytearray(data[PAGE + 16 : PAGE + 72])
    struct.pack_into("<Q", body, 16, pages)  # root
    struct.pack_into("<Q", body, 40, pages + 1)  # high-water mark
    data[PAGE + 16 : PAGE + 72] = body
    bolt_builder.seal_metas(data, PAGE)
    audit = scanned(tmp_path, bytes(data))
    (row,) = audit.inventory.to_dict("records")
    assert (row["place"], row["key"], row["finding"]) == ("previous-root", KEY.decode(), "plaintext")
    assert bytes(data)[row["offset"] : row["offset"] + row["size"]] == SECRET
    assert audit.evidence.kind is EvidenceKind.RAW_DATABASE


def test_pages_past_the_high_water_mark_are_read(tmp_path: Path) -> None:
    database = bolt_builder.backend([RECORD], txids=(2, 3), trailer=False)
    data = database.seal()
    number = len(data) // PAGE
    key, value = RECORD
    page = bolt_builder.leaf("<", number, [(0, key, value)])
    data += page + bytes(PAGE - len(page)) + bytes(PAGE)
    audit = scanned(tmp_path, data)
    assert sorted(audit.inventory.place) == ["latest", "slack"]
    past = audit.inventory[audit.inventory.place == "slack"]
    assert past.key.item() == KEY.decode()
    assert past.offset.item() > number * PAGE
    assert past.same_as_latest.item() == "yes"


def test_no_root_leads_anywhere(tmp_path: Path) -> None:
    """Both metas hold and lead to a page that is no tree: current or freed cannot be told."""
    database = bolt_builder.backend([RECORD])
    root = database.root
    database.data[database.at(root) + 8] = bolt_builder.META
    audit = scanned(tmp_path, database.seal())
    assert set(audit.findings[audit.findings.finding == "plaintext"].place) == {"unplaced"}
    assert audit.gaps


def test_a_freed_page_that_says_it_is_a_branch_is_searched(tmp_path: Path) -> None:
    key, value = RECORD
    for kind in (bolt_builder.BRANCH, bolt_builder.FREELIST, bolt_builder.META):
        page = bytearray(bolt_builder.leaf("<", 2, [(0, key, value)]))
        page[8] = kind
        database = bolt_builder.backend(
            [bolt_builder.record(9, b"/registry/pods/a/b", envelope(b"v1", b"Pod", b""))], freed=[bytes(page)]
        )
        audit = scanned(tmp_path, database.seal())
        readable = audit.findings[audit.findings.finding == "plaintext"]
        assert readable.place.tolist() == ["freed"], kind
        assert readable.key.tolist() == [KEY.decode()]


def test_places_are_the_designs() -> None:
    assert [place.label for place in Place] == [
        "latest", "history", "deleted", "old-value", "previous-root", "freed", "slack", "wal", "v2-store",
        "unplaced",
    ]  # fmt: skip
