"""What kind of file it is, whether it is whole, and that no damage to one ever passes for a complete audit."""

import hashlib
import struct
from pathlib import Path
from random import Random

import numpy as np
import pytest

import auditor
from auditor.errors import AuditorError, UnreadableEvidence
from auditor.evidence.file import EvidenceFile
from auditor.evidence.hashing import trailer_length
from auditor.model.audit import Audit
from auditor.model.vocabulary import EvidenceKind, Trailer
from tests.conftest import Read, Write
from tests.helpers import bolt_builder
from tests.helpers.bolt_builder import record
from tests.helpers.sweeps import sample

FIXTURE = Path(__file__).parents[3] / "fixtures" / "migration-aescbc" / "2-enabled.db"
WHOLE = FIXTURE.read_bytes()
PAGE = 4096
RECORDS = [record(number, b"/registry/secrets/a/%d" % number, b"{}") for number in range(2, 30)]
EVERYTHING = auditor.Options(resources=("*",))


def audited(path: Path) -> Audit | None:
    """The audit, or None where the file was refused."""
    try:
        return auditor.scan(path, EVERYTHING)
    except UnreadableEvidence:
        return None


def check_rows(audit: Audit, size: int) -> None:
    """Whatever is reported lies inside the file, and no two rows share bytes.

    Of damaged evidence a fragment may lie whole inside a value that is not what it should be, or be met in two ways.
    """
    rows = audit.inventory.sort_values("offset", kind="stable")
    fragment = np.array(["head-lost" in state for state in rows.state], np.bool_)
    spans = [(at, at + size) for at, size in zip(rows.offset.tolist(), rows["size"].tolist(), strict=True)]
    for start, end in (span for span, own in zip(spans, fragment.tolist(), strict=True) if own):
        others = [each for each in spans if each[0] < end and each[1] > start]
        assert all((each[0] <= start and end <= each[1]) or (start <= each[0] and each[1] <= end) for each in others)
    rows = rows.loc[~fragment]
    ends = (rows.offset + rows["size"]).to_numpy()
    if len(rows):
        assert rows.offset.min() >= 0
        assert ends.max() <= size
        assert (rows.offset.to_numpy()[1:] >= ends[:-1]).all()
    assert all(gap.offset >= 0 and gap.length >= 0 for gap in audit.gaps)


@pytest.mark.parametrize(
    ("size", "length"), [(32, 32), (4096 + 32, 32), (4096, 0), (4096 + 31, 0), (4096 + 512, 0), (len(WHOLE), 32)]
)
def test_a_trailer_is_told_by_the_files_size(size: int, length: int) -> None:
    assert trailer_length(size) == length


def test_an_api_snapshot(read: Read) -> None:
    reading = read(bolt_builder.backend(RECORDS, txids=(30, 29)).seal())
    assert (reading.kind, reading.trailer) == (EvidenceKind.API_SNAPSHOT, 32)
    assert not reading.gaps
    assert [part.what for part in reading.unexamined] == ["slack"]


@pytest.mark.parametrize("txids", [(30, 29), (2, 1)])
def test_a_snapshot_whose_trailer_was_stripped_is_a_gap(txids: tuple[int, int], read: Read) -> None:
    reading = read(bolt_builder.backend(RECORDS, txids=txids, trailer=False).seal())
    assert (reading.kind, reading.trailer) == (EvidenceKind.NO_TRAILER, 0)
    (gap,) = reading.gaps
    assert "trailer" in gap.reason or "SHA-256" in gap.reason
    assert sum(len(batch) for batch in reading.batches) == len(RECORDS)


@pytest.mark.parametrize("txids", [(29, 30), (30, 31), (30, 27)])
def test_a_raw_database_with_its_metas_as_bbolt_leaves_them(txids: tuple[int, int], read: Read) -> None:
    reading = read(bolt_builder.backend(RECORDS, txids=txids, trailer=False).seal())
    assert (reading.kind, reading.trailer) == (EvidenceKind.RAW_DATABASE, 0)
    assert not reading.gaps


def test_a_raw_database_with_an_end_past_its_pages(read: Read) -> None:
    """bbolt grows a file ahead of what it has allocated."""
    body = bolt_builder.backend(RECORDS, txids=(2, 3), trailer=False).seal()
    reading = read(body + bytes(1 << 16))
    assert reading.kind == EvidenceKind.RAW_DATABASE
    assert not reading.gaps
    assert sum(len(batch) for batch in reading.batches) == len(RECORDS)
    (part,) = (part for part in reading.unexamined if "end" in part.what)
    assert part.decisive
    assert f"{1 << 16:,}" in part.reason


