"""The list of what to rotate over several exhibits, by newer evidence, and as of another day."""

import csv
import io
import random
import tarfile
from pathlib import Path

import pytest

from tests.helpers import sealing
from tests.helpers.certificates import certificate, key_pem
from tests.helpers.command import run
from tests.helpers.objects import StoredObject
from tests.helpers.sealing import KEY, configuration, provider

SHARED, OLD, NEWER = b"PASSWORD-shared-3af1", b"PASSWORD-old-77bc", b"PASSWORD-newer-91de"
UID, OTHER = b"71314e90-44b9-4311-833c-506d91031055", b"00000000-44b9-4311-833c-506d91031055"
COLUMNS = ("status", "secrets", "credentials")


def system(uid: bytes) -> tuple[bytes, bytes]:
    thing = StoredObject(name=b"kube-system", namespace=b"", kind=b"Namespace", uid=uid)
    return b"/registry/namespaces/kube-system", thing.protobuf()


def stored(name: bytes, value: bytes, field: bytes = b"password") -> tuple[bytes, bytes]:
    thing = StoredObject(b"shop", name, {field: value})
    return thing.key, thing.protobuf()


def sealed(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    thing = StoredObject(b"shop", name, {b"password": value})
    return thing.key, sealing.seal("aescbc", "key1", KEY, thing, random.Random(1))


@pytest.fixture
def backups(tmp_path: Path) -> tuple[Path, Path]:
    """Two of one cluster: `db` was changed between them, and `copy` holds what `same` holds."""
    first = [system(UID), stored(b"db", OLD), stored(b"same", SHARED)]
    second = [*first, stored(b"db", NEWER), stored(b"copy", SHARED)]
    return sealing.database(tmp_path / "1.db", first), sealing.database(tmp_path / "2.db", second)


def listed(tmp_path: Path, *arguments: str | Path) -> list[tuple[str, ...]]:
    """Rows beside the write path's own."""
    target = tmp_path / "list.csv"
    done = run("scan", *arguments, "--rotation", target, "--force")
    assert done.returncode in {1, 3}, done.stderr
    rows = list(csv.DictReader(io.StringIO(target.read_text())))
    return [tuple(row[name] for name in COLUMNS) for row in rows if row["order"] != "0"]


EXPECTED = [
    ("current", "shop/copy (password);shop/same (password)", "1"),
    ("current", "shop/db (password)", "1"),
    ("changed", "shop/db (password)", "1"),
]


@pytest.mark.parametrize("turned", [False, True])
def test_a_value_of_several_backups_is_one_row(backups: tuple[Path, Path], tmp_path: Path, *, turned: bool) -> None:
    """What the newest backup of a cluster holds no more is changed, whichever is named first."""
    old, new = backups
    assert listed(tmp_path, old)[0][:2] == ("current", "shop/db (password)")
    assert listed(tmp_path, *((new, old) if turned else (old, new))) == EXPECTED
    text = tmp_path / "list.md"
    done = run("scan", old, new, "--rotation", text, "--html", tmp_path / "x.html")
    assert "Rotation: 3 credentials to rotate." in done.stdout
    assert text.read_text().count("Evidence ") == 2
    for report in (text, tmp_path / "x.html"):
        assert not any(value in report.read_bytes() for value in (SHARED, OLD, NEWER))


def test_the_exhibits_of_one_archive_are_one_list(backups: tuple[Path, Path], tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "both.tar", "w") as archive:
        for each in backups:
            archive.add(each, each.name)
    assert listed(tmp_path, tmp_path / "both.tar") == EXPECTED


def test_two_clusters_decide_each_for_itself(backups: tuple[Path, Path], tmp_path: Path) -> None:
    other = sealing.database(tmp_path / "3.db", [system(OTHER), stored(b"db", OLD), stored(b"db", b"short")])
    rows = listed(tmp_path, *backups, other)
    assert rows == [
        ("current", "shop/copy (password) of 2.db;shop/same (password) of 2.db", "1"),
        ("current", "shop/db (password) of 2.db", "1"),
        ("current", "shop/db (password) of 3.db", "1"),
        ("changed", "shop/db (password) of 2.db;shop/db (password) of 3.db", "1"),
    ]


def test_a_newest_backup_that_no_key_opens_leaves_it_unknown(backups: tuple[Path, Path], tmp_path: Path) -> None:
    records = [system(UID), stored(b"db", OLD), stored(b"same", SHARED), sealed(b"db", NEWER), sealed(b"same", SHARED)]
    last = sealing.database(tmp_path / "3.db", [*records, *[system(UID)] * 3])
    assert {status for status, *_ in listed(tmp_path, *backups, last)} == {"unknown"}
    config = configuration(tmp_path / "c.json", provider("aescbc", ("key1", KEY)), {"identity": {}})
    rows = listed(tmp_path, *backups, last, "--encryption-config", config)
    assert {secrets: status for status, secrets, _ in rows if "copy" in secrets} == {
        "shop/copy (password);shop/same (password)": "current"
    }
    assert sorted(status for status, secrets, _ in rows if "db" in secrets) == ["changed", "current"]


def test_newer_evidence_decides(backups: tuple[Path, Path], tmp_path: Path) -> None:
    old, new = backups
    assert listed(tmp_path, old, "--current", new) == [
        ("current", "shop/same (password)", "1"),
        ("changed", "shop/db (password)", "1"),
    ]
    config = configuration(tmp_path / "c.json", provider("aescbc", ("key1", KEY)), {"identity": {}})
    last = sealing.database(
        tmp_path / "3.db", [system(UID), *[stored(b"x", b"")] * 9, sealed(b"db", NEWER), sealed(b"same", SHARED)]
    )
    assert {status for status, *_ in listed(tmp_path, old, new, "--current", last)} == {"unknown"}
    rows = listed(tmp_path, old, new, "--current", last, "--current-config", config)
    assert [status for status, secrets, _ in rows if "db" in secrets] == ["current", "changed"]
    target = tmp_path / "leak.csv"
    run("scan", old, "--current", last, "--current-config", config, "--rotation", target)
    assert "Stop the leak" not in target.read_text()
    strange = sealing.database(tmp_path / "4.db", [system(OTHER), *[stored(b"db", OLD)] * 9])
    assert {status for status, *_ in listed(tmp_path, old, "--current", strange)} == {"unknown"}


def test_as_of(tmp_path: Path) -> None:
    thing = StoredObject(
        b"shop", b"tls", {b"tls.crt": certificate("2028-01-01", 0), b"tls.key": key_pem(0)}, b"kubernetes.io/tls"
    )
    evidence = sealing.database(tmp_path / "1.db", [(thing.key, thing.protobuf())])
    other = sealing.database(tmp_path / "2.db", [(thing.key, thing.protobuf())] * 2)
    for items in ([evidence], [evidence, other]):
        statuses = [
            [status for status, *_ in listed(tmp_path, *items, "--as-of", day)] for day in ("2027-12-31", "2028-01-02")
        ]
        assert statuses == [["current"], ["expired"]]


def test_pseudonyms_need_a_key(backups: tuple[Path, Path], tmp_path: Path) -> None:
    done = run("scan", *backups, "--rotation", tmp_path / "x.csv", "--redact-names")
    assert done.returncode == 2
    assert "give --redact-key too" in done.stderr
    key = tmp_path / "key"
    key.write_text("0123456789abcdef0123")
    rows = listed(tmp_path, *backups, "--redact-names", "--redact-key", key)
    assert [(status, credentials) for status, _, credentials in rows] == [(each[0], each[2]) for each in EXPECTED]
    assert not any(word in cell for row in rows for cell in row for word in ("shop", "same", "copy"))


def test_parts_that_were_not_read_leave_what_is_current_unknown(backups: tuple[Path, Path], tmp_path: Path) -> None:
    damaged = bytearray(backups[0].read_bytes())
    where = damaged.rindex(SHARED)
    damaged[where - 60 : where - 40] = bytes(20)
    path = tmp_path / "damaged.db"
    path.write_bytes(damaged)
    assert "current" not in {status for status, secrets, _ in listed(tmp_path, path) if "same" in secrets}
