"""Raw bytes: what is carved out of them is what the stores in them held, and nothing else."""

import gzip
import lzma
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import auditor
from auditor import Options
from auditor.errors import UnreadableEvidence, UsageError
from auditor.evidence.file import EvidenceFile
from auditor.model.audit import Audit
from auditor.model.vocabulary import Severity
from tests.helpers import images
from tests.helpers.command import run
from tests.helpers.fixtures import FIXTURES
from tests.helpers.objects import StoredObject

MIGRATION = FIXTURES / "migration-aescbc"
COMPACTED = MIGRATION / "4-compacted.db"
CONFIGURATION = str(MIGRATION / "4-compacted.encryption.json")
KINE = FIXTURES / "kine" / "kine-bundled" / "4-compacted.raw.tar.gz"
NOISE = bytes(range(1, 256)) * 300
SECRET = StoredObject(name=b"alone", data={b"password": b"CANARY-in-an-image"})


def carve(folder: Path, raw: bytes, **options: object) -> Audit:
    (folder / "disk.img").write_bytes(raw)
    return auditor.scan(folder / "disk.img", Options(carve=True, **options))  # type: ignore[arg-type]


def values(audit: Audit, file: Path) -> set[bytes]:
    """The bytes of every row of an audit."""
    raw = file.read_bytes()
    table = audit.inventory
    return {raw[at : at + size] for at, size in zip(table.offset.tolist(), table["size"].tolist(), strict=True)}


@pytest.mark.parametrize("before", [0, 512, 4099])
def test_a_database_at_any_offset_gives_the_values_that_it_gives_as_a_file(before: int, tmp_path: Path) -> None:
    audit = carve(tmp_path, NOISE[:before] + COMPACTED.read_bytes() + NOISE, encryption_configs=(CONFIGURATION,))
    known = auditor.scan(COMPACTED, Options(encryption_configs=(CONFIGURATION,)))
    assert values(audit, tmp_path / "disk.img") == values(known, COMPACTED)
    assert set(audit.inventory.place) == {"unplaced"}
    assert set(audit.inventory.decrypted) == {"", "yes"}
    assert set(audit.findings[audit.findings.finding == "plaintext"].same_as_latest) == {"unknown"}


def test_one_value_is_without_copies_with_all_its_offsets(tmp_path: Path) -> None:
    raw = COMPACTED.read_bytes()
    once, twice = carve(tmp_path, raw).inventory, carve(tmp_path, raw + NOISE + raw).inventory
    assert twice.offset.tolist() == once.offset.tolist()
    second = len(raw) + len(NOISE)
    assert all(str(at + second) in text for at, text in zip(twice.offset.tolist(), twice.detail, strict=True))


def test_pages_that_contradict_each_other_are_groups_of_their_own(tmp_path: Path) -> None:
    one = carve(tmp_path, NOISE + COMPACTED.read_bytes())
    assert sum(note.startswith("group ") for note in one.notes) == 1
    two = carve(tmp_path, (MIGRATION / "1-plaintext.db").read_bytes() + NOISE + COMPACTED.read_bytes())
    assert sum(note.startswith("group ") for note in two.notes) == 2
    assert any("several databases or generations" in note for note in two.notes)
    assert all("of pages" in text for text in two.inventory.detail)


def test_rows_of_kine_have_their_names(tmp_path: Path) -> None:
    with tarfile.open(KINE) as archive:
        member = next(each for each in archive if each.isfile() and not each.name.endswith(("-wal", "-shm")))
        content = archive.extractfile(member)
        assert content is not None
        audit = carve(tmp_path, NOISE[:777] + content.read() + NOISE)
    keys = audit.inventory.key
    assert keys.str.startswith("/registry/secrets/").sum() > 20


@pytest.mark.parametrize("form", ["protobuf", "sealed"])
def test_a_bare_value_is_a_row_where_it_holds_together(form: str, tmp_path: Path) -> None:
    sealed = b"k8s:enc:aescbc:v1:key1:" + bytes(range(128, 224))
    audit = carve(tmp_path, NOISE[:1000] + (SECRET.protobuf() if form == "protobuf" else sealed) + bytes(5000))
    (row,) = audit.inventory.to_dict("records")
    assert row["offset"] == 1000
    assert row["provider"] == ("identity" if form == "protobuf" else "aescbc")
    assert row["name"] == ("alone" if form == "protobuf" else "unknown")


