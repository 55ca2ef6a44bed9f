"""Damaged and hostile snapshots: a message or a gap, never a traceback, never a pass."""

import random
import struct
from pathlib import Path

import pytest

import auditor
from auditor.errors import AuditorError, UnreadableEvidence
from auditor.evidence.file import EvidenceFile
from auditor.model.vocabulary import EvidenceKind, Trailer
from tests.helpers.fixtures import MIGRATION, canaries, repair
from tests.helpers.sweeps import sample

PLAIN = MIGRATION / "2-enabled.db"
CLEAN = MIGRATION / "5-defragmented.db"
PAGE = 4096


def audited(tmp_path: Path, data: bytes) -> auditor.Audit | str:
    path = tmp_path / "case.db"
    path.write_bytes(data)
    try:
        return auditor.scan(path)
    except AuditorError as error:
        return str(error)


def test_a_file_cut_at_any_length_never_passes(tmp_path: Path) -> None:
    data = CLEAN.read_bytes()
    lengths = {0, 1, 15, 16, 79, 80, 4095, 4096, 4175, 4176, 8191, 8192, len(data) - 32, len(data) - 1}
    lengths |= set(random.Random(1).sample(range(len(data)), 60))
    for length in sorted(lengths):
        audit = audited(tmp_path, data[:length])
        assert isinstance(audit, str) or (audit.gaps and not audit.complete), length


def test_a_cut_file_says_where_it_ends_and_reports_what_it_holds(tmp_path: Path) -> None:
    audit = audited(tmp_path, (MIGRATION / "4-compacted.db").read_bytes()[:100_000])
    assert not isinstance(audit, str)
    assert audit.tally.readable == 29
    assert audit.exit_code(auditor.Severity.MEDIUM) == 1
    assert any("truncated" in gap.reason and gap.offset == 100_000 for gap in audit.gaps)


@pytest.mark.parametrize("count", [100, 255])
def test_a_freed_page_that_claims_more_elements_than_it_has_is_searched(tmp_path: Path, count: int) -> None:
    """255 elements fit into a page exactly: their table would be all of it."""
    data = bytearray((MIGRATION / "4-compacted.db").read_bytes())
    for page in (15, 20, 21, 22):
        struct.pack_into("<H", data, page * PAGE + 10, count)
    audit = audited(tmp_path, repair(bytes(data)))
    assert not isinstance(audit, str)
    assert not audit.gaps
    assert audit.tally.readable == 29


def test_a_snapshot_without_its_trailer_is_not_concluded_on(tmp_path: Path) -> None:
    audit = audited(tmp_path, CLEAN.read_bytes()[:-32])
    assert not isinstance(audit, str)
    assert audit.evidence.kind == EvidenceKind.NO_TRAILER
    assert audit.exit_code(auditor.Severity.MEDIUM) == 3


@pytest.mark.parametrize("at", [-1, -32, 50_000])
def test_a_trailer_that_does_not_match_is_a_gap_that_names_both(tmp_path: Path, at: int) -> None:
    data = bytearray(CLEAN.read_bytes())
    data[at] ^= 1
    audit = audited(tmp_path, bytes(data))
    assert not isinstance(audit, str)
    assert audit.evidence.trailer == Trailer.DOES_NOT_MATCH
    assert any("trailer" in gap.reason and gap.offset == len(data) - 32 for gap in audit.gaps)


def test_one_bad_meta_is_a_gap_and_the_other_is_used(tmp_path: Path) -> None:
    data = bytearray(PLAIN.read_bytes())
    data[16 + 40] ^= 0xFF
    audit = audited(tmp_path, bytes(data))
    assert not isinstance(audit, str)
    assert audit.tally.readable == 29
    assert any("checksum" in gap.reason for gap in audit.gaps)


def test_without_a_root_what_is_readable_is_found_and_the_metas_are_named(tmp_path: Path) -> None:
    data = bytearray(PLAIN.read_bytes())
    data[16:20] = data[PAGE + 16 : PAGE + 20] = b"\1\2\3\4"
    audit = audited(tmp_path, bytes(data))
    assert not isinstance(audit, str)
    whole = auditor.scan(PLAIN)
    readable = audit.findings[audit.findings.finding == "plaintext"]
    assert set(readable.place) == {"unplaced"}
    expected = whole.findings[whole.findings.finding == "plaintext"]
    for column in ("offset", "size", "key", "mod_revision"):
        assert readable[column].tolist() == expected[column].tolist()
    reason = " ".join(gap.reason for gap in audit.gaps)
    for part in ("case.db", "offset 16", "edda0ced"):
        assert part in reason
    assert "01020304" not in reason


