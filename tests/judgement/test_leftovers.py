"""Whether what a leftover holds is current, decided by value: one field of several, another name, other encodings."""

import random
import shutil
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import auditor
from auditor.model.vocabulary import PageKind, Severity
from tests.helpers import kine_stages
from tests.helpers.command import run_wide as run
from tests.helpers.fixtures import FIXTURES, MIGRATION
from tests.helpers.objects import StoredObject, envelope, field
from tests.helpers.packing import DATA_FILTER
from tests.helpers.sealing import KEY, OTHER, configuration, database, provider, seal

KINE_STAGE = kine_stages.KINE / "kine-bundled" / "2-enabled"
CASE = FIXTURES / "cases" / "current-by-value"
PASSWORD, TOKEN = b"Vq7-horse-rack-19", b"tok.Zr81kPq0vYw"
PRIVATE, CERTIFICATE = (
    b"-----BEGIN %b-----\n" % kind + letter * 64 + b"\n-----END %b-----\n" % kind
    for kind, letter in ((b"PRIVATE KEY", b"Qx7"), (b"CERTIFICATE", b"Mz4"))
)
RENEWED = CERTIFICATE.replace(b"Mz4", b"Lw9")
Answer = tuple[str, str, str]
"""same_as_latest, severity and detail."""


def secret(name: bytes = b"db", **data: bytes) -> StoredObject:
    return StoredObject(b"shop", name, {each.replace("_", ".").encode(): value for each, value in data.items()})


def scan(folder: Path, pairs: list[tuple[bytes, bytes]], *keys: bytes, **options: Any) -> auditor.Audit:
    """An audit of revisions in their order; keys: of aescbc, key1 and so on."""
    named = [(f"key{number}", key) for number, key in enumerate(keys, 1)]
    config = configuration(folder / "config.json", provider("aescbc", *named), {"identity": {}})
    return auditor.scan(
        database(folder / "store.db", pairs),
        auditor.Options(encryption_configs=(config,) if keys else (), **options),
    )


def answers(audit: auditor.Audit) -> list[Answer]:
    """Of each readable leftover, in the order of the file."""
    rows = audit.findings[audit.findings.finding == "plaintext"]
    rows = rows[rows.place != "latest"]
    return [tuple(row) for row in rows[["same_as_latest", "severity", "detail"]].itertuples(index=False)]


def sealed(thing: StoredObject, key: bytes = KEY) -> tuple[bytes, bytes]:
    return thing.key, seal("aescbc", "key1", key, thing, random.Random(3))