def test_a_copy_of_an_encrypted_value_without_its_record_is_told_with_the_value(tmp_path: Path) -> None:
    """It does not say where it ends: what follows it in memory is no part of it, and no value of its own."""
    raw = COMPACTED.read_bytes()
    known = carve(tmp_path, raw).inventory
    sealed = known[(known.provider == "aescbc") & (known["size"] > 200)].iloc[0]
    value = raw[sealed.offset : sealed.offset + sealed["size"]]
    copies = raw + bytes(4096) + value + NOISE + bytes(100) + value[:150] + bytes(5000)
    audit = carve(tmp_path, copies).inventory
    assert audit.offset.tolist() == known.offset.tolist()
    (row,) = audit[audit.offset == sealed.offset].to_dict("records")
    assert all(str(at) in row["detail"] for at in (len(raw) + 4096, copies.rindex(value[:150])))


TEXTS = {
    "strings of a program": b"k8s:enc:k8s:enc:aescbc:v1:k8s:enc:aesgcm:v1:identity" * 3,
    "a document": b"values begin with k8s:enc:aescbc:v1:key1: followed by what is encrypted, in base64 or not at all",
    "a manifest": b'{"kind":"Secret","apiVersion":"v1","metadata":{"name":"a"},"data":{"a":"YQ=="}}',
    "separators": b"name_\0\0\0\0\0\0\0\0\n\x05" * 40,
    "magic numbers": b"k8s\0\n" * 100 + b"\xed\xda\x0c\xed\x02\0\0\0" * 9,
    "frames": b"\x20\0\0\0\0\0\0\0\x08\x02\x10\x01" * 60,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_what_only_looks_like_a_value_is_none(text: bytes, tmp_path: Path) -> None:
    audit = carve(tmp_path, NOISE + text + NOISE)
    assert not len(audit.inventory)
    assert audit.exit_code(Severity.MEDIUM) == 3


def test_a_value_whose_length_is_overwritten_is_met_by_its_own(tmp_path: Path) -> None:
    """The record says that the value is of seven bytes, and its envelope that it is longer."""
    raw = bytearray((MIGRATION / "1-plaintext.db").read_bytes())
    at = raw.index(b"k8s\0\n\x0c\n\x02v1\x12\x06Secret")
    while not (raw[at - 3] == 0x2A or raw[at - 2] == 0x2A):
        at = raw.index(b"k8s\0\n\x0c\n\x02v1\x12\x06Secret", at + 1)
    whole = carve(tmp_path, bytes(raw)).inventory
    raw[at - 1 if raw[at - 2] == 0x2A else at - 2] = 0x07 if raw[at - 2] == 0x2A else 0x87
    damaged = carve(tmp_path, bytes(raw)).inventory
    size = dict(zip(whole.offset, whole["size"], strict=True))
    assert dict(zip(damaged.offset, damaged["size"], strict=True)).get(at) == size[at]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("disk.qcow2", b"QFI\xfb" + bytes(500), "qemu-img convert"),
        ("disk.E01", b"EVF\x09\x0d\x0a\xff\0" + bytes(500), "ewfexport"),
        ("disk.vhdx", b"vhdxfile" + bytes(500), "qemu-img convert"),
        ("disk.zip", b"PK\x03\x04" + bytes(500), "unpack it"),
        ("disk.img.gz", b"\x1f\x8b\x08\0" + bytes(500), "nothing can be unpacked"),
    ],
)
def test_what_is_not_raw_is_refused_with_what_makes_it_raw(
    name: str, content: bytes, words: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableEvidence, match=words):
        auditor.scan(tmp_path / name, Options(carve=True))


PACKERS: dict[str, Callable[[bytes], bytes]] = {"gz": gzip.compress, "xz": lzma.compress}


@pytest.mark.parametrize("form", PACKERS)
def test_an_image_that_is_compressed_is_unpacked(form: str, tmp_path: Path) -> None:
    raw = NOISE[:777] + COMPACTED.read_bytes() + NOISE
    known = carve(tmp_path, raw).inventory
    packed = tmp_path / f"disk.img.{form}"
    packed.write_bytes(PACKERS[form](raw))
    audit = auditor.scan(packed, Options(carve=True))
    assert audit.inventory.offset.tolist() == known.offset.tolist()
    assert set(audit.inventory.source) == {f"disk.img.{form}!disk.img"}
    assert [container.name for container in audit.evidence.containers] == [packed.name]
    assert not audit.gaps
    packed.write_bytes(packed.read_bytes()[:-40])
    cut = auditor.scan(packed, Options(carve=True))
    assert cut.gaps
    assert set(cut.inventory.offset) <= set(known.offset)


