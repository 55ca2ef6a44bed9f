"""Data directories of real dqlite nodes: the newest state is what the node answers, and every canary is told of."""

import base64
import json
import re
import shutil
import tarfile
from collections.abc import Sequence
from pathlib import Path

import lz4.frame
import pytest

import auditor
from auditor import Options
from auditor.errors import AuditorError
from auditor.evidence import readers
from auditor.evidence.discovery import paths
from auditor.evidence.dqlite import names
from auditor.evidence.dqlite.names import Kind
from auditor.evidence.reading import Reading
from auditor.model.vocabulary import Place, Severity
from tests.evidence.sql.test_dumps import expected
from tests.fuzz.base import CANARY
from tests.helpers import dqlite, sealing
from tests.helpers.fixtures import FIXTURES
from tests.helpers.packing import DATA_FILTER
from tests.helpers.sql_servers import Row

FOLDER = FIXTURES / "dqlite"
VERSIONS = ("dqlite-1.11", "dqlite-1.18", "dqlite-1.18-lz4")
VISIBLE = {Place.LATEST, Place.HISTORY, Place.DELETED, Place.OLD_VALUE}


def unpacked(version: str, folder: Path) -> Path:
    with tarfile.open(FOLDER / f"{version}.tar.xz") as archive:
        archive.extractall(folder, **DATA_FILTER)
    return folder / "backend"


def truth() -> list[Row]:
    lines = json.loads((FOLDER / "truth.json").read_text())
    blobs = [[None if cell is None else base64.b64decode(cell) for cell in line[6:]] for line in lines]
    return [Row(line[0], line[1].encode(), *line[2:6], *own) for line, own in zip(lines, blobs, strict=True)]


def files_of(folder: Path, kind: Kind) -> list[Path]:
    return sorted(path for path in folder.iterdir() if (own := names.of(path.name)) and own.kind is kind)


def visible(reading: Reading) -> list[tuple[int, bytes, int, bytes, int]]:
    """Of every value of the newest state: id of its row, key, revision, bytes, place."""
    return sorted(
        (int(batch.ordinal[row]), batch.key(row), int(batch.mod_revision[row]), batch.value(row), int(batch.place[row]))
        for batch in reading.batches
        for row in range(len(batch))
        if batch.place[row] in VISIBLE and batch.key_at[row] >= 0
    )


def spans(reading: Reading) -> dict[str, list[tuple[int, int]]]:
    """What values and gaps cover, by file."""
    covered: dict[str, list[tuple[int, int]]] = {}
    for batch in reading.batches:
        for row in range(len(batch)):
            at, size = int(batch.offset[row]), int(batch.size[row])
            for part in batch.extents.get(row) or [(at, size, "")]:
                covered.setdefault(part[2] or batch.source, []).append((part[0], part[0] + part[1]))
    for gap in reading.gaps:
        covered.setdefault(gap.source, []).append((gap.offset, gap.offset + gap.length))
    return covered


def check(folder: Path, rows: Sequence[Row] | None) -> Reading:
    """The newest rows are those of a node, and every canary in every file lies in a value or a gap."""
    with paths.gather(folder, None, hashed=False) as exhibit:
        reading = readers.read(exhibit, quick=False)
        if rows is not None:
            assert visible(reading) == expected(rows)
        covered = spans(reading)
        met = 0
        for file in exhibit.known:
            for match in re.finditer(re.escape(CANARY), bytes(file.map)):
                met += 1
                own = covered.get(file.name, [])
                assert any(start <= match.start() < end for start, end in own), f"{file.name}, {match.start()}"
        assert met
    return reading


