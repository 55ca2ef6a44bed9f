"""A part of the longer run (python -m tests.fuzz): in CI the same files every time; and what that run found, kept."""

import io
import re
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import auditor
from auditor import Options, Severity
from tests.fuzz import archive_damage, oracle
from tests.fuzz.base import CANARY, PLAIN
from tests.fuzz.conftest import (
    ARCHIVES,
    CONFIGURATIONS,
    DATABASES,
    DQLITE,
    EXPORTS,
    IMAGES,
    KINE,
    LZW,
    OTHERS,
    STORES,
    Find,
)
from tests.fuzz.oracle import Outcome
from tests.helpers import packing

EXAMPLES = 10
PLACES = (*DATABASES, *KINE, *ARCHIVES, *CONFIGURATIONS, *EXPORTS, *LZW, *OTHERS, *STORES, *DQLITE, *IMAGES)


@pytest.mark.parametrize("place", PLACES)
def test_the_oracle_finds_the_canary_and_passes_without_it(place: str, find: Find, tmp_path: Path) -> None:
    base = find(place)
    assert oracle.judge(base, base.data, tmp_path)[0] is Outcome.FOUND
    assert base.setting or base.left(base.data)
    assert base.whole(base.data)
    if base.clean:
        assert not base.left(base.clean)
        assert oracle.judge(base, base.clean, tmp_path)[0] is Outcome.PASSED


@pytest.mark.parametrize("place", [*DATABASES, *KINE])
def test_each_base_holds_its_canary_in_its_own_place(place: str, find: Find, tmp_path: Path) -> None:
    base = find(place)
    path, options = base.lay(tmp_path, base.data)
    found = auditor.scan(path, options).findings
    plain = found[found.finding == "plaintext"]
    assert KINE.get(place, place) in set(plain.place)
    if place != "kine real":
        assert set(plain["name"]) <= {"canary", "unknown"}


@pytest.mark.parametrize("place", PLACES)
def test_mutated_evidence_never_hides_the_canary(place: str, find: Find, tmp_path: Path) -> None:
    base = find(place)

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 1 << 32))
    def run(seed: int) -> None:
        outcome, said = oracle.judge(base, base.change(base.data, seed), tmp_path, seed)
        assert not outcome.bad, (outcome, said, seed)

    run()


