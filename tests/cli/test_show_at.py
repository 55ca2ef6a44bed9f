"""The row at an offset, read again from the file: its signature, and no byte of its value."""

import csv
import io
import random
import shutil
from pathlib import Path

import pytest

from tests.helpers import sealing
from tests.helpers.command import run
from tests.helpers.fixtures import MIGRATION
from tests.helpers.objects import StoredObject
from tests.helpers.packing import DATA_FILTER

EVIDENCE = MIGRATION / "4-compacted.db"


def findings(path: Path, *options: str | Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(run("scan", path, *options, "--csv", "-").stdout)))


def test_a_readable_value(tmp_path: Path) -> None:
    row = next(row for row in findings(EVIDENCE) if row["finding"] == "plaintext")
    done = run("show", EVIDENCE, "--at", row["offset"])
    assert done.returncode == 0, done.stderr
    assert row["id"] in done.stdout
    assert "plaintext" in done.stdout
    assert f"{row['namespace']}/{row['name']}" in done.stdout
    assert "k8s\\x00 (an object in protobuf, not encrypted): as recorded, read again from the file" in done.stdout
    assert f"skip={row['offset']} count=4" in done.stdout


def test_an_encrypted_value(tmp_path: Path) -> None:
    done = run("scan", EVIDENCE, "--inventory", tmp_path / "i.csv")
    inventory = list(csv.DictReader(io.StringIO((tmp_path / "i.csv").read_text())))
    row = next(row for row in inventory if row["provider"] == "aescbc")
    done = run("show", EVIDENCE, "--at", row["offset"])
    assert done.returncode == 0, done.stderr
    assert "k8s:enc:aescbc:v1:key1: (an encrypted value, by its prefix): as recorded" in done.stdout


def test_an_offset_inside_a_row_names_the_row() -> None:
    row = findings(EVIDENCE)[0]
    done = run("show", EVIDENCE, "--at", str(int(row["offset"]) + 5))
    assert done.returncode == 2
    assert f"give --at {row['offset']}" in done.stderr


def test_an_offset_of_no_row_is_refused() -> None:
    done = run("show", EVIDENCE, "--at", "1")
    assert (done.returncode, "no row begins at offset 1" in done.stderr) == (2, True), done.stderr
    assert "a row only with the keys" in done.stderr


@pytest.mark.parametrize("options", [["payments/old0"], ["--json", "-"], ["--reveal", "--yes"]])
def test_it_stands_instead_of_a_key(options: list[str]) -> None:
    done = run("show", EVIDENCE, "--at", "1", *options)
    assert (done.returncode, "--at is of a file" in done.stderr) == (2, True)


def test_of_several_files_one_is_named(tmp_path: Path) -> None:
    shutil.unpack_archive(MIGRATION / "data-dir.tar.gz", tmp_path, **DATA_FILTER)
    folder = next(tmp_path.iterdir())
    row = next(row for row in findings(folder) if row["source"].endswith(".wal"))
    done = run("show", folder, "--at", row["offset"])
    assert (done.returncode, "--source" in done.stderr) == (2, True)
    done = run("show", folder, "--at", row["offset"], "--source", row["source"])
    assert (done.returncode, row["id"] in done.stdout) == (0, True), done.stderr


def test_a_copied_value_is_as_recorded_and_not_shown(tmp_path: Path) -> None:
    key, value = bytes(range(32)), b"pass-in-many-places"
    secret = StoredObject(b"a", b"owner", {b"password": value})
    copy = StoredObject(b"a", b"copy", {b"dsn": b"user:" + value}, kind=b"ConfigMap")
    sealed = sealing.seal("aescbc", "key1", key, secret, random.Random(1))
    evidence = sealing.database(
        tmp_path / "made.db", [(secret.key, sealed), (b"/registry/configmaps/a/copy", copy.protobuf())]
    )
    config = sealing.configuration(tmp_path / "c.json", sealing.provider("aescbc", ("key1", key)))
    options = ["--encryption-config", config]
    row = next(row for row in findings(evidence, *options, "--hunt") if row["finding"] == "copied-value")
    done = run("show", evidence, "--at", row["offset"], *options)
    assert done.returncode == 0, done.stderr
    assert "copied-value" in done.stdout
    assert "no signature: as recorded" in done.stdout
    assert "od -c" not in done.stdout
    assert value.decode() not in done.stdout + done.stderr
