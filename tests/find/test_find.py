"""find: every canary of the fixtures, in every form and place; nothing that is not there; open where it may be."""

import base64
import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from auditor.errors import UsageError
from auditor.find import values as value_files
from auditor.find.everywhere import everywhere
from auditor.find.model import Search
from auditor.options import Options
from tests.helpers import kine_stages
from tests.helpers.command import run_wide as run
from tests.helpers.fixtures import FIXTURES, MIGRATION, SNAPSHOTS, name_of, truth
from tests.helpers.objects import StoredObject
from tests.helpers.sealing import KEY, OTHER, configuration, database, provider, seal
from tests.helpers.taint import Taint

ABSENT = [b"CANARY-that-nobody-wrote-%02d-9f3a" % number for number in range(5)]
VALUE = b'Vq7-"horse"\\rack <19>'
PAGE = 4096


def find(path: Path, values: Sequence[bytes], *configs: "Path | str") -> Search:
    return everywhere([str(path)], Options(resources=("*",), encryption_configs=tuple(map(str, configs))), values)


def holder(text: bytes, kind: str = "Secret") -> StoredObject:
    return StoredObject(b"n", b"holder", {b"password": text}, kind=kind.encode())


def secrets_of(path: Path) -> dict[bytes, tuple[str, bool]]:
    """Every canary, its Secret, and whether it is the newest of it."""
    secrets = truth(path)["secrets"].items()
    pairs = {secret["canary"].encode(): (name, True) for name, secret in secrets}
    return {**{text.encode(): (name, False) for name, own in secrets for text in own.get("earlier", ())}, **pairs}


def in_bytes(text: bytes, raw: bytes) -> bool:
    middles = [base64.b64encode(b"\0" * shift + text) for shift in range(3)]
    return any(each in raw for each in (text, *(coded[4 : len(coded) - 4] for coded in middles)))


def test_raw_bytes_hold_what_their_file_holds_and_nothing_there_is_called_current(tmp_path: Path) -> None:
    """A disk image: values of a database in it, and one that no store holds."""
    path, loose = MIGRATION / "4-compacted.db", b"CANARY-beside-every-store-51c0"
    image = tmp_path / "disk.img"
    noise = bytes(range(1, 256)) * 30
    image.write_bytes(noise + path.read_bytes() + noise + loose + noise)
    canaries = [*secrets_of(path), loose, *ABSENT]
    configs = (str(path.with_suffix(".encryption.json")),)
    asked = Options(resources=("*",), encryption_configs=configs, carve=True)
    carved, known = everywhere([str(image)], asked, canaries), find(path, canaries, *configs)
    assert carved.found == known.found | {len(canaries) - len(ABSENT)}
    assert {carved.current(number) for number in carved.found} == {"unknown"}
    assert all(hit.may_be_current for exhibit in carved.exhibits for hit in exhibit.occurrences)
    values, out = tmp_path / "values", tmp_path / "places.json"
    values.write_bytes(b"\n".join(canaries))
    done = run("find", image, "--carve", "--value-file", values, "--json", out)
    assert done.returncode == 1
    assert {hit["current"] for each in json.loads(out.read_text())["evidence"] for hit in each["places"]} == {None}


@pytest.mark.parametrize("path", SNAPSHOTS, ids=name_of)
def test_each_canary_of_a_snapshot_is_found_and_nothing_else(path: Path) -> None:
    """What stands in the file's bytes, and what the current Secrets hold under the keys at hand."""
    canaries, raw = secrets_of(path), path.read_bytes()
    wanted = [*canaries, *ABSENT]
    configs = [each for each in [path.with_suffix(".encryption.json")] if each.exists()]
    findings = find(path, wanted, *configs)
    found = {wanted[number - 1] for number in findings.found}
    held = {
        entry["key"].removeprefix("/registry/secrets/")
        for entry in truth(path)["stored"]
        if "/registry/secrets/" in entry["key"] and not entry["provider"].startswith("kms")
    }
    written = {text for text in canaries if in_bytes(text, raw)}
    current = {text for text, (name, newest) in canaries.items() if newest and name in held}
    assert written | current <= found
    assert not found & set(ABSENT)
    for hit in findings.exhibits[0].occurrences:
        name, _ = canaries[wanted[hit.value - 1]]
        assert name in hit.key or hit.key == "" or hit.resource != "secrets"
        assert wanted[hit.value - 1] in written or hit.decrypted or hit.form.endswith("gzip")
        if hit.form == "raw" and not hit.decrypted:
            assert raw.startswith(wanted[hit.value - 1], hit.offset)
    for number, text in enumerate(wanted, 1):
        if text in current:
            assert findings.current(number) == "yes"
    assert find(path, ABSENT, *configs).exit_code == (3 if "providers" in str(path) else 0)


