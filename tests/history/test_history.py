"""One object's versions: against the truth of the fixtures, a real etcd's deletions, and every encoding."""

from pathlib import Path

import pytest

from auditor.errors import UsageError
from auditor.evidence.discovery.paths import gather
from auditor.history import find
from auditor.history.model import History
from auditor.model.vocabulary import Opened, Place, Provider
from auditor.options import Options
from tests.helpers import sealing
from tests.helpers.etcd import Etcd, snapshot_after
from tests.helpers.fixtures import PLAINTEXT, REWRITTEN, SNAPSHOTS, truth
from tests.helpers.objects import StoredObject

KEY = "/registry/secrets/default/db"


def object_history(path: Path, key: str, **options: object) -> History:
    library_options = Options(rows=False, **options)  # type: ignore[arg-type]
    with gather(path, None, hashed=True) as files:
        return find.history(files, library_options, key)


def stage_options(snapshot: Path) -> dict[str, object]:
    path = snapshot.with_suffix(".encryption.json")
    return {"encryption_configs": (str(path),)} if path.exists() else {}


def data_of(history: History, at: int) -> dict[str, bytes]:
    fields = history.versions[at].fields
    assert fields is not None
    return {each.name[5:]: each.value for each in fields if each.name.startswith("data.")}


@pytest.mark.parametrize("snapshot", SNAPSHOTS, ids=lambda path: path.stem)
def test_every_secret_is_shown_as_it_is(snapshot: Path) -> None:
    """The newest version of each holds the data keys and the canary that the truth tells, wherever it can be opened."""
    opened = 0
    there = {key: secret for key, secret in truth(snapshot)["secrets"].items() if not secret.get("deleted")}
    for key, secret in list(there.items())[::5]:
        history = object_history(snapshot, key, **stage_options(snapshot))
        assert history.key == f"/registry/secrets/{key}"
        assert history.resource == "secrets"
        assert history.complete or any(part.decisive for part in history.unexamined)
        current = [at for at, version in enumerate(history.versions) if version.place is Place.LATEST]
        assert len(current) == 1
        for at in current:
            if history.versions[at].opened is Opened.NO_KEY:
                assert history.versions[at].provider in {Provider.KMS_V1, Provider.KMS_V2}
                continue
            opened += 1
            data = data_of(history, at)
            assert sorted(data) == sorted(secret["data_keys"])
            coded = secret["type"] in {"kubernetes.io/dockerconfigjson", "helm.sh/release.v1"}
            assert coded or any(secret["canary"].encode() in value for value in data.values())
    assert opened >= 2


def test_what_changed_when_and_under_what() -> None:
    history = object_history(REWRITTEN, "payments/old0", **stage_options(REWRITTEN))
    first, second, third = history.versions
    assert [version.mod_revision for version in history.versions] == [66, 97, 125]
    assert [version.label for version in history.versions] == ["identity", "identity", "aescbc/key1"]
    assert [version.same_as_latest for version in history.versions] == ["no", "yes", ""]
    assert first.change is None
    assert second.change is not None
    assert second.change.changed == ("data.password", "metadata.managedFields")
    assert second.change.removed == ("data.username",)
    assert third.change is not None
    assert not third.change.fields
    assert third.change.provider == "identity -> aescbc/key1"
    assert (first.content, second.content, third.content) == (1, 2, 2)
    assert (first.stored, second.stored, third.stored) == (1, 2, 3)
    assert data_of(history, 1) == data_of(history, 2) != data_of(history, 0)


def test_the_etcd_key_and_the_name_are_the_same_object() -> None:
    by_key = object_history(PLAINTEXT, "/registry/secrets/payments/old0")
    assert by_key.versions == object_history(PLAINTEXT, "payments/old0").versions
    with pytest.raises(UsageError, match="holds no key /registry/secrets/payments/nosuch"):
        object_history(PLAINTEXT, "payments/nosuch")
    with pytest.raises(UsageError, match="no object of that resource"):
        object_history(PLAINTEXT, "payments/old0", resources=("nosuch",))
    assert object_history(PLAINTEXT, "kube-system", resources=("namespaces",)).resource == "namespaces"


