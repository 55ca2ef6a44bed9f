"""Values as the API sends them, against what a scan says of the same values."""

import random
from pathlib import Path

import pytest

import auditor
from auditor import Options
from auditor.judgement import criteria
from auditor.kubernetes.resources import Resource, path_of
from auditor.model.vocabulary import Opened, Provider
from auditor.watch.judge import judge
from auditor.watch.tracker import StoredForm, Tracker
from tests.helpers import sealing
from tests.helpers.ciphertexts import ciphertext, kms_v2
from tests.helpers.fixtures import MIGRATION, PROVIDERS
from tests.helpers.objects import StoredObject
from tests.helpers.sealing import KEY, OTHER, configuration, provider, seal

SECRETS = Resource("secrets", "/registry", "/registry/secrets")
RNG = random.Random(5)


def forms(options: Options, *pairs: tuple[bytes, bytes]) -> list[StoredForm]:
    return judge([(key, value, 7) for key, value in pairs], SECRETS, criteria.prepare(options))


def one(options: Options, value: bytes, key: bytes = StoredObject().key) -> StoredForm:
    (form,) = forms(options, (key, value))
    return form


@pytest.mark.parametrize(
    "path", [*sorted(MIGRATION.glob("*.db")), *sorted(PROVIDERS.glob("*.db"))], ids=lambda p: p.stem
)
@pytest.mark.parametrize("configured", [False, True])
def test_every_current_secret_is_what_a_scan_says_it_is(path: Path, configured: bool) -> None:
    file = path.with_suffix(".encryption.json")
    options = Options(encryption_configs=(str(file),) if configured and file.exists() else ())
    rows = auditor.scan(path, options).inventory
    rows = rows[(rows.place == "latest") & (rows.resource == "secrets")]
    raw = path.read_bytes()
    pairs = [
        (key.encode(), raw[offset : offset + size], revision)
        for key, offset, size, revision in zip(rows.key, rows.offset, rows["size"], rows.mod_revision, strict=True)
    ]
    found = judge(pairs, SECRETS, criteria.prepare(options))
    tracker = Tracker({}, presume=configured)
    tracker.replace({key: (form, main) for (key, _, main), form in zip(pairs, found, strict=True)}, 10**6, None)
    bad = {"plaintext", "stale-provider", "stale-key", "stale-kek", "unrecognised", "orphaned", "undecryptable"}
    expected = [not set(finding.split(";")) & bad for finding in rows.finding]
    assert [tracker.conforms(form) for form in found] == expected
    assert [form.provider.label for form in found] == list(rows.provider)
    assert [form.key_name for form in found] == list(rows.key_name)
    assert [form.kek_id for form in found] == list(rows.kek_id)


def test_names_that_hold_colons_are_compared_whole() -> None:
    """Of one value alone it cannot be told where such a name ends; the expected name is known."""
    expected = Options(expect="aescbc:aescbckey-2026-01-02T03:04:05Z")
    for name, good in ((b"aescbckey-2026-01-02T03:04:05Z", True), (b"aescbckey-2026-01-02T03:04:06Z", False)):
        form = one(expected, ciphertext("aescbc", name, b"\xa0" * 64))
        assert (form.findings == "") == good
        assert form.provider is Provider.AESCBC
    assert one(Options(expect="aescbc:key1"), ciphertext("aescbc", b"key10", b"\xa0" * 64)).findings == "stale-key"
    assert one(Options(expect="aescbc"), ciphertext("aescbc", b"a:b", b"\xa0" * 64)).findings == ""
    assert one(Options(expect="secretbox"), ciphertext("aescbc", b"a:b", b"\xa0" * 64)).findings == "stale-provider"


def test_another_key_of_the_same_name_is_told_by_what_opens(tmp_path: Path) -> None:
    both = provider("aesgcm", ("key1", OTHER), ("key1", KEY))
    options = Options(encryption_configs=(configuration(tmp_path / "c.json", both, {"identity": {}}),))
    thing = StoredObject(data={b"a": b"1"})
    new, old = (one(options, seal("aesgcm", "key1", key, thing, RNG)) for key in (OTHER, KEY))
    assert (new.findings, new.opened) == ("", Opened.YES)
    assert (old.findings, old.opened) == ("stale-key", Opened.YES)
    damaged = one(options, ciphertext("aesgcm", b"key1", b"\xa0" * 64))
    assert (damaged.findings, damaged.opened) == ("undecryptable", Opened.FAILED)


def test_what_a_decryption_migration_wants() -> None:
    options = Options(expect="plaintext")
    assert one(options, StoredObject().protobuf()).findings == ""
    assert one(options, ciphertext("aesgcm", b"key1", b"\xa0" * 64)).findings == "stale-provider"


def test_neither_object_nor_ciphertext_is_never_as_wanted() -> None:
    for value in (b"", b"neither", b"k8s:enc:", b"k8s:enc:rot13:v1:key1:xx"):
        assert one(Options(), value).findings == "unrecognised"
    assert one(Options(expect="kms:vault"), ciphertext("kms v2", b"vault", kms_v2(b"\xa0" * 64))).kek_id == "kek-7"


def test_nothing_of_a_value_is_in_a_form() -> None:
    thing = StoredObject(data={b"password": b"CANARY-in-a-form"})
    shown = repr(one(Options(), thing.protobuf())) + repr(one(Options(), seal("aesgcm", "key1", KEY, thing, RNG)))
    assert "CANARY" not in shown
    assert sealing.KEY.hex() not in shown


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("secrets", "secrets"),
        ("deployments.apps", "deployments"),
        ("services", "services/specs"),
        ("nodes", "minions"),
        ("oauthclients.oauth.openshift.io", "oauth/clients"),
        ("widgets.lab.example.com", "lab.example.com/widgets"),
    ],
)
def test_where_a_resource_lies(name: str, path: str) -> None:
    from auditor.kubernetes.resources import resource_at

    assert path_of(name) == path
    found = resource_at("/registry", [*path.split("/"), "n", "x"])
    assert found is not None
    assert (found.name, found.path) == (name, f"/registry/{path}")