WRITTEN: dict[str, Callable[[StoredObject], bytes]] = {
    "protobuf": StoredObject.protobuf,
    "json": StoredObject.json,
    "cbor": StoredObject.cbor,
    "text cbor": StoredObject.text_cbor,
}
KINDS: dict[str, tuple[Mapping[str, bytes], Mapping[str, bytes], Answer]] = {
    "all of it": (
        {"password": PASSWORD, "user": b"app"},
        {"password": PASSWORD, "user": b"app"},
        ("yes", "critical", ""),
    ),
    "of two fields one changed": (
        {"password": PASSWORD, "ca_crt": b"one"},
        {"password": PASSWORD, "ca_crt": b"two"},
        ("part", "critical", "password is current"),
    ),
    "a field was added": ({"password": PASSWORD}, {"password": PASSWORD, "token": TOKEN}, ("yes", "critical", "")),
    "a field was renamed": ({"password": PASSWORD}, {"db_password": PASSWORD}, ("yes", "critical", "")),
    "a certificate renewed under the same key": (
        {"tls_key": PRIVATE, "tls_crt": CERTIFICATE},
        {"tls_key": PRIVATE, "tls_crt": RENEWED},
        ("part", "critical", "tls.key is current"),
    ),
    "a key renewed under the same certificate": (
        {"tls_key": PRIVATE, "tls_crt": CERTIFICATE},
        {"tls_key": PRIVATE.replace(b"Qx7", b"Rt2"), "tls_crt": CERTIFICATE},
        ("no", "high", ""),
    ),
    "only what stands everywhere is the same": (
        {"password": PASSWORD, "user": b"admin", "namespace": b"shop-of-the-north-17"},
        {"password": TOKEN, "user": b"admin", "namespace": b"shop-of-the-north-17"},
        ("no", "high", ""),
    ),
    "a password of words, a user changed": (
        {"password": b"correct horse", "user": b"app"},
        {"password": b"correct horse", "user": b"web"},
        ("part", "critical", "password is current"),
    ),
    "a weak password, a user changed": (
        {"password": b"hunter2!x", "pin": b"1234567890", "user": b"app"},
        {"password": b"hunter2!x", "pin": b"1234567890", "user": b"web"},
        ("part", "critical", "password, pin are current"),
    ),
    "a weak password in another field": ({"old": b"summer2024!"}, {"new": b"summer2024!"}, ("no", "high", "")),
    "a user name of words stays": (
        {"password": PASSWORD, "username": b"administrator"},
        {"password": TOKEN, "username": b"administrator"},
        ("no", "high", ""),
    ),
    "a common value in another field": ({"enabled": b"true"}, {"force": b"true"}, ("no", "high", "")),
    "two fields of three": (
        {"password": PASSWORD, "token": TOKEN, "user": b"app"},
        {"password": PASSWORD, "token": TOKEN, "user": b"web"},
        ("part", "critical", "password, token are current"),
    ),
    "nothing, then something": ({}, {"password": PASSWORD}, ("no", "high", "")),
    "nothing, twice": ({}, {}, ("yes", "critical", "")),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("written", WRITTEN)
def test_each_data_value_is_compared_with_the_current_secret(kind: str, written: str, tmp_path: Path) -> None:
    before, after, answer = KINDS[kind]
    old, new = secret(**before), secret(**after)
    audit = scan(tmp_path, [(old.key, WRITTEN[written](old)), sealed(new)], KEY)
    assert answers(audit) == [answer]
    plain = scan(tmp_path, [(old.key, WRITTEN[written](old)), (new.key, new.protobuf())])
    assert answers(plain) == [answer]


@pytest.mark.parametrize("written", WRITTEN)
def test_a_secret_made_again_under_another_name_is_named(written: str, tmp_path: Path) -> None:
    old, new, other = secret(b"api-7f8d", token=TOKEN), secret(b"api-9c1b", auth=TOKEN), secret(b"web", token=TOKEN)
    stored = WRITTEN[written](old)
    audit = scan(tmp_path, [(old.key, stored), (old.key, secret(b"api-7f8d").protobuf()), sealed(new)], KEY)
    assert answers(audit) == [("elsewhere", "critical", "token is current as auth of shop/api-9c1b")]
    both = scan(tmp_path, [(old.key, stored), sealed(secret(b"api-7f8d")), sealed(new), sealed(other)], KEY)
    assert answers(both) == [("elsewhere", "critical", "token is current as auth of shop/api-9c1b and 1 more")]
    assert both.tally.current_holders == 1


def test_what_is_in_part_here_and_in_part_elsewhere_says_both(tmp_path: Path) -> None:
    old = secret(password=PASSWORD, token=TOKEN)
    pairs = [(old.key, old.protobuf()), sealed(secret(password=PASSWORD)), sealed(secret(b"api", token=TOKEN))]
    detail = "password is current; token is current as token of shop/api"
    assert answers(scan(tmp_path, pairs, KEY)) == [("part", "critical", detail)]


def test_a_current_value_without_its_key_leaves_it_unknown(tmp_path: Path) -> None:
    """Also where it is another Secret's: it may hold the value under its own name."""
    old = secret(password=PASSWORD)
    assert answers(scan(tmp_path, [(old.key, old.protobuf()), sealed(old)])) == [("unknown", "high", "")]
    pairs = [(old.key, old.protobuf()), sealed(secret(password=TOKEN)), sealed(secret(b"closed", token=TOKEN), OTHER)]
    audit = scan(tmp_path, pairs, KEY)
    assert answers(audit) == [("unknown", "high", "")]
    assert audit.tally.undetermined == 1
    found = scan(tmp_path, [*pairs, sealed(secret(b"open", token=PASSWORD))], KEY)
    assert answers(found) == [("elsewhere", "critical", "password is current as token of shop/open")]


def test_a_gap_leaves_it_unknown(tmp_path: Path) -> None:
    """A page that no longer says what it is may hold any current value; what is found elsewhere stands."""
    path, config = MIGRATION / "3-rewritten.db", str(MIGRATION / "3-rewritten.encryption.json")
    options = auditor.Options(encryption_configs=(config,))
    page = auditor.scan(path, options).pages.kinds.rindex(PageKind.LEAF)
    damaged = bytearray(path.read_bytes())
    damaged[page * 4096 + 8 : page * 4096 + 10] = b"\xff\xff"
    (tmp_path / "damaged.db").write_bytes(damaged)
    audit = auditor.scan(tmp_path / "damaged.db", options)
    assert audit.gaps
    same = {answer for answer, _, _ in answers(audit)}
    assert "unknown" in same
    assert "no" not in same


def test_string_data_counts_and_annotations_do_not(tmp_path: Path) -> None:
    """stringData is data in clear; what kubectl keeps in an annotation is another finding's."""
    meta = field(1, b"db") + field(3, b"shop")
    raw = field(1, meta) + field(3, b"Opaque") + field(4, field(1, b"password") + field(2, PASSWORD))
    old = envelope(b"v1", b"Secret", raw)
    new = secret(password=PASSWORD)
    assert answers(scan(tmp_path, [(new.key, old), sealed(new)], KEY)) == [("yes", "critical", "")]
    text = (
        b'{"kind":"Secret","apiVersion":"v1","metadata":{"name":"db","namespace":"shop"},"stringData":{"password":"%b"}}'
        % PASSWORD
    )
    assert answers(scan(tmp_path, [(new.key, text), sealed(new)], KEY)) == [("yes", "critical", "")]
    annotated = StoredObject(b"shop", b"db", {b"a": b"b"}, labels={b"kubectl.kubernetes.io/x": PASSWORD})
    assert answers(scan(tmp_path, [(new.key, annotated.protobuf()), sealed(new)], KEY)) == [("no", "high", "")]


def test_the_fields_that_a_hunt_must_look_for_count_however_common_they_are(tmp_path: Path) -> None:
    old, new = secret(pin=b"1234", user=b"a"), secret(pin=b"1234", user=b"b")
    pairs = [(old.key, old.protobuf()), sealed(new)]
    assert answers(scan(tmp_path, pairs, KEY)) == [("no", "high", "")]
    assert answers(scan(tmp_path, pairs, KEY, hunt_fields=("pin",))) == [("part", "critical", "pin is current")]


def test_an_encrypted_leftover_that_opens_is_compared_too(tmp_path: Path) -> None:
    """Nothing keeps what it opened to: it is opened once more to see whether the value is a common one."""
    old, new = secret(password=PASSWORD, user=b"admin"), secret(password=PASSWORD, user=b"other")
    audit = scan(tmp_path, [sealed(old), sealed(new)], KEY, compromised_keys=("aescbc:key1",))
    rows = audit.inventory
    assert list(rows.same_as_latest) == ["part", ""]
    assert "password is current" in rows.detail[0]
    closed = scan(tmp_path, [sealed(old), sealed(old), sealed(new)])
    assert sorted(closed.inventory.same_as_latest) == ["", "unknown", "unknown"]


def test_the_case() -> None:
    snapshot, config = CASE / "snapshot.db", str(CASE / "config.yaml")
    for more in ([], ["--hunt"]):
        done = run("scan", snapshot, "--encryption-config", config, "--fail-on", "critical", *more)
        assert done.returncode == 1
        assert "4 of them hold what is current in this snapshot (revision " in done.stdout
    found = auditor.scan(snapshot, auditor.Options(encryption_configs=(config,))).findings
    assert set(zip(found["name"], found.same_as_latest, found.severity, strict=True)) == {
        ("db", "part", "critical"),
        ("api-7f8d", "elsewhere", "critical"),
    }
    show = run("show", snapshot, "shop/api-7f8d", "--encryption-config", config)
    assert "token is current as token of shop/api-9c1b" in show.stdout


@pytest.mark.parametrize("stage", ["3-rewritten", "4-compacted"])
def test_the_stages_of_a_migration_have_27_current_ones(stage: str) -> None:
    config = str(MIGRATION / f"{stage}.encryption.json")
    audit = auditor.scan(MIGRATION / f"{stage}.db", auditor.Options(encryption_configs=(config,)))
    plain = audit.findings[audit.findings.finding == "plaintext"]
    assert plain.same_as_latest.value_counts().to_dict() == {"yes": 27, "no": 2}
    assert audit.tally.current_holders == 27
    assert sum(count for _, severity, count in audit.tally.findings if severity is Severity.CRITICAL) == 27


def _without_the_log(folder: Path) -> Path:
    with tarfile.open(MIGRATION / "data-dir.tar.gz") as archive:
        archive.extractall(folder, **DATA_FILTER)
    (wal,) = folder.rglob("member/wal")
    shutil.rmtree(wal)
    return wal.parent.parent


def _database_alone(folder: Path) -> Path:
    return Path(shutil.copy(kine_stages.unpack(KINE_STAGE, folder) / "state.db", folder / "state.db"))


def _log_alone(folder: Path) -> Path:
    return Path(shutil.copy(kine_stages.unpack(KINE_STAGE, folder) / "state.db-wal", folder / "state.db-wal"))


@pytest.mark.parametrize("part", [_without_the_log, _database_alone, _log_alone])
def test_where_current_values_may_be_missing_nothing_is_said_not_to_be_current(
    part: Callable[[Path], Path], tmp_path: Path
) -> None:
    audit = auditor.scan(part(tmp_path), auditor.Options(use_found_config=True))
    assert any(each.may_be_current for each in audit.unexamined)
    same = audit.inventory.same_as_latest.value_counts()
    assert same["unknown"] > 0
    assert "no" not in same
