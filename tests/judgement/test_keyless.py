"""Ciphertexts that lost their etcd key, in freed pages: tried all the same, and judged as what they open to."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

import auditor
from auditor import Severity
from tests.helpers import bolt_builder, sealing
from tests.helpers.command import run
from tests.helpers.kms_plugin import KmsPlugin
from tests.helpers.objects import StoredObject
from tests.helpers.sealing import KEY, OTHER

CBC_KEY = bytes(range(200, 232))
DOCUMENTED = b"abcdefghijklmnopqrstuvwxyz123456"
GONE = StoredObject(b"shop", b"gone", {b"password": b"Vq7-horse-rack-19"})
LATEST = [StoredObject(b"shop", b"db-%d" % number, {b"token": b"tok.Zr81kPq0vYw"}) for number in range(3)]
OWN = {"aescbc": CBC_KEY, "secretbox": KEY, "aesgcm": bytes(range(210, 242))}


def sealed(form: str, name: str, key: bytes, thing: StoredObject = GONE) -> bytes:
    return sealing.seal(form, name, key, thing, random.Random(thing.name + name.encode()))


def database(folder: Path, *freed: bytes) -> Path:
    """Three Secrets under key1 of secretbox, and a freed page for each of some bytes, with no record before them."""
    records = [
        bolt_builder.record(revision, thing.key, sealed("secretbox", "key1", KEY, thing))
        for revision, thing in enumerate(LATEST, 2)
    ]
    path = folder / "a.db"
    path.write_bytes(bolt_builder.backend(records, freed=[bytes(64) + part for part in freed]).seal())
    return path


def scan(folder: Path, *freed: bytes, keys: bool = True, **options: Any) -> auditor.Audit:
    """The audit, with the configuration of key1 of each local provider where keys are given."""
    providers = [sealing.provider(form, ("key1", OWN[form])) for form in ("secretbox", "aescbc", "aesgcm")]
    config = sealing.configuration(folder / "given.json", *providers)
    return auditor.scan(
        database(folder, *freed), auditor.Options(encryption_configs=(config,) if keys else (), **options)
    )


def code(audit: auditor.Audit) -> int:
    return audit.exit_code(Severity.MEDIUM)


def row(audit: auditor.Audit) -> dict[str, Any]:
    rows = audit.inventory[audit.inventory.place == "freed"].to_dict("records")
    assert len(rows) == 1
    return {str(name): cell for name, cell in rows[0].items()}


@pytest.mark.parametrize("form", OWN)
@pytest.mark.parametrize("key", [bytes(32), DOCUMENTED], ids=["zeros", "documented"])
@pytest.mark.parametrize("keys", [True, False], ids=["a configuration", "none"])
def test_a_published_key_opens_it(form: str, key: bytes, keys: bool, tmp_path: Path) -> None:
    audit = scan(tmp_path, sealed(form, "z", key), keys=keys)
    assert code(audit) == 1
    found = row(audit)
    assert "known-key" in found["finding"].split(";")
    assert (found["severity"], found["judged"], found["decrypted"]) == ("critical", "finding", "yes")
    assert (found["resource"], found["namespace"], found["name"]) == ("secrets", "shop", "gone")
    assert (found["key"], found["data_keys"]) == ("unknown", "password")
    assert "its etcd key is lost; names are what the object says" in found["detail"]
    assert not any("etcd key" in part.what for part in audit.unexamined)
    assert any(f"one is {form}/z" in note for note in audit.notes)


@pytest.mark.parametrize("form", OWN)
def test_the_key_at_hand_opens_it(form: str, tmp_path: Path) -> None:
    audit = scan(tmp_path, sealed(form, "key1", OWN[form]))
    assert code(audit) == 0
    found = row(audit)
    assert (found["judged"] != "out of scope", found["decrypted"], found["same_as_latest"]) == (True, "yes", "no")
    compromised = scan(tmp_path, sealed(form, "key1", OWN[form]), compromised_keys=(f"{form}:key1",))
    assert "known-key" in row(compromised)["finding"].split(";")


def test_what_it_holds_is_compared_with_what_is_current(tmp_path: Path) -> None:
    audit = scan(tmp_path, sealed("secretbox", "z", bytes(32), LATEST[1]))
    assert (row(audit)["finding"], row(audit)["same_as_latest"]) == ("known-key", "yes")


@pytest.mark.parametrize("form", OWN)
def test_a_key_that_is_not_at_hand_leaves_it_open(form: str, tmp_path: Path) -> None:
    value = sealed(form, "old", OTHER)
    audit = scan(tmp_path, value)
    assert code(audit) == 3
    (part,) = [part for part in audit.unexamined if part.decisive]
    assert part.what == f"1 value under {form}/old"
    assert row(audit)["decrypted"] == "no key"
    assert code(scan(tmp_path, value, keys=False)) == 0


@pytest.mark.parametrize("form", OWN)
def test_a_foreign_key_of_a_name_at_hand_leaves_it_open(form: str, tmp_path: Path) -> None:
    audit = scan(tmp_path, sealed(form, "key1", OTHER))
    assert code(audit) == 3
    (part,) = [part for part in audit.unexamined if part.decisive]
    assert part.what == "1 encrypted value in freed without its etcd key"
    assert "defragmentation and a new backup settle it" in part.reason
    done = run("keys", tmp_path / "a.db", "--encryption-config", tmp_path / "given.json")
    # a part of it may be lost: that does not say that another key is needed
    assert (done.returncode, "another key" in done.stdout) == (3, False)
    assert "1 encrypted value in freed without its etcd key" in done.stdout


def test_a_padding_that_is_valid_by_chance_opens_nothing(tmp_path: Path) -> None:
    """Of 1,000 foreign values four have a valid padding under key1, and none is an object."""
    rng = random.Random(4)
    values = [b"k8s:enc:aescbc:v1:key1:" + rng.randbytes(96) for _ in range(1000)]
    audit = scan(tmp_path, *(bytes(32).join(values[at : at + 25]) for at in range(0, 1000, 25)))
    assert not {"yes"} & set(audit.inventory[audit.inventory.place == "freed"].decrypted)
    assert code(audit) == 3


def test_zeros_at_its_end_are_its_own(tmp_path: Path) -> None:
    """Where nothing says how long a value is, zeros behind it may be of the page, or of the value."""
    rng = random.Random(1)

    def ending_in_zero(name: str, key: bytes) -> bytes:
        values = (sealing.seal("secretbox", name, key, GONE, rng) for _ in range(5000))
        return next(value for value in values if value.endswith(b"\0"))

    assert code(scan(tmp_path, ending_in_zero("z", bytes(32)), keys=False)) == 1
    audit = scan(tmp_path, ending_in_zero("key1", KEY))
    assert (row(audit)["decrypted"], code(audit)) == ("yes", 0)


def test_an_object_that_nobody_asked_for_is_out_of_scope(tmp_path: Path) -> None:
    value = sealed("secretbox", "z", bytes(32), StoredObject(b"shop", b"settings", {b"a": b"b"}, kind=b"ConfigMap"))
    audit = scan(tmp_path, value)
    assert (row(audit)["judged"], row(audit)["decrypted"], code(audit)) == ("out of scope", "yes", 0)
    asked = scan(tmp_path, value, resources=("secrets", "configmaps"))
    assert (row(asked)["finding"], row(asked)["resource"]) == ("known-key", "configmaps")


@pytest.mark.parametrize("prefix", [b"/registry", b"/kubernetes.io"])
def test_aesgcm_is_opened_under_the_key_that_its_object_names(prefix: bytes, tmp_path: Path) -> None:
    """Under the storage prefix of the rest alone: the etcd key is authenticated."""
    moved = [(thing, thing.key.replace(b"/registry", prefix)) for thing in LATEST]
    records = [
        bolt_builder.record(number, key, sealed("secretbox", "key1", KEY, thing))
        for number, (thing, key) in enumerate(moved, 2)
    ]
    gone = GONE.key.replace(b"/registry", prefix)
    for key, decrypted in ((gone, "yes"), (gone + b"x", "failed")):
        head = b"k8s:enc:aesgcm:v1:key1:"
        value = head + sealing.gcm(OWN["aesgcm"], GONE.protobuf(), key, random.Random(1))
        (tmp_path / "a.db").write_bytes(bolt_builder.backend(records, freed=[bytes(64) + value]).seal())
        providers = [sealing.provider(form, ("key1", OWN[form])) for form in ("secretbox", "aesgcm")]
        config = sealing.configuration(tmp_path / "given.json", *providers)
        audit = auditor.scan(tmp_path / "a.db", auditor.Options(encryption_configs=(config,)))
        assert (row(audit)["decrypted"], code(audit)) == (decrypted, 0 if decrypted == "yes" else 3)


@pytest.mark.parametrize("form", [form for form in sealing.FORMS if form.startswith("kms")])
def test_a_plugin_opens_it(form: str, tmp_path: Path) -> None:
    path = database(tmp_path, sealed(form, "vault", KEY))
    config = sealing.configuration(
        tmp_path / "given.json", sealing.provider("secretbox", ("key1", KEY)), sealing.provider(form, ("vault", KEY))
    )
    with KmsPlugin(tmp_path, {sealing.KEK_ID: KEY}) as plugin:
        options = auditor.Options(encryption_configs=(config,), kms_plugins=(f"vault={plugin.endpoint}",))
        audit = auditor.scan(path, options)
    found = row(audit)
    assert (found["decrypted"], found["name"], code(audit)) == ("yes", "gone", 0)
    assert code(auditor.scan(path, auditor.Options(encryption_configs=(config,)))) == 3


def test_a_lost_end_does_not_hide_that_a_key_is_not_at_hand(tmp_path: Path) -> None:
    """With its record and without its last bytes: nothing can open it, and the key of its name decides the code."""
    large = StoredObject(b"shop", b"large", {b"token": bytes(8000)})
    for name, expected in (("old", 3), ("key1", 0)):
        element = bolt_builder.record(1, large.key, sealed("secretbox", name, OTHER, large))
        audit = scan(tmp_path, b"".join(element)[:4032])
        found = row(audit)
        assert (found["state"], found["key"], found["key_name"]) == ("tail-lost", large.key.decode(), name)
        assert (code(audit), found["decrypted"]) == (expected, "no key" if expected else "not tried")


@pytest.mark.parametrize("form", OWN)
def test_a_value_inside_another_one_ends_with_it(form: str, tmp_path: Path) -> None:
    """Behind a payload that no key opens, under the key of a resource that is not judged."""
    outer = b"k8s:enc:secretbox:v1:key1:" + random.Random(1).randbytes(40) + sealed(form, "z", bytes(32))
    pairs = [(thing.key, sealed("secretbox", "key1", KEY, thing)) for thing in LATEST]
    path = sealing.database(tmp_path / "a.db", [*pairs, (b"/registry/foos/x", outer), *pairs])
    config = sealing.configuration(tmp_path / "given.json", sealing.provider("secretbox", ("key1", KEY)))
    audit = auditor.scan(path, auditor.Options(encryption_configs=(config,)))
    found = audit.findings[audit.findings.finding == "known-key"]
    assert list(found["name"]) == ["gone"]


def test_a_hunt_counts_it_under_a_key_that_is_present_and_not_as_its_own_copy(tmp_path: Path) -> None:
    found = json.dumps(
        {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "EncryptionConfiguration",
            "resources": [{"resources": ["secrets"], "providers": [sealing.provider("secretbox", ("old", OTHER))]}],
        }
    ).encode()
    holder = StoredObject(b"shop", b"found", {b"enc.json": found}, kind=b"ConfigMap")
    records = [bolt_builder.record(2, b"/registry/configmaps/shop/found", holder.protobuf())]
    freed = [bytes(64) + sealed("secretbox", "old", OTHER)]
    (tmp_path / "a.db").write_bytes(bolt_builder.backend(records, freed=freed).seal())
    for use in (False, True):
        audit = auditor.scan(tmp_path / "a.db", auditor.Options(hunt=True, use_found_keys=use))
        assert set(audit.findings.finding) == {"key-present"}
        assert audit.findings.detail.str.contains("1 value of this evidence").all()
        assert row(audit)["decrypted"] == ("yes" if use else "no key")