def test_a_bomb_is_no_image(tmp_path: Path) -> None:
    bomb = gzip.compress(gzip.compress(bytes(32 << 20)))
    (tmp_path / "disk.img.gz").write_bytes(bomb)
    with pytest.raises(UnreadableEvidence, match="--max-"):
        auditor.scan(tmp_path / "disk.img.gz", Options(carve=True, max_unpacked=1 << 24))


def test_a_file_that_nothing_identifies_is_refused_with_the_way_to_carve_it(tmp_path: Path) -> None:
    (tmp_path / "disk.img").write_bytes(NOISE)
    with pytest.raises(UnreadableEvidence, match="--carve"):
        auditor.scan(tmp_path / "disk.img")


def test_a_folder_and_a_quick_search_are_refused(tmp_path: Path) -> None:
    (tmp_path / "disk.img").write_bytes(NOISE)
    with pytest.raises(UsageError, match="--quick"):
        auditor.scan(tmp_path / "disk.img", Options(carve=True, quick=True))
    with pytest.raises(UsageError, match="folder"):
        auditor.scan(tmp_path, Options(carve=True))


def test_a_file_ends_where_a_seek_leads(tmp_path: Path) -> None:
    (tmp_path / "disk.img").write_bytes(NOISE)
    with EvidenceFile.open(tmp_path / "disk.img", hashed=False, device=True) as file:
        assert file.size == len(NOISE)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Path]:
    """A block device over an image; skipped where nobody may make one."""
    image = tmp_path / "disk.img"
    raw = NOISE[:1000] + COMPACTED.read_bytes()
    image.write_bytes(raw + bytes(-len(raw) % 512))
    done = subprocess.run(
        ["losetup", "--find", "--show", "--read-only", str(image)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("no loop device can be made here")
    yield Path(done.stdout.strip())
    subprocess.run(["losetup", "--detach", done.stdout.strip()], check=True)


def test_a_block_device_is_carved_as_its_bytes_are(device: Path, tmp_path: Path) -> None:
    of_device, of_file = (auditor.scan(path, Options(carve=True)) for path in (device, tmp_path / "disk.img"))
    columns = ["place", "finding", "key", "mod_revision", "offset", "size"]
    assert len(of_file.inventory) > 60
    assert of_device.inventory[columns].equals(of_file.inventory[columns])
    assert of_device.evidence.size == of_file.evidence.size
    assert of_device.evidence.sha256 == of_file.evidence.sha256


def test_show_and_keys_read_what_is_carved(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(NOISE[:100] + COMPACTED.read_bytes())
    shown = run("show", "--carve", image, "payments/old0", "--encryption-config", CONFIGURATION)
    assert shown.returncode in {0, 3}
    assert "unplaced" in shown.stdout
    keys = run("keys", "--carve", image, "--encryption-config", CONFIGURATION)
    assert "key1" in keys.stdout


@pytest.mark.etcd
def test_an_etcd_that_was_deleted_from_a_disk_is_carved_whole(tmp_path: Path) -> None:
    folder, image = tmp_path / "root", tmp_path / "disk.img"
    life = images.live(folder / "etcd", 60)
    images.ext4(image, 192 << 20, folder)
    images.delete(image, "/etcd/member/snap", ["db"])
    (tmp_path / "config.yaml").write_text(images.CONFIGURATION)
    audit = auditor.scan(image, Options(carve=True, encryption_configs=(str(tmp_path / "config.yaml"),)))
    lying = life.lying_in(image.read_bytes())
    table = audit.inventory[~audit.inventory.state.str.contains("lost")]
    raw = image.read_bytes()
    told = {raw[at : at + size] for at, size in zip(table.offset.tolist(), table["size"].tolist(), strict=True)}
    assert len(lying) > 60
    assert told == lying
    assert set(table.decrypted) == {"", "yes"}
    assert not audit.gaps