def test_deletions_and_new_objects_of_the_old_name(tmp_path: Path) -> None:
    def work(etcd: Etcd) -> None:
        thing = StoredObject(data={b"a": b"first"})
        etcd.put(thing.key, thing.protobuf())
        etcd.delete(thing.key)
        etcd.put(thing.key, StoredObject(data={b"a": b"second"}, uid=b"another").protobuf())
        etcd.put(thing.key, StoredObject(data={b"a": b"second", b"b": b""}, uid=b"another").json())

    path = snapshot_after(tmp_path, work)
    # whether etcd commits between two of the writes, and frees a page with a copy, differs from run to run
    versions = [each for each in object_history(path, "default/db").versions if each.place is not Place.FREED]
    assert [(each.mod_revision, each.tombstone, each.place) for each in versions] == [
        (2, False, Place.HISTORY),
        (3, True, Place.HISTORY),
        (4, False, Place.HISTORY),
        (5, False, Place.LATEST),
    ]
    assert versions[2].change is None
    change = versions[3].change
    assert change is not None
    # JSON tells the same fields by the same names, so that another encoding alone is no change of them
    assert (change.added, change.removed, change.changed) == (("data.b",), (), ())


@pytest.mark.parametrize("encoding", ["protobuf", "json", "cbor", "text_cbor"])
def test_encodings_name_the_same_fields(encoding: str, tmp_path: Path) -> None:
    thing = StoredObject(data={b"user": b"x", b"password": b"\xff\x00binary"}, labels={b"note": b"kept"})
    path = sealing.database(tmp_path / "made.db", [(thing.key, getattr(thing, encoding)())])
    history = object_history(path, "default/db")
    (version,) = history.versions
    assert version.encoding == encoding.removeprefix("text_")
    fields = {each.name: each.value for each in version.fields or ()}
    assert fields["data.password"] == b"\xff\x00binary"
    assert fields["metadata.annotations.note"] == b"kept"
    assert fields["metadata.uid"] == thing.uid
    assert fields["metadata.creationTimestamp"] == b"2026-09-21T14:13:20Z"
    assert fields["type"] == b"Opaque"
    assert "x" not in repr(version.fields).replace("data.user", "")


def test_without_a_key_only_the_claim_is_shown() -> None:
    history = object_history(REWRITTEN, "payments/old0")
    version = history.versions[2]
    assert (version.opened, version.fields, version.content) == (Opened.NO_KEY, None, 0)
    assert history.complete
    assert any("not decrypted" in part.reason for part in history.unexamined)
    unknown = object_history(REWRITTEN, "payments/old0", encryption_configs=(str(REWRITTEN.parents[1] / OTHER),))
    assert not unknown.complete


OTHER = "providers/1-every-provider.encryption.json"


def test_a_fragment_that_lost_its_key_is_found_by_its_name(tmp_path: Path) -> None:
    """The head of a freed copy is overwritten up to its value: only what the object says of itself is left."""
    source = SNAPSHOTS[3]
    assert source.stem == "4-compacted"
    raw = bytearray(source.read_bytes())
    whole = object_history(source, "payments/old0")
    freed = next(version for version in whole.versions if version.place is Place.FREED)
    start = freed.page * 4096
    raw[start : freed.offset] = b"\xaa" * (freed.offset - start)
    path = tmp_path / "torn.db"
    path.write_bytes(raw)
    versions = [each for each in object_history(path, "payments/old0").versions if each.offset == freed.offset]
    assert len(versions) == 1
    assert versions[0].mod_revision == -1
    assert "its etcd key is lost" in versions[0].detail
    assert [each.name for each in versions[0].fields or ()] == [each.name for each in freed.fields or ()]