def test_the_older_of_two_roots_is_not_left_unsaid(read: Read) -> None:
    database = bolt_builder.backend(RECORDS, txids=(2, 3), trailer=False, freed=[bolt_builder.leaf("<", 2, [])])
    database.patch(bolt_builder.ROOT_FIELD, "Q", 2)
    reading = read(database.seal())
    assert reading.kind == EvidenceKind.RAW_DATABASE
    assert sum(len(batch) for batch in reading.batches) == len(RECORDS)
    assert any("previous root" in part.what and part.decisive for part in reading.unexamined)


def test_bytes_between_the_last_page_and_the_trailer_are_a_gap(read: Read) -> None:
    database = bolt_builder.backend(RECORDS, trailer=False)
    reading = read(bolt_builder.with_trailer(database.seal() + b"\1" * 1024))
    (gap,) = reading.gaps
    assert (gap.offset, gap.length) == (len(database.data), 1024)


def test_a_trailer_that_matches_is_said_to(write: Write) -> None:
    path = write(bolt_builder.backend(RECORDS).seal())
    audit = auditor.scan(path)
    assert audit.evidence.trailer == Trailer.MATCHES
    assert audit.evidence.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert not audit.gaps


@pytest.mark.parametrize("at", [100, PAGE + 5000, -33, -32, -1])
def test_a_trailer_that_does_not_match_is_a_gap(at: int, write: Write) -> None:
    """Bytes between records and of the trailer itself: nothing else about the file is wrong."""
    data = bytearray(bolt_builder.backend(RECORDS, freed=[b"\1" * 5000]).seal())
    data[at] ^= 1
    path = write(bytes(data))
    audit = auditor.scan(path)
    assert audit.evidence.trailer == Trailer.DOES_NOT_MATCH
    (gap,) = audit.gaps
    assert (gap.source, gap.offset, gap.length) == (path.name, len(data) - 32, 32)
    quoted = data[-32:].hex()[:16] in gap.reason
    assert not quoted or at == -1, "what stands there may be a part of a value"
    assert hashlib.sha256(data[:-32]).hexdigest()[:16] in gap.reason
    assert not audit.complete


def test_quick_says_that_the_trailer_was_not_checked(write: Write) -> None:
    path = write(bolt_builder.backend(RECORDS).seal())
    audit = auditor.scan(path, auditor.Options(quick=True))
    assert (audit.evidence.trailer, audit.evidence.sha256) == (Trailer.NOT_CHECKED, "")
    assert not audit.complete


