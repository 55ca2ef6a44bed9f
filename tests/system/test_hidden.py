"""A readable Secret where readers did not look, in evidence that is in order but for it: the run never ends with 0."""

import base64
import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.fuzz.dqlite import SEGMENT, SNAPSHOT, _change, _states
from tests.helpers import dqlite_files, packing, sealing
from tests.helpers.command import run
from tests.helpers.fixtures import DEFRAGMENTED, PLAINTEXT
from tests.helpers.objects import StoredObject

CONFIG = DEFRAGMENTED.with_suffix(".encryption.json")
CLEAN = DEFRAGMENTED.read_bytes()
THING = StoredObject(b"default", b"stolen", {b"password": b"hidden-CANARY-41c7"})
JSON, PROTOBUF, CBOR = THING.json(), THING.protobuf(), THING.cbor()
TWICE = base64.b64encode(base64.b64encode(JSON)).decode()
NOTES = b"nothing to see here\n" * 20


def code(path: Path, config: Path = CONFIG) -> int:
    """The exit code; no run says a value."""
    done = run("scan", path, "--encryption-config", config)
    assert "CANARY" not in done.stdout + done.stderr
    assert "fault" not in done.stderr
    return done.returncode


def zipped(method: int, packed: bytes) -> bytes:
    """A zip of the clean database and of notes that are packed as they are given."""
    database = zlib.compress(CLEAN, wbits=-15)
    members = [
        (b"5.db", zipfile.ZIP_DEFLATED, database, zlib.crc32(CLEAN), len(CLEAN)),
        (b"notes.txt", method, packed, zlib.crc32(NOTES), len(NOTES)),
    ]
    out, directory = b"", b""
    for name, way, content, crc, size in members:
        numbers = (way, 0, 0x21, crc, len(content), size, len(name), 0)
        entry = (b"PK\1\2", 20, 20, 0, *numbers, 0, 0, 0, 0o600 << 16, len(out))
        directory += struct.pack("<4s6H3L5H2L", *entry) + name
        out += struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, *numbers) + name + content
    return out + directory + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2, 2, len(directory), len(out), 0)


def raw_lzma(content: bytes) -> bytes:
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16}]
    properties = struct.pack("<BL", 93, 1 << 16)  # lc 3, lp 0, pb 2
    packer = lzma.LZMACompressor(lzma.FORMAT_RAW, filters=filters)
    return struct.pack("<BBH", 9, 4, len(properties)) + properties + packer.compress(content) + packer.flush()


ZIPS: dict[str, tuple[int, bytes, bytes]] = {
    "stored": (zipfile.ZIP_STORED, NOTES, NOTES + JSON),
    "deflated": (zipfile.ZIP_DEFLATED, zlib.compress(NOTES, wbits=-15), zlib.compress(NOTES, wbits=-15) + JSON),
    "bzip2": (zipfile.ZIP_BZIP2, bz2.compress(NOTES), bz2.compress(NOTES) + JSON),
    "bzip2 twice": (zipfile.ZIP_BZIP2, bz2.compress(NOTES), bz2.compress(NOTES) + bz2.compress(JSON)),
    "bzip2 longer": (zipfile.ZIP_BZIP2, bz2.compress(NOTES), bz2.compress(NOTES + JSON)),
    "lzma": (zipfile.ZIP_LZMA, raw_lzma(NOTES), raw_lzma(NOTES) + JSON),
}


@pytest.mark.parametrize("way", ZIPS)
def test_behind_the_packed_data_of_a_zips_member(way: str, tmp_path: Path) -> None:
    method, whole, more = ZIPS[way]
    path = tmp_path / "backup.zip"
    path.write_bytes(zipped(method, whole))
    assert code(path) == 0
    path.write_bytes(zipped(method, more))
    assert code(path) in {1, 3}


def sparse(parts: str, size: int, stored: bytes) -> bytes:
    """A tar with the clean database and a sparse member, in the form 0.1 of GNU tar's records of pax."""

    def member(name: str, content: bytes, kind: bytes = b"0") -> bytes:
        info = tarfile.TarInfo(name)
        info.size, info.type = len(content), kind
        return info.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % 512)

    records = b""
    facts = {"numblocks": "2", "map": parts, "size": str(size), "name": "notes.txt"}
    for name, text in facts.items():
        body = f" GNU.sparse.{name}={text}\n"
        length = len(body) + 2
        records += f"{length if len(str(length)) == 2 else length + 1}{body}".encode()
    return member("5.db", CLEAN) + member("x", records, b"x") + member("notes.txt", stored) + bytes(1024)