def test_the_oracle_sees_what_is_shown_and_what_is_hidden(
    find: Find, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An auditor that shows a value, a key or the end of one, that passes, or that faults, does not go unnoticed."""
    base = find("latest")
    shown = oracle._rendered
    for text in (CANARY.decode(), CANARY.hex(), base.secrets[0].hex()[8:40]):
        monkeypatch.setattr(oracle, "_rendered", lambda audit, costly, text=text: f"..{text}..")
        assert oracle.judge(base, base.data, tmp_path)[0] is Outcome.SHOWN
    monkeypatch.setattr(oracle, "_rendered", lambda audit, costly: 1 / 0)
    assert oracle.judge(base, base.data, tmp_path)[0] is Outcome.CRASH
    monkeypatch.setattr(oracle, "_rendered", lambda audit, costly: str(len(b"x" * (300 << 20))))
    assert oracle.judge(base, base.data, tmp_path)[0] is Outcome.LARGE
    monkeypatch.setattr(oracle, "_rendered", shown)
    monkeypatch.setattr(auditor.Audit, "exit_code", lambda self, level: 0)
    assert oracle.judge(base, base.data, tmp_path)[0] is Outcome.FALSE_PASS


@pytest.mark.parametrize("part", [b"secrets/prod", b"canary"])
def test_a_key_that_names_something_else_hides_no_secret(part: bytes, find: Find, tmp_path: Path) -> None:
    """One letter of an etcd key changed, and the value was no longer a Secret's to the auditor."""
    base = find("latest")
    data = bytearray(base.data)
    at = data.index(PLAIN.key) + PLAIN.key.index(part) + 3
    for letter in (0x00, 0x78, 0xE3):
        data[at] = letter
        path, _ = base.lay(tmp_path, bytes(data))
        audit = auditor.scan(path, Options(encryption_configs=(base.config,)))
        (row,) = audit.findings[audit.findings.finding == "plaintext"].to_dict("records")
        assert row["resource"] == "secrets"
        assert row["detail"].startswith("its etcd key names another resource") == (part != b"canary")
        assert data[row["offset"] : row["offset"] + row["size"]].count(CANARY) == 1
        assert audit.exit_code(Severity.CRITICAL) == 1


def _leaf(data: bytes | bytearray) -> int:
    """Where the page with the canary begins."""
    return data.index(CANARY) // 4096 * 4096


def test_a_page_of_rows_that_says_it_is_an_index_is_read(find: Find, tmp_path: Path) -> None:
    """The cells of an index are not told: a leaf of `kine` with another first byte was passed over without a word."""
    base = find("kine latest")
    data = bytearray(base.data)
    data[_leaf(base.data)] = 10
    outcome, said = oracle.judge(base, bytes(data), tmp_path)
    assert outcome in {Outcome.FOUND, Outcome.OPEN}, said
    path, options = base.lay(tmp_path, bytes(data))
    assert any("none of its pages" in gap.reason for gap in auditor.scan(path, options).gaps)


@pytest.mark.parametrize("place", ["kine log", "kine log stale", "kine log stale alone"])
@pytest.mark.parametrize("kind", [2, 10])
def test_rows_in_a_frame_that_says_it_is_of_an_index_are_read(
    place: str, kind: int, find: Find, tmp_path: Path
) -> None:
    """All of its cells were taken for an index's, which hold names, and nothing was said."""
    base, header, frame = find(place), 32, 24
    data = bytearray(base.data)
    page = (data.index(CANARY) - header) // (frame + 4096) * (frame + 4096) + header + frame
    assert data[page] == 13
    data[page] = kind
    outcome, said = oracle.judge(base, bytes(data), tmp_path)
    assert outcome is Outcome.FOUND, said


@pytest.mark.parametrize("place", ["kine latest", "kine deleted", "kine log stale alone"])
def test_a_row_whose_name_and_envelope_are_zeros_is_missed(place: str, find: Find, tmp_path: Path) -> None:
    """A stretch of zeros over both left a row of nothing that Kubernetes is known by: exit 0, the Secret in it."""
    base = find(place)
    data = bytearray(base.data)
    start, end = data.rindex(PLAIN.key, 0, data.index(CANARY)), data.index(CANARY) - 20
    assert end - start < 160
    data[start:end] = bytes(end - start)
    path, options = base.lay(tmp_path, bytes(data))
    audit = auditor.scan(path, options)
    assert any("1 value under keys that begin with a zero" in each.what for each in audit.unexamined)
    assert audit.exit_code(Severity.MEDIUM) == 3


def test_rows_in_the_table_of_sequences_are_read(find: Find, tmp_path: Path) -> None:
    """sqlite_sequence was taken to hold what SQLite puts there: a leaf of `kine` in its place was not looked at."""
    base = find("kine latest")
    data = bytearray(base.data)
    own = next(at for at in range(4096, len(data), 4096) if data[at] == 13 and data[at + 4] == 1 and at != _leaf(data))
    leaf = _leaf(base.data)
    data[own : own + 4096], data[leaf : leaf + 4096] = data[leaf : leaf + 4096], data[own : own + 4096]
    path, options = base.lay(tmp_path, bytes(data))
    audit = auditor.scan(path, options)
    assert any("rows of the table sqlite_sequence" in gap.reason for gap in audit.gaps)
    assert set(audit.findings[audit.findings.finding == "plaintext"]["name"]) == {"canary"}


def test_a_file_taken_out_of_a_zips_directory_alone_is_missed(find: Find, tmp_path: Path) -> None:
    """Its bytes were still there, and nothing said that they had not been read."""
    base = find("zip")
    data = bytearray(base.data)
    first, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    second = data.index(b"PK\x01\x02", first + 1)
    count, _, length = struct.unpack_from("<HHI", data, end + 8)
    struct.pack_into("<HHI", data, end + 8, count - 1, count - 1, length - (second - first))
    del data[first:second]
    assert len(zipfile.ZipFile(io.BytesIO(data)).namelist()) == 2
    assert base.left(bytes(data))
    path, options = base.lay(tmp_path, bytes(data))
    audit = auditor.scan(path, options)
    assert any("of no file that its directory names" in gap.reason for gap in audit.gaps)
    assert audit.exit_code(Severity.MEDIUM) == 3


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
@pytest.mark.parametrize("wide", [False, True], ids=["", "zip64"])
def test_a_zip_that_was_written_as_a_stream_holds_nothing_hidden(
    find: Find, tmp_path: Path, method: int, *, wide: bool
) -> None:
    """The sizes behind each file belong to it, and so do zeros between files."""

    class Pipe(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            written.extend(data)
            return len(data)

    base, written = find("latest"), bytearray()
    with zipfile.ZipFile(Pipe(), "w", method) as archive:
        for name in ("one.db", "two.db"):
            with archive.open(name, "w", force_zip64=wide) as out:
                out.write(base.clean)
    assert b"PK\x07\x08" in written
    (tmp_path / "a.zip").write_bytes(written)
    audit = auditor.scan(tmp_path / "a.zip", Options(encryption_configs=(base.config,)))
    assert audit.gaps == ()
    assert audit.exit_code(Severity.MEDIUM) == 0


def test_a_file_without_a_name_in_a_zip_is_read(find: Find, tmp_path: Path) -> None:
    """zipfile looks for a slash at the end of a name that has none."""
    base, out = find("zip"), io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("x", find("latest").data)
    data = bytearray(out.getvalue())
    entry, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    size, at = struct.unpack_from("<II", data, end + 12)
    struct.pack_into("<II", data, end + 12, size - 1, at - 1)
    for length, name in ((entry + 28, entry + 46), (26, 30)):
        assert data[name : name + 1] == b"x"
        struct.pack_into("<H", data, length, 0)
        del data[name]
    outcome, said = oracle.judge(base, bytes(data), tmp_path)
    assert outcome is Outcome.FOUND, said


def test_what_lies_behind_the_end_of_a_tar_is_missed(find: Find, tmp_path: Path) -> None:
    """`cat a.tar b.tar` is a tar of the first alone to tar, which ends at two blocks of zeros."""
    base = find("tar")
    hidden = packing.tar({"canary.db": find("latest").data})
    path, options = base.lay(tmp_path, base.clean + hidden)
    audit = auditor.scan(path, options)
    assert any("behind the tar's end" in gap.reason for gap in audit.gaps)
    assert audit.exit_code(Severity.MEDIUM) == 1  # the sweep reads on
    path.write_bytes(base.clean + bytes(20_480))  # padding of a tape
    assert auditor.scan(path, options).exit_code(Severity.MEDIUM) == 0


@pytest.mark.parametrize("place", ["kine latest", "kine slack", "kine overflow"])
def test_a_value_in_the_column_of_another_is_read(place: str, find: Find, tmp_path: Path) -> None:
    """One bit of a record's header put a Secret into `lease`, which nobody looked into."""
    base = find(place)
    data = bytearray(base.data)
    # created, deleted, create_revision, prev_revision and lease as the constants 1 and 0; value, old_value; the name
    (found,) = re.finditer(rb"\x09\x08\x08\x08\x08..{1,2}\x00" + PLAIN.key, data, re.DOTALL)
    data[found.start() + 3] = 0x80
    outcome, said = oracle.judge(base, bytes(data), tmp_path)
    assert outcome in {Outcome.FOUND, Outcome.OPEN}, said
    assert base.left(bytes(data))


@pytest.mark.parametrize("size", [1 << 80, (1 << 80) + 7])
@pytest.mark.parametrize("pax", [False, True], ids=["header", "pax"])
def test_a_member_of_a_size_beyond_all_bounds_does_not_keep_tarfile_for_ever(
    find: Find, tmp_path: Path, size: int, *, pax: bool
) -> None:
    """tarfile skips what is not read block by block, also behind the end of the file: 2^80 bytes of them."""
    info = tarfile.TarInfo("notes.txt")
    info.size = 0 if pax else size
    info.pax_headers = {"size": str(size)} if pax else {}
    header = info.tobuf(tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT)
    base = find("tar")
    at = base.clean.rindex(b"backup/notes.txt")
    data = base.clean[:at] + header + bytes(1024)
    outcome, said = oracle.judge(base, data, tmp_path)
    assert outcome is Outcome.OPEN, said


@pytest.mark.parametrize("kind", [tarfile.XGLTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_file_that_says_it_is_an_extended_header_is_missed(kind: bytes, find: Find, tmp_path: Path) -> None:
    """tarfile drops what it does not understand of such a header: one changed letter hid a snapshot."""
    base = find("tar")
    data = bytearray(base.data)
    data[156:157] = kind
    archive_damage._tar_sum(data, 0)
    assert base.left(bytes(data))
    outcome, said = oracle.judge(base, bytes(data), tmp_path)
    assert outcome in {Outcome.OPEN, Outcome.REFUSED}, said


def test_extended_headers_that_are_some_are_read(find: Find, tmp_path: Path) -> None:
    names = {tarfile.PAX_FORMAT: "é" * 200 + ".db", tarfile.GNU_FORMAT: "a" * 300 + ".db"}
    for form, name in names.items():
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=form, pax_headers={"comment": "of the whole"}) as archive:
            info = tarfile.TarInfo(name)
            info.size, info.pax_headers = len(find("latest").clean), {"mtime": "1.5", "SCHILY.xattr.user.x": "a=b\nc"}
            archive.addfile(info, io.BytesIO(find("latest").clean))
        path, options = find("tar").lay(tmp_path, out.getvalue())
        audit = auditor.scan(path, options)
        assert audit.gaps == ()
        assert audit.exit_code(Severity.MEDIUM) == 0


def test_a_sparse_file_whose_list_of_parts_leaves_out_some_is_missed(find: Find, tmp_path: Path) -> None:
    """By its list it held nothing; what was stored of it was skipped. In a data directory nothing else was left."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, raw in (("canary.db", find("latest").data), ("snap/db", find("latest").clean)):
            info = tarfile.TarInfo(name)
            info.size, info.type = len(raw), tarfile.GNUTYPE_SPARSE
            archive.addfile(info, io.BytesIO(raw))
    base = find("tar")
    outcome, said = oracle.judge(base, out.getvalue(), tmp_path)
    assert outcome is Outcome.REFUSED, said
    outcome, said = oracle.judge(base, out.getvalue()[:-10_240] + base.clean, tmp_path)
    assert outcome in {Outcome.OPEN, Outcome.REFUSED}, said