def test_two_bad_metas_before_nothing_are_named_with_offset_and_nothing_is_quoted(tmp_path: Path) -> None:
    data = bytearray(PAGE * 4)
    data[16:20] = data[PAGE + 16 : PAGE + 20] = b"\1\2\3\4"
    message = audited(tmp_path, bytes(data))
    assert isinstance(message, str)
    for part in ("case.db", "offset 16", "edda0ced"):
        assert part in message
    assert "01020304" not in message


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 100, b"SQLite format 3\0" + b"\0" * 9000, b"hello\n" * 4000, random.Random(2).randbytes(70_000)],
)
def test_what_is_no_etcd_file_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    message = audited(tmp_path, content)
    assert isinstance(message, str)
    assert "case.db" in message


def test_folders_pipes_and_absent_files_are_refused(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    for name in ("", "pipe", "absent"):
        with pytest.raises(UnreadableEvidence):
            EvidenceFile.open(tmp_path / name, hashed=False)


def _pages(data: bytes, flag: int) -> list[int]:
    return [
        number
        for number in range(2, len(data) // PAGE)
        if struct.unpack_from("<QH", data, number * PAGE) == (number, flag)
        and struct.unpack_from("<H", data, number * PAGE + 10)[0]
    ]


def _mutations() -> "list[tuple[str, bytes]]":
    """Structural damage in reachable pages, checksums and trailer made right again."""
    clean = CLEAN.read_bytes()
    leaves, branches = _pages(clean, 2), _pages(clean, 1)
    cases = []

    def case(name: str, offset: int, replacement: bytes) -> None:
        data = bytearray(clean)
        data[offset : offset + len(replacement)] = replacement
        cases.append((name, repair(bytes(data))))

    branch = branches[0] * PAGE
    case("child is the branch itself", branch + 16 + 8, struct.pack("<Q", branches[0]))
    case("child out of range", branch + 16 + 8, struct.pack("<Q", 1 << 40))
    case("child all ones", branch + 16 + 8, b"\xff" * 8)
    case("two children alike", branch + 16 + 16 + 8, clean[branch + 16 + 8 : branch + 16 + 16])
    case("branch without children", branch + 10, b"\0\0")
    case("branch count too large", branch + 10, b"\xff\xff")
    case("root out of range", 16 + 16, b"\xff" * 8)
    case("page size odd", 16 + 8, struct.pack("<I", 4097))
    case("page size huge", 16 + 8, struct.pack("<I", 1 << 31))
    case("high water huge", 16 + 40, b"\xff" * 8)
    for leaf in leaves[:6]:
        at = leaf * PAGE
        case(f"leaf {leaf} names another page", at, struct.pack("<Q", leaf + 1))
        case(f"leaf {leaf} has no kind", at + 8, b"\0\0")
        case(f"leaf {leaf} count", at + 10, b"\xff\xff")
        case(f"leaf {leaf} overflow", at + 12, b"\xff\xff\xff\xff")
        case(f"leaf {leaf} element flags", at + 16, b"\x07\0\0\0")
        case(f"leaf {leaf} element pos", at + 20, b"\xff\xff\xff\xff")
        case(f"leaf {leaf} element ksize", at + 24, b"\0\0\0\0")
        case(f"leaf {leaf} element vsize", at + 28, b"\xff\xff\xff\x7f")
    return cases


@pytest.mark.parametrize(
    ("name", "data"), sample(_mutations(), 24), ids=lambda part: part if isinstance(part, str) else ""
)
def test_structural_damage_ends_in_a_gap_or_a_message(tmp_path: Path, name: str, data: bytes) -> None:
    audit = audited(tmp_path, data)
    # meta 1 is left whole, so a mutated meta 0 with the higher txid is refused and the other one used: a gap
    assert isinstance(audit, str) or audit.gaps or not audit.complete, name
    assert isinstance(audit, str) or audit.exit_code(auditor.Severity.MEDIUM) == 3, name


def test_random_damage_never_raises_and_never_hides_a_canary_behind_a_pass(tmp_path: Path) -> None:
    rng = random.Random(3)
    source = PLAIN.read_bytes()
    known = canaries(PLAIN)
    for number in sample(range(250), 50):
        data = bytearray(source)
        for _ in range(rng.choice([1, 1, 2, 8])):
            page = rng.randrange(2, len(data) // PAGE)
            at = page * PAGE + (rng.randrange(64) if rng.random() < 0.7 else rng.randrange(PAGE))
            data[at] = rng.randrange(256)
        whole = repair(bytes(data))
        audit = audited(tmp_path, whole)
        if isinstance(audit, str):
            continue
        if audit.exit_code(auditor.Severity.MEDIUM) == 0:
            assert not any(canary in whole for canary in known), number