@pytest.mark.parametrize(
    ("parts", "size", "expected"),
    [("0,1024,1024,1024", 2048, {1}), ("0,1024,0,1024", 1024, {1, 3}), ("0,1024,1024,1024", 1024, {1, 3})],
    ids=["in order", "overlapping", "behind the end"],
)
def test_in_sparse_members(parts: str, size: int, expected: set[int], tmp_path: Path) -> None:
    (tmp_path / "backup.tar").write_bytes(sparse(parts, size, (NOTES * 3)[:1024] + JSON.ljust(1024)))
    assert code(tmp_path / "backup.tar") in expected


@pytest.mark.parametrize("name", ["stolen.json", ".hidden", "segment-2"])
def test_beside_the_parts_of_an_object_of_gardeners(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "backup" / "Full-00000000-00000155-1790000000"
    folder.mkdir(parents=True)
    half = len(CLEAN) // 2
    (folder / "0000000001").write_bytes(CLEAN[:half])
    (folder / "0000000002").write_bytes(CLEAN[half:])
    assert code(tmp_path / "backup") == 0
    (folder / name).write_bytes(PROTOBUF)
    assert code(tmp_path / "backup") in {1, 3}
    (folder / name).unlink()
    (folder / "0000000003").mkdir()
    (folder / "0000000003" / "x.db").write_bytes(PLAINTEXT.read_bytes())
    assert code(tmp_path / "backup") in {1, 3}


LIST = (
    "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  data:\n    password: aGlkZGVuLUNBTkFSWQ==\n"
    "  kind: Secret\n"
    "  metadata:\n    annotations:\n      note: opened by the EncryptionConfiguration of 2025\n    name: stolen\n"
)
COMPANIONS: dict[str, bytes] = {
    "a list that speaks of it": LIST.encode(),
    "a Secret behind it": CONFIG.read_bytes() + b"\n---\napiVersion: v1\nkind: Secret\ndata:\n  p: aGlkZGVu\n",
    "base64 in base64": CONFIG.read_bytes() + b"\n# " + TWICE.encode(),
    "gzip": b"EncryptionConfiguration\0" + gzip.compress(JSON),
    "cbor": b"EncryptionConfiguration\n" + CBOR,
    "xz": b"EncryptionConfiguration" + lzma.compress(PLAINTEXT.read_bytes()),
}


@pytest.mark.parametrize("what", COMPANIONS)
def test_in_what_passes_for_a_configuration(what: str, tmp_path: Path) -> None:
    content = COMPANIONS[what]
    files = {"5.db": CLEAN, "enc.yaml": content}
    (tmp_path / "backup.tar.gz").write_bytes(gzip.compress(packing.tar(files)))
    (tmp_path / "backup.zip").write_bytes(packing.zip_archive(files))
    folder = tmp_path / "backup"
    folder.mkdir()
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
    for path in (tmp_path / "backup.tar.gz", tmp_path / "backup.zip", folder):
        assert code(path) in {1, 3}, path.name


@pytest.mark.parametrize("name", ["stolen.db.tmp", "tmp-stolen"])
def test_under_a_name_of_a_file_that_was_not_finished(name: str, tmp_path: Path) -> None:
    """dqlite calls its own so, and others theirs."""
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(CLEAN))
    assert code(tmp_path / f"{name}.gz") == 0
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(PLAINTEXT.read_bytes()))
    assert code(tmp_path / f"{name}.gz") == 1
    (tmp_path / "a.tar").write_bytes(packing.tar({"good.db": CLEAN, name: PLAINTEXT.read_bytes()}))
    assert code(tmp_path / "a.tar") == 1