@pytest.mark.parametrize("stage", kine_stages.STAGES, ids=kine_stages.name_of)
def test_each_canary_that_stands_in_kines_files_is_found(stage: Path, tmp_path: Path) -> None:
    folder = kine_stages.unpack(stage, tmp_path)
    canaries = list(kine_stages.canaries(stage))
    raw = b"".join(path.read_bytes() for path in folder.iterdir() if path.suffix != ".db-shm")
    findings = find(folder, [*canaries, *ABSENT], kine_stages.configuration(stage))
    found = {number for number, text in enumerate(canaries, 1) if text in raw}
    assert found
    assert found <= findings.found <= set(range(1, len(canaries) + 1))


FORMS: dict[str, tuple[bytes, str]] = {
    **{f"base64 at {shift}": (base64.b64encode(b"x" * shift + VALUE + b"yy"), "base64") for shift in range(4)},
    "base64 alone": (base64.b64encode(VALUE), "base64"),
    "base64 of URLs": (base64.urlsafe_b64encode(b"\xfb\xff" + VALUE), "base64"),
    "JSON": (json.dumps({"a": VALUE.decode()}).encode(), "JSON-escaped"),
    "JSON as Go writes it": (
        json.dumps(VALUE.decode()).replace("<", "\\u003c").replace(">", "\\u003e").encode(),
        "JSON-escaped",
    ),
    "raw": (VALUE, "raw"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sealed", [False, True], ids=["readable", "decrypted"])
def test_every_form_is_found_where_it_stands(form: str, sealed: bool, tmp_path: Path) -> None:
    text, kind = FORMS[form]
    thing = holder(b"before " + text + b" behind")
    stored = seal("aescbc", "key1", KEY, thing, random.Random(2)) if sealed else thing.protobuf()
    path = database(tmp_path / "a.db", [(thing.key, stored)])
    findings = find(path, [VALUE], configuration(tmp_path / "c.json", provider("aescbc", ("key1", KEY))))
    assert findings.exit_code == 1
    (hit,) = findings.exhibits[0].occurrences
    assert (hit.form, hit.decrypted, hit.field) == (kind, sealed, "data.password")
    assert hit.key == "/registry/secrets/n/holder"
    assert findings.current(1) == "yes"


def test_a_value_that_only_an_older_revision_holds_is_not_current(tmp_path: Path) -> None:
    old, new = holder(VALUE), holder(b"another")
    findings = find(database(tmp_path / "a.db", [(old.key, old.protobuf()), (new.key, new.protobuf())]), [VALUE])
    assert {hit.place.label for hit in findings.exhibits[0].occurrences if hit.place is not None} == {"history"}
    assert findings.current(1) == "no"


def test_a_value_under_a_key_that_is_not_there_leaves_it_open(tmp_path: Path) -> None:
    thing = holder(VALUE)
    for key, code in ((KEY, 1), (OTHER, 3)):
        path = database(tmp_path / "a.db", [(thing.key, seal("secretbox", "key1", KEY, thing, random.Random(3)))])
        config = configuration(tmp_path / "c.json", provider("secretbox", ("key1", key)))
        assert find(path, [VALUE], config).exit_code == code
    assert find(path, [VALUE]).exit_code == 3


@pytest.mark.parametrize("keep", ["beginning", "end"])
def test_a_value_cut_by_a_page_that_is_used_anew_leaves_it_open(keep: str, tmp_path: Path) -> None:
    """Half of it is overwritten up to the page's border: what is left may have been it."""
    path, config = MIGRATION / "4-compacted.db", MIGRATION / "4-compacted.encryption.json"
    text = truth(path)["secrets"]["payments/old1"]["canary"].encode()
    raw = bytearray(path.read_bytes())
    assert raw.count(text) == 1  # encrypted in the current revision: take another value that only freed bytes hold
    gone = b"Gone-" + random.Random(5).randbytes(10).hex().encode()
    page = raw.find(text) // PAGE * PAGE
    if keep == "beginning":
        raw[page + PAGE - 12 : page + PAGE] = gone[:12]
    else:
        raw[page : page + 9] = gone[-9:]
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(raw)
    findings = find(damaged, [gone], config)
    assert findings.exit_code == 3
    assert [part.value for part in findings.exhibits[0].remnants]
    assert find(path, [gone], config).exit_code == 0


def test_a_gap_leaves_it_open(tmp_path: Path) -> None:
    path, config = MIGRATION / "5-defragmented.db", MIGRATION / "5-defragmented.encryption.json"
    cut = tmp_path / "cut.db"
    cut.write_bytes(path.read_bytes()[: -10 * PAGE])
    assert find(path, ABSENT, config).exit_code == 0
    assert find(cut, ABSENT, config).exit_code == 3


def test_the_command_prints_nothing_of_a_value(tmp_path: Path) -> None:
    path, config = MIGRATION / "4-compacted.db", MIGRATION / "4-compacted.encryption.json"
    canaries = [secret["canary"] for secret in truth(path)["secrets"].values()]
    file, report = tmp_path / "values", tmp_path / "r.json"
    file.write_text("\n\n".join(canaries) + "\r\n")
    done = run("find", path, "--value-file", file, "--encryption-config", config, "--json", report)
    assert done.returncode == 1
    assert "FOUND: 35 of 35 values (exit 1)" in done.stdout
    taint = Taint([canary.encode() for canary in canaries])
    assert not any(map(taint.within, (done.stdout, done.stderr, report.read_text())))
    document = json.loads(report.read_text())
    assert document["exit_code"] == 1
    assert [value["value"] for value in document["values"]] == list(range(1, 36))

    def fields(part: Any) -> set[str]:
        if isinstance(part, dict):
            return {*part, *(name for each in part.values() for name in fields(each))}
        return {name for each in part for name in fields(each)} if isinstance(part, list) else set()

    assert not {name for name in fields(document["evidence"][0]["places"]) if name in {"size", "length"}}
    assert oct(report.stat().st_mode & 0o777) == "0o600"


def test_values_come_from_a_file_or_standard_input(tmp_path: Path) -> None:
    thing = holder(b"line one\nline two")
    path = database(tmp_path / "a.db", [(thing.key, thing.protobuf())])
    command = [sys.executable, "-m", "auditor", "find", str(path), "--value-file", "-"]
    environment = {**os.environ, "PYTHONPATH": str(FIXTURES.parent)}
    whole = subprocess.run(
        [*command, "--whole"], input=b"line one\nline two", capture_output=True, env=environment, check=False
    )
    assert whole.returncode == 1
    lines = subprocess.run(command, input=b"line two\nline six", capture_output=True, env=environment, check=False)
    assert (lines.returncode, b"FOUND: 1 of 2 values" in lines.stdout) == (1, True)
    for content, reason in ((b"", "no value"), (b"long enough\nabc", "value 2 is too short")):
        (tmp_path / "v").write_bytes(content)
        with pytest.raises(UsageError, match=reason):
            value_files.load(str(tmp_path / "v"), whole=False)
    assert run("find", path, "--value-file", tmp_path / "nowhere").returncode == 2
    assert run("find", tmp_path / "v", "--value-file", tmp_path / "v").returncode == 2


def test_several_exhibits_are_searched_and_one_that_is_none_leaves_it_open(tmp_path: Path) -> None:
    (tmp_path / "b.db").write_bytes(b"no database at all" * 400)
    thing = holder(VALUE)
    path = database(tmp_path / "a.db", [(thing.key, thing.protobuf())])
    options = Options(resources=("*",))
    both = everywhere([str(path), str(tmp_path / "b.db")], options, [VALUE])
    assert both.exit_code == 1
    absent = everywhere([str(path), str(tmp_path / "b.db")], options, ABSENT)
    assert absent.exit_code == 3
    assert everywhere([str(tmp_path / "b.db")], options, ABSENT).exit_code in {2, 3}


def test_the_beginning_of_a_value_in_a_file_without_pages_is_no_part_of_it() -> None:
    """A dump's bytes are not used anew: what begins alike is another text."""
    dump = FIXTURES / "cases" / "dump-beside-config" / "dump.json"
    text = dump.read_bytes()[300:340] + b"-and-not-this"
    (exhibit,) = find(dump, [text]).exhibits
    assert not exhibit.remnants
    assert not exhibit.occurrences


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("p\u00e4ssw\u00f6rd-12345", json.dumps({"p": "p\u00e4ssw\u00f6rd-12345"})),
        (
            "p\u00e4ssw\u00f6rd-12345",
            json.dumps({"p": "p\u00e4ssw\u00f6rd-12345"}).replace("00e4", "00E4").replace("00f6", "00F6"),
        ),
        ('ab"cd\\ef12345', json.dumps(json.dumps({"p": 'ab"cd\\ef12345'}))),
        ("host=1&pw=secret99", '{"p":"host=1\\u0026pw=secret99"}'),
    ],
    ids=["ASCII", "ASCII in capitals", "JSON in JSON", "Go"],
)
def test_escapes_of_json(value: str, written: str, tmp_path: Path) -> None:
    wanted = tmp_path / "values"
    wanted.write_text(value, encoding="utf-8")
    thing = StoredObject(b"default", b"c", {b"x": written.encode()}, kind=b"ConfigMap")
    path = database(tmp_path / "a.db", [(thing.key, thing.protobuf())])
    assert run("find", path, "--value-file", wanted).returncode == 1


def test_byte_order_marks_of_a_file_of_values(tmp_path: Path) -> None:
    thing = StoredObject(b"default", b"c", {b"x": b"hunter2-hunter2"})
    path, wanted = database(tmp_path / "a.db", [(thing.key, thing.protobuf())]), tmp_path / "values"
    wanted.write_bytes(b"\xef\xbb\xbfhunter2-hunter2\r\n")
    assert run("find", path, "--value-file", wanted).returncode == 1
    wanted.write_bytes("hunter2-hunter2\r\n".encode("utf-16"))
    done = run("find", path, "--value-file", wanted)
    assert (done.returncode, "it is UTF-16" in done.stderr) == (2, True)
