"""Backups that are tars of objects: every byte of them is of a member, or a gap."""

import base64
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

import auditor
from auditor.model.audit import Audit
from auditor.model.vocabulary import EvidenceKind, Severity
from auditor.reports import words
from tests.helpers.ciphertexts import ciphertext
from tests.helpers.objects import StoredObject

SEALED = ciphertext("aescbc", b"key1", bytes(range(96)))
READABLE = StoredObject(name=b"leak", data={b"password": b"CANARY-in-a-tar"}).protobuf()
TEXT = json.dumps(base64.b64encode(SEALED).decode()).encode()
RELEASE, STORED = ("/vcluster/snapshot/release", b"{}"), ("/registry/secrets/a/sealed", SEALED)
RANCHER = ("secrets.#v1/a/sealed.json", TEXT)
LINKS = {"symbolic": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "device": tarfile.CHRTYPE}
Files = Sequence[tuple[str, bytes]]


def backup(files: Files, comment: str = "", kind: bytes = b"", form: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar. comment: of the last member's extended header; kind: of one more member, without content."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT if comment else form) as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            if comment and (name, content) == files[-1]:
                member.pax_headers = {"comment": comment}
            archive.addfile(member, io.BytesIO(content))
        if kind:
            member = tarfile.TarInfo("/registry/secrets/a/other")
            member.type, member.linkname = kind, "/registry/secrets/a/sealed"
            archive.addfile(member)
    return raw.getvalue()


def scan(folder: Path, raw: bytes) -> Audit:
    (folder / "backup.tar").write_bytes(raw)
    return auditor.scan(folder / "backup.tar")


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("files", [(RELEASE, STORED), (RANCHER,)], ids=["vCluster", "Rancher"])
def test_a_sealed_backup_passes(files: Files, form: int, tmp_path: Path) -> None:
    long = [(name.replace("/a/sealed", f"/{'n' * 60}/{'s' * 60}"), content) for name, content in files[-1:]]
    audit = scan(tmp_path, backup([*files, *long], form=form))
    assert not audit.gaps
    assert audit.exit_code(Severity.MEDIUM) == 0
    assert audit.inventory.place.tolist() == ["latest", "latest"]


@pytest.mark.parametrize("files", [(STORED,), (STORED, RELEASE), (("/bootstrap/abc", b"x"), STORED)])
def test_a_snapshot_of_vcluster_s_need_not_begin_with_its_release(files: Files, tmp_path: Path) -> None:
    """It is written where a Helm release is known."""
    readable = ("/registry/secrets/default/leak", READABLE)
    audit = scan(tmp_path, backup([*files, readable]))
    assert audit.evidence.kind is EvidenceKind.VCLUSTER_SNAPSHOT
    assert audit.exit_code(Severity.MEDIUM) == 1
    assert words.scope(audit) == "current keys, without their history"


@pytest.mark.parametrize("kind", LINKS.values(), ids=LINKS)
def test_a_member_without_content_is_a_gap(kind: bytes, tmp_path: Path) -> None:
    audit = scan(tmp_path, backup((RELEASE, STORED), kind=kind))
    (gap,) = audit.gaps
    assert gap.offset == 2048
    assert "is a link or a device" in gap.reason
    assert audit.exit_code(Severity.MEDIUM) == 3


@pytest.mark.parametrize("name", ["mtime", "comment"])
@pytest.mark.parametrize("files", [(RELEASE, STORED), (RANCHER,)], ids=["vCluster", "Rancher"])
def test_a_backup_may_begin_with_an_extended_header(files: Files, name: str, tmp_path: Path) -> None:
    """Of the first member: its time is a tar's own, a comment is a gap."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, content in files:
            member = tarfile.TarInfo(path)
            member.size, member.pax_headers = len(content), {name: "1700000000.25"}
            archive.addfile(member, io.BytesIO(content))
    audit = scan(tmp_path, raw.getvalue())
    assert audit.inventory.place.tolist() == ["latest"]
    assert audit.exit_code(Severity.MEDIUM) == (0 if name == "mtime" else 3)


def test_a_header_for_all_members_is_read_over(tmp_path: Path) -> None:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"uname": "etcd"}) as archive:
        for path, content in (RELEASE, STORED):
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    assert raw.getvalue()[156:157] == b"g"
    audit = scan(tmp_path, raw.getvalue())
    assert not audit.gaps
    assert audit.exit_code(Severity.MEDIUM) == 0


def test_a_folder_is_none(tmp_path: Path) -> None:
    assert scan(tmp_path, backup((RELEASE, STORED), kind=tarfile.DIRTYPE)).exit_code(Severity.MEDIUM) == 0


def test_a_comment_in_a_header_is_a_gap(tmp_path: Path) -> None:
    """In base64 a Secret there has nothing that a search of a binary file knows."""
    audit = scan(tmp_path, backup((RELEASE, STORED), comment=base64.b64encode(READABLE).decode()))
    (gap,) = audit.gaps
    assert "holds more than a tar's own" in gap.reason
    assert audit.exit_code(Severity.MEDIUM) == 3


@pytest.mark.parametrize("hidden", [b"notes", READABLE])
def test_what_is_no_object_is_one_gap(hidden: bytes, tmp_path: Path) -> None:
    audit = scan(tmp_path, backup((RANCHER, ("filters/x.bin", hidden + b"\0"))))
    (gap,) = audit.gaps
    assert (gap.offset, gap.length) == (1536, len(hidden) + 1)
    assert audit.exit_code(Severity.MEDIUM) == (1 if hidden is READABLE else 3)


def test_what_stands_between_members_is_one_gap(tmp_path: Path) -> None:
    raw = bytearray(backup((RELEASE, STORED)))
    raw[600:605] = b"stray"
    (gap,) = scan(tmp_path, bytes(raw)).gaps
    assert (gap.offset, gap.length) == (514, 510)
    assert "nothing accounts for" in gap.reason


def test_many_odd_members_take_no_longer_than_their_number(tmp_path: Path) -> None:
    many = [(f"filters/{number}.bin", b"\0" + bytes([1 + number % 200])) for number in range(20_000)]
    audit = scan(tmp_path, backup((RANCHER, *many)))
    assert len(audit.gaps) < 210
    assert audit.exit_code(Severity.MEDIUM) == 3