def test_beside_dqlites_files_in_an_archive(tmp_path: Path) -> None:
    rng = random.Random(11)
    config = sealing.configuration(tmp_path / "enc.json", sealing.provider("aescbc", ("key1", sealing.KEY)))
    things = [StoredObject(b"prod", b"q%d" % number, {b"p": b"x" * 60}) for number in range(7)]
    sealed = [(thing.key, sealing.seal("aescbc", "key1", sealing.KEY, thing, rng)) for thing in things]
    states = _states(tmp_path / "states.db", sealed)
    files: Mapping[str, bytes] = {
        f"{SNAPSHOT}.meta": dqlite_files.meta(),
        "backend/metadata1": dqlite_files.metadata(),
        SNAPSHOT: dqlite_files.snapshot(states[4]),
        SEGMENT: dqlite_files.segment([[_change(states, 5)], [_change(states, 6)]]),
    }
    (tmp_path / "a.tar").write_bytes(packing.tar(files))
    assert code(tmp_path / "a.tar", Path(config)) == 0
    (tmp_path / "a.tar").write_bytes(packing.tar({**files, "backend/state.db.tmp": PLAINTEXT.read_bytes()}))
    assert code(tmp_path / "a.tar", Path(config)) == 1


def dump(more: str = "", lease: str = "0", comment: str = "") -> Callable[[list[tuple[bytes, bytes]]], str]:
    """A dump of PostgreSQL's of kine's table; more: the cells of a column that kine has not."""

    def text(values: list[tuple[bytes, bytes]]) -> str:
        out = io.StringIO()
        out.write(f"--\n-- PostgreSQL database dump\n--\n\n{comment}SET statement_timeout = 0;\n\n")
        columns = "id, name, created, deleted, create_revision, prev_revision, lease, value, old_value"
        out.write(f"COPY public.kine ({columns}{', backup' if more else ''}) FROM stdin;\n")
        for number, (key, value) in enumerate(values, 1):
            cells = [str(number), key.decode(), "1", "0", "0", "0", lease, f"\\\\x{value.hex()}", "\\N"]
            out.write("\t".join([*cells, *([more] if more else [])]) + "\n")
        out.write("\\.\n\n\n--\n-- PostgreSQL database dump complete\n--\n\n")
        return out.getvalue()

    return text


def in_lines(text: str, width: int) -> str:
    return "".join(f"-- {text[at : at + width]}\n" for at in range(0, len(text), width))


DUMPS = {
    "a further column, CBOR in hex": dump(more=f"\\\\x{CBOR.hex()}"),
    "a further column, base64 in base64": dump(more=TWICE),
    "the lease, CBOR in hex": dump(lease=f"\\\\x{CBOR.hex()}"),
    "comments of 76 letters": dump(comment=in_lines(base64.b64encode(b" " * 28 + JSON).decode(), 76)),
    "comments of 64 letters": dump(comment=in_lines(base64.b64encode(b" " * 20 + JSON).decode(), 64)),
    "comments of 16 letters": dump(comment=in_lines(base64.b64encode(JSON).decode(), 16)),
}


@pytest.mark.parametrize("where", DUMPS)
def test_in_a_dump_beside_what_is_kines(where: str, tmp_path: Path) -> None:
    rng = random.Random(1)
    config = sealing.configuration(tmp_path / "enc.json", sealing.provider("aescbc", ("key1", sealing.KEY)))
    things = [StoredObject(b"prod", b"q%d" % number, {b"p": b"x"}) for number in range(3)]
    values = [(thing.key, sealing.seal("aescbc", "key1", sealing.KEY, thing, rng)) for thing in things]
    (tmp_path / "a.sql").write_text(dump()(values))
    assert code(tmp_path / "a.sql", Path(config)) == 0
    (tmp_path / "a.sql").write_text(DUMPS[where](values))
    assert code(tmp_path / "a.sql", Path(config)) in {1, 3}


DAMAGED = (
    "6b3873000a0c0a027631120653656372657412700a3c0a0663616e6172791a0470726f642a2436663066356631632d303030"
    "302d343030302d383030302d30303030303030303030303142060880f7c4d50612280a7264121f7264121c43414e4152592d"
    "66757a7a2d356631643763306139626532343338361a064f70617175651a002200"
)
"""A Secret in hex as the fuzzer left it: the length of a name runs over the value behind it."""


def test_a_value_that_damage_has_made_a_name_is_not_shown(tmp_path: Path) -> None:
    """Of a value whose end is lost: the length of a data value's name runs over the value."""
    (tmp_path / "a.db").write_bytes(CLEAN)
    (tmp_path / "notes.txt").write_text(f"-- a note\nINSERT INTO notes VALUES (1, X'{DAMAGED}');\n")
    done = run("scan", tmp_path, "--csv", "-")
    assert done.returncode == 1
    assert "(no name)" in done.stdout
    assert "CANARY" not in done.stdout + done.stderr