def lengths() -> list[int]:
    """Around pages, sectors, metas and the trailer, and anywhere."""
    edges = [page * PAGE + step for page in range(len(WHOLE) // PAGE + 1) for step in (0, 32, 512 + 32, 2000)]
    ends = [len(WHOLE) - step for step in (1, 2, 16, 31, 32, 33, 63, 64, 65, 512, 544)]
    starts = [0, 1, 15, 16, 63, 79, 80, 81, PAGE - 1, PAGE + 79, PAGE + 80, 2 * PAGE - 1, 2 * PAGE + 1]
    anywhere = [Random(5).randrange(len(WHOLE)) for _ in range(60)]
    return sorted({length for length in [*edges, *ends, *starts, *anywhere] if length < len(WHOLE)})


@pytest.mark.slow
def test_a_truncated_snapshot_is_never_a_complete_audit(write: Write) -> None:
    """Refused, or read with gaps: whatever its length, and whatever is said of it is there."""
    assert auditor.scan(FIXTURE, EVERYTHING).evidence.trailer == Trailer.MATCHES
    for length in sample(lengths(), 60):
        audit = audited(write(WHOLE[:length]))
        if audit is None:
            assert length < PAGE + 80, length
        else:
            assert audit.gaps, length
            assert not audit.complete, length
            check_rows(audit, length)


@pytest.mark.slow
def test_a_truncated_raw_database_is_never_a_complete_audit(write: Write) -> None:
    """No trailer gives it away: the high-water mark must. A member's own file ends where bbolt last grew it."""
    data = bolt_builder.backend(RECORDS, txids=(2, 3), trailer=False, page_size=1024, fanout=4).seal()
    assert not auditor.scan(write(data), EVERYTHING).gaps
    for length in sample(range(0, len(data), 128), 40):
        audit = audited(write(data[:length]))
        assert audit is None or audit.gaps, length


def mutated(rng: Random, numbers: list[int]) -> bytes:
    """The fixture with a few bytes or numbers changed, most of them where they matter, and sealed again."""
    body = bytearray(WHOLE[:-32])
    for _ in range(rng.choice([1, 1, 1, 2, 5, 40])):
        page = rng.randrange(len(body) // PAGE)
        where = rng.choice([rng.randrange(16), rng.randrange(16, 80), rng.randrange(16, 1200), rng.randrange(PAGE)])
        at = page * PAGE + where
        how = rng.randrange(4)
        if how == 0:
            body[at] = rng.randrange(256)
        elif how == 1:
            body[at] ^= 1 << rng.randrange(8)
        else:
            form = rng.choice("HIQ")
            size = struct.calcsize(form)
            at = min(at // size * size, len(body) - size)
            struct.pack_into("<" + form, body, at, rng.choice(numbers) & ((1 << 8 * size) - 1))
    bolt_builder.seal_metas(body, PAGE)
    return bolt_builder.with_trailer(bytes(body))


@pytest.mark.slow
def test_no_mutation_raises_anything_but_our_own(write: Write) -> None:
    """Checksums and trailer made right, so that only the structure itself can give the damage away."""
    rng = Random(11)
    numbers = [
        0,
        1,
        2,
        3,
        16,
        17,
        18,
        255,
        PAGE,
        0x7FFF,
        0xFFFF,
        (1 << 31) - 1,
        (1 << 32) - 1,
        (1 << 63),
        (1 << 64) - 1,
    ]
    numbers += range(2, len(WHOLE) // PAGE)
    read = refused = 0
    for number in sample(range(300), 60):
        path = write(mutated(rng, numbers))
        try:
            audit = auditor.scan(path, EVERYTHING)
        except AuditorError:
            refused += 1
        else:
            read += 1
            check_rows(audit, len(WHOLE))
            assert audit.evidence.trailer in {Trailer.MATCHES, Trailer.NONE}, number
        path.unlink()
    assert read > 2 * refused


def test_a_file_is_only_read(write: Write) -> None:
    path = write(WHOLE)
    path.chmod(0o400)
    before = path.stat()
    auditor.scan(path, EVERYTHING)
    after = path.stat()
    assert path.read_bytes() == WHOLE
    assert (before.st_mtime_ns, before.st_ctime_ns, before.st_size) == (
        after.st_mtime_ns,
        after.st_ctime_ns,
        after.st_size,
    )
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_file_that_grows_while_it_is_read_is_said_to_have_changed(write: Write) -> None:
    path = write(WHOLE)
    with EvidenceFile.open(path, hashed=True) as file:
        assert not file.changed()
        with path.open("ab") as more:
            more.write(b"x")
        assert f"size {len(WHOLE)} -> {len(WHOLE) + 1}" in file.changed()


def facts(**values: bytes) -> bytes:
    """A snapshot with these versions in its small buckets."""
    buckets = dict(bolt_builder.store(RECORDS))
    buckets[b"meta"] = [*buckets[b"meta"], (b"storageVersion", values.get("storage", b"3.6.0"))]
    buckets[b"cluster"] = [(b"clusterVersion", values.get("cluster", b"3.6.0"))]
    if "bucket" in values:
        buckets[values["bucket"]] = [(b"a", b"b")]
    return bolt_builder.Builder(buckets, inline=bolt_builder.SMALL).build().seal()


def test_versions_are_told(write: Write) -> None:
    audit = auditor.scan(write(facts()))
    assert (audit.evidence.backend.storage_version, audit.evidence.backend.cluster_version) == ("3.6.0", "3.6.0")
    assert not audit.gaps


@pytest.mark.parametrize("name", ["storage", "cluster"])
@pytest.mark.parametrize(
    "text", [b"3.6\x1b[2JNO FINDINGS", b"hunter2-hunter2", b"3.6.0 hunter2", b"\xffhunter2", b"", b"3." * 99]
)
def test_a_version_that_is_none_is_a_gap_and_not_quoted(name: str, text: bytes, write: Write) -> None:
    audit = auditor.scan(write(facts(**{name: text})))
    assert getattr(audit.evidence.backend, f"{name}_version") is None
    (gap,) = audit.gaps
    assert f"the {name}Version is no version, {len(text)} bytes" in gap.reason
    assert not any(part in gap.reason for part in ("hunter2", "\x1b"))


@pytest.mark.parametrize("bucket", [b"hunter2-hunter2-hunter2", b"\x1b[2J", b"b" * 300])
def test_the_name_of_a_bucket_that_may_be_a_value_is_not_quoted(bucket: bytes, write: Write) -> None:
    audit = auditor.scan(write(facts(bucket=bucket)))
    names = [name for name, _ in audit.evidence.backend.buckets]
    assert any(name.endswith(f"({len(bucket)} bytes)") for name in names)
    assert all(name.isprintable() and len(name) < 40 and "hunter2" not in name for name in names)
    assert audit.gaps