@pytest.mark.parametrize("version", VERSIONS)
def test_the_newest_state_is_what_the_node_answered(version: str, tmp_path: Path) -> None:
    reading = check(unpacked(version, tmp_path), truth())
    assert reading.gaps == ()
    assert not any(each.decisive for each in reading.unexamined)
    places = {Place(code).label for batch in reading.batches for code in batch.place.tolist()}
    # older dqlite's snapshots hold their newest pages in a WAL, of which nothing lies in the database yet
    assert places == {"latest", "history", "deleted", "old-value", "wal"} | ({"freed"} if "1.18" in version else set())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_packed_directory_is_the_same(version: str, tmp_path: Path) -> None:
    alone = auditor.scan(unpacked(version, tmp_path))
    packed = auditor.scan(FOLDER / f"{version}.tar.xz")
    columns = ["place", "finding", "key", "mod_revision", "offset", "size"]
    assert packed.inventory[columns].values.tolist() == alone.inventory[columns].values.tolist()
    assert [gap.reason for gap in packed.gaps] == [gap.reason for gap in alone.gaps]
    assert packed.exit_code(Severity.MEDIUM) == alone.exit_code(Severity.MEDIUM) == 1


@pytest.fixture
def backend(tmp_path: Path) -> Path:
    return unpacked("dqlite-1.18", tmp_path)


def inconclusive(folder: Path, words: str) -> Reading:
    """A directory of which something is missing: read as far as it goes, and never concluded on."""
    reading = check(folder, None)
    assert any(words in gap.reason for gap in reading.gaps), reading.gaps
    audit = auditor.scan(folder)
    assert not audit.complete
    assert audit.tally.readable
    return reading


def test_a_missing_snapshot(backend: Path) -> None:
    for path in files_of(backend, Kind.SNAPSHOT):
        path.unlink()
    inconclusive(backend, "is described and is not there")


def test_snapshots_and_descriptions_that_are_missing(backend: Path) -> None:
    for path in (*files_of(backend, Kind.SNAPSHOT), *files_of(backend, Kind.META)):
        path.unlink()
    inconclusive(backend, "no snapshot that can be read")


def test_a_snapshot_without_description(backend: Path) -> None:
    files_of(backend, Kind.META)[-1].unlink()
    inconclusive(backend, "has no whole description")


def test_a_missing_segment(backend: Path) -> None:
    *_, newest = files_of(backend, Kind.CLOSED)
    first = names.of(newest.name)
    assert first is not None
    shutil.move(newest, backend / f"{first.numbers[0] + 3:016}-{first.numbers[1] + 3:016}")
    inconclusive(backend, "of the log are not there")


@pytest.mark.parametrize("part", [1, 9, 40, 3000])
def test_a_torn_segment(part: int, backend: Path) -> None:
    newest = files_of(backend, Kind.CLOSED)[-1]
    newest.write_bytes(newest.read_bytes()[:-part])
    inconclusive(backend, "torn, or damaged")


