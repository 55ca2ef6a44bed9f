"""Disk images that are not raw, as QEMU and ewfacquire write them: what is carved is what the raw disk gives."""

import hashlib
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import auditor
from auditor import Options
from auditor.errors import MissingExtra, UnreadableEvidence
from auditor.evidence.images import disk_formats
from auditor.model.audit import Audit
from auditor.model.vocabulary import Severity
from tests.helpers.command import run
from tests.helpers.fixtures import MIGRATION

RAW = 12 << 20
FIRST, SECOND = (3 << 20) + 512, 9 << 20
needs_qemu = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="no qemu-img: apt-get install qemu-utils")
needs_ewf = pytest.mark.skipif(shutil.which("ewfacquire") is None, reason="no ewfacquire: apt-get install ewf-tools")


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk with two databases, and noise, which no format packs."""
    disk = bytearray(RAW)
    disk[1 << 20 : 2 << 20] = random.Random(1).randbytes(1 << 20)
    for at, name in ((FIRST, "1-plaintext.db"), (SECOND, "4-compacted.db")):
        content = (MIGRATION / name).read_bytes()
        disk[at : at + len(content)] = content
    path = tmp_path_factory.mktemp("raw") / "disk.raw"
    path.write_bytes(disk)
    return path


@pytest.fixture(scope="module")
def known(raw: Path) -> list[tuple[object, ...]]:
    return rows(carve(raw))


def carve(path: Path) -> Audit:
    return auditor.scan(path, Options(carve=True))


def rows(audit: Audit) -> list[tuple[object, ...]]:
    table = audit.inventory
    return list(zip(table.offset.tolist(), table["size"].tolist(), table.key.tolist(), strict=True))


def convert(raw: Path, image: Path, form: str, *options: str) -> Path:
    command = ["qemu-img", "convert", "-f", "raw", "-O", form, *options, str(raw), str(image)]
    subprocess.run(command, check=True, capture_output=True)
    return image


def acquired(raw: Path, folder: Path, *options: str) -> Path:
    command = ["ewfacquire", "-u", "-q", "-t", str(folder / "disk"), "-f", "encase6", *options, str(raw)]
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return folder / "disk.E01"


QEMU = {
    "qcow2": ("qcow2", ()),
    "qcow2 with small clusters": ("qcow2", ("-o", "cluster_size=4096")),
    "qcow2 of version 2": ("qcow2", ("-o", "compat=0.10")),
    "vmdk": ("vmdk", ()),
    "vmdk, compressed stream": ("vmdk", ("-o", "subformat=streamOptimized")),
    "vmdk with an extent beside it": ("vmdk", ("-o", "subformat=twoGbMaxExtentSparse")),
    "vmdk with a flat extent": ("vmdk", ("-o", "subformat=monolithicFlat")),
    "vhdx": ("vhdx", ()),
    "vhd": ("vpc", ("-o", "force_size")),
}


@needs_qemu
@pytest.mark.parametrize("name", QEMU)
def test_an_image_of_qemus_gives_what_the_raw_disk_gives(
    name: str, raw: Path, known: list[tuple[object, ...]], tmp_path: Path
) -> None:
    form, options = QEMU[name]
    image = convert(raw, tmp_path / f"disk.{form}", form, *options)
    before = image.read_bytes()
    audit = carve(image)
    assert rows(audit) == known
    assert not audit.gaps
    assert {container.name for container in audit.evidence.containers} == {path.name for path in tmp_path.iterdir()}
    digests = {each.name: each.sha256 for each in audit.evidence.containers}
    assert digests[image.name] == hashlib.sha256(before).hexdigest()
    assert image.read_bytes() == before


@needs_ewf
@pytest.mark.parametrize("packing", ["none", "best"])
def test_an_e01_in_segments_gives_what_the_raw_disk_gives(
    packing: str, raw: Path, known: list[tuple[object, ...]], tmp_path: Path
) -> None:
    image = acquired(raw, tmp_path, "-S", "1500000", "-c", packing)
    audit = carve(image)
    assert rows(audit) == known
    assert not audit.gaps
    assert len(audit.evidence.containers) == len(list(tmp_path.glob("disk.E*")))
    assert (len(audit.evidence.containers) > 2) == (packing == "none")


@needs_ewf
def test_a_report_of_an_image_in_segments_is_verified_against_them(raw: Path, tmp_path: Path) -> None:
    image = acquired(raw, tmp_path, "-S", "5000000", "-c", "none")
    assert run("scan", "--carve", image, "--json", tmp_path / "r.json").returncode == 1
    done = run("verify", tmp_path / "r.json", image)
    assert done.returncode == 0, done.stdout
    assert "findings lie where the report says" in done.stdout
    last = max(tmp_path.glob("disk.E0*"))
    assert last.name in done.stdout
    last.write_bytes(last.read_bytes() + b"x")
    assert run("verify", tmp_path / "r.json", image).returncode == 1


@needs_ewf
def test_a_damaged_e01_is_held_against_its_own_hash(raw: Path, tmp_path: Path) -> None:
    """libewf reads a damaged chunk as zeros, without an error."""
    image = acquired(raw, tmp_path, "-c", "none")
    content = bytearray(image.read_bytes())
    at = content.index((MIGRATION / "4-compacted.db").read_bytes()[8192:8704])
    content[at] ^= 255
    image.write_bytes(content)
    audit = carve(image)
    assert any("another MD5" in gap.reason for gap in audit.gaps)
    assert audit.exit_code(Severity.CRITICAL) == 3


@needs_ewf
def test_an_e01_without_a_segment_is_read_as_far_as_it_goes(
    raw: Path, known: list[tuple[object, ...]], tmp_path: Path
) -> None:
    image = acquired(raw, tmp_path, "-S", "1500000", "-c", "none")
    segments = sorted(tmp_path.glob("disk.E*"))
    segments[len(segments) // 2].unlink()
    audit = carve(image)
    assert any("cannot be read from offset" in gap.reason for gap in audit.gaps)
    carved = rows(audit)
    assert carved
    assert set(carved) < set(known)


def _encrypted(raw: Path, image: Path) -> None:
    secret = (
        "--object",
        "secret,id=s,data=word",
        "-o",
        "encrypt.format=aes,encrypt.key-secret=s",
    )
    convert(raw, image, "qcow2", *secret)


def _backed(raw: Path, image: Path) -> None:
    base = convert(raw, image.with_name("base.qcow2"), "qcow2")
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", "qcow2", str(image)]
    subprocess.run(command, check=True)


def _differing(raw: Path, image: Path) -> None:
    base = convert(raw, image.with_name("base.vmdk"), "vmdk")
    command = ["qemu-img", "create", "-q", "-f", "vmdk", "-b", str(base), "-F", "vmdk", str(image)]
    subprocess.run(command, check=True)


def _lone_descriptor(raw: Path, image: Path) -> None:
    convert(raw, image, "vmdk", "-o", "subformat=monolithicFlat")
    image.with_name("disk-flat.vmdk").unlink()


def _leading_out(raw: Path, image: Path) -> None:
    _lone_descriptor(raw, image)
    image.write_text(image.read_text().replace("disk-flat.vmdk", "../raw0/disk.raw"))


def _through_a_link(raw: Path, image: Path) -> None:
    _lone_descriptor(raw, image)
    image.with_name("disk-flat.vmdk").symlink_to(raw)


def _unclosed(raw: Path, image: Path) -> None:
    content = bytearray(convert(raw, image, "vhdx").read_bytes())
    for head in (1 << 16, 1 << 17):
        content[head + 48 : head + 64] = b"\1" * 16
    image.write_bytes(content)


REFUSED: dict[str, tuple[str, Callable[[Path, Path], object], str]] = {
    "compressed": ("qcow2", lambda raw, image: convert(raw, image, "qcow2", "-c"), "compressed clusters"),
    "packed by zstd": (
        "qcow2",
        lambda raw, image: convert(raw, image, "qcow2", "-c", "-o", "compression_type=zstd"),
        "features",
    ),
    "encrypted": ("qcow2", _encrypted, "encrypted"),
    "with a backing file": ("qcow2", _backed, "backing file"),
    "with a parent": ("vmdk", _differing, "parent"),
    "without its extent": ("vmdk", _lone_descriptor, "no file beside it"),
    "whose extent lies elsewhere": ("vmdk", _leading_out, "no file beside it"),
    "whose extent is a link": ("vmdk", _through_a_link, "no file beside it"),
    "not closed": ("vhdx", _unclosed, "log holds writes"),
}


@needs_qemu
@pytest.mark.parametrize("name", REFUSED)
def test_what_a_library_would_read_wrongly_is_refused(name: str, raw: Path, tmp_path: Path) -> None:
    ending, make, words = REFUSED[name]
    image = tmp_path / f"disk.{ending}"
    make(raw, image)
    with pytest.raises(UnreadableEvidence, match=words) as error:
        carve(image)
    assert "qemu-img convert -O raw" in str(error.value)


@needs_qemu
def test_snapshots_inside_an_image_are_a_gap(raw: Path, tmp_path: Path) -> None:
    image = convert(raw, tmp_path / "disk.qcow2", "qcow2")
    subprocess.run(["qemu-img", "snapshot", "-c", "before", str(image)], check=True)
    audit = carve(image)
    assert any("1 internal snapshot" in gap.reason for gap in audit.gaps)


@needs_qemu
def test_a_disk_larger_than_is_allowed_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(image), "1T"], check=True)
    with pytest.raises(UnreadableEvidence, match="--max-unpacked"):
        carve(image)


@needs_qemu
def test_cut_and_damaged_images_end_in_words_and_leave_nothing(raw: Path, tmp_path: Path) -> None:
    chance, work = random.Random(3), tmp_path / "work"
    work.mkdir()
    for form in ("qcow2", "vmdk", "vhdx"):
        image = convert(raw, tmp_path / f"disk.{form}", form)
        content = image.read_bytes()
        for number in range(2):
            damaged = bytearray(content[: chance.randrange(1, len(content))] if number % 2 else content)
            for _ in range(8):
                damaged[chance.randrange(min(len(damaged), 1 << 18))] = chance.randrange(256)
            image.write_bytes(damaged)
            done = run("scan", "--carve", image, "--work-dir", work)
            assert done.returncode in {1, 2, 3}
            assert list(work.iterdir()) == []
            assert "fault" not in done.stderr
            assert done.returncode != 2 or image.name in done.stderr


def test_without_the_library_the_extra_and_the_command_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> object:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(disk_formats, "import_module", absent)
    for start, command in ((b"QFI\xfb", "qemu-img convert"), (b"EVF\x09\x0d\x0a\xff\0", "ewfexport")):
        (tmp_path / "disk").write_bytes(start + bytes(500))
        with pytest.raises(MissingExtra, match=r"etcd-auditor\[forensic\]") as error:
            carve(tmp_path / "disk")
        assert command in str(error.value)