def test_a_changed_byte_of_a_segment(backend: Path) -> None:
    newest = files_of(backend, Kind.CLOSED)[-1]
    raw = bytearray(newest.read_bytes())
    raw[len(raw) // 2] ^= 1
    newest.write_bytes(raw)
    inconclusive(backend, "whose checksum does not hold")


def test_a_segment_twice(backend: Path) -> None:
    older, _ = files_of(backend, Kind.CLOSED)[-2:]
    own = names.of(older.name)
    assert own is not None
    shutil.copy(older, backend / f"{own.numbers[0] + 1:016}-{own.numbers[1] + 1:016}")
    inconclusive(backend, "that another segment holds")


def test_segments_that_run_in_circles(backend: Path) -> None:
    """Names whose ranges run backwards, and into each other: each entry counts once, and the rest is said."""
    first, second, third = files_of(backend, Kind.CLOSED)[-3:]
    shutil.copy(second, backend / f"{80:016}-{65:016}")
    shutil.copy(third, backend / f"{70:016}-{90:016}")
    shutil.copy(first, backend / f"{96:016}-{111:016}")
    inconclusive(backend, "its name says -14")
    inconclusive(backend, "that another segment holds")


def test_a_snapshot_that_is_cut(backend: Path) -> None:
    newest = files_of(backend, Kind.SNAPSHOT)[-1]
    newest.write_bytes(newest.read_bytes()[:-5000])
    inconclusive(backend, "are there: cut")


def test_sizes_beyond_the_file(backend: Path) -> None:
    """The sizes of a database of 2^63 bytes, and entries for which no file has room."""
    newest = files_of(backend, Kind.SNAPSHOT)[-1]
    raw = bytearray(newest.read_bytes())
    raw[24:40] = b"\xff" * 16
    newest.write_bytes(raw)
    segment = files_of(backend, Kind.CLOSED)[0]
    raw = bytearray(segment.read_bytes())
    raw[16:24] = b"\xff" * 8
    segment.write_bytes(raw)
    inconclusive(backend, "for which the file has no room")


def test_another_format(backend: Path) -> None:
    segment = files_of(backend, Kind.CLOSED)[0]
    raw = bytearray(segment.read_bytes())
    raw[0] = 2
    segment.write_bytes(raw)
    inconclusive(backend, "format 2 at offset 0, expected 1")


def test_a_file_of_another_kind_is_a_gap(backend: Path) -> None:
    (backend / "notes.bin").write_bytes(b"\0\1\2" * 50)
    assert any("nothing that dqlite writes" in gap.reason for gap in auditor.scan(backend).gaps)


def test_files_of_go_dqlite_are_none(backend: Path) -> None:
    (backend / "cluster.yaml").write_text("- Address: 127.0.0.1:19001\n  ID: 3297041220608546238\n  Role: 0\n")
    (backend / "info.yaml").write_text("Address: 127.0.0.1:19001\nID: 3297041220608546238\nRole: 0\n")
    (backend / "localnode.yaml").write_text("Address: 127.0.0.1:19001\n")
    (backend / "cluster.key").write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    audit = auditor.scan(backend)
    assert not audit.gaps
    assert any("cluster.key is the key of dqlite's own TLS" in note for note in audit.notes)


def test_keys_beside_it_are_present(backend: Path) -> None:
    secret = base64.b64encode(sealing.KEY).decode()
    config = {
        "kind": "EncryptionConfiguration",
        "apiVersion": "apiserver.config.k8s.io/v1",
        "resources": [
            {"resources": ["secrets"], "providers": [{"aescbc": {"keys": [{"name": "key1", "secret": secret}]}}]}
        ],
    }
    (backend / "encryption-config.yaml").write_text(json.dumps(config))
    audit = auditor.scan(backend)
    (row,) = audit.findings[audit.findings.finding == "key-present"].to_dict("records")
    assert row["source"] == "encryption-config.yaml"


def test_a_bomb_leaves_nothing(tmp_path: Path) -> None:
    folder = unpacked("dqlite-1.18-lz4", tmp_path)
    files_of(folder, Kind.SNAPSHOT)[-1].write_bytes(lz4.frame.compress(bytes(1 << 26), store_size=False))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(AuditorError, match="--max-"):
        auditor.scan(folder, Options(max_unpacked=1 << 22, work_dir=str(tmp_path)))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_running_node(tmp_path: Path) -> None:
    """The directory of a node that runs, of one that was killed, and of one that was stopped."""
    node = dqlite.Node(tmp_path / "backend", (16, 24))
    with node:
        dqlite.fill(node, 50)
        rows = dqlite.rows(node)
        hot = check(node.copy(tmp_path / "hot"), rows)
    assert [each.what for each in hot.unexamined if each.decisive] == ["the newest writes"]
    stopped = check(node.folder, rows)
    assert not any(each.decisive for each in stopped.unexamined)
    with node:
        node.insert((900, "/registry/secrets/prod/late", 1, 0, 0, 0, CANARY, None))
        rows = dqlite.rows(node)
        node.kill()
    killed = check(node.folder, rows)
    assert any(each.decisive for each in killed.unexamined)
