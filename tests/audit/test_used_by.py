"""Who refers to a Secret: every kind of reference, in every encoding, current or of the leftover's own revision."""

import base64
import json
import random
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cbor2
import numpy as np
import pytest

import auditor
from auditor import Options
from auditor.arrays.buffer import Buffer
from auditor.audit import used_by
from auditor.kubernetes import references, trees
from auditor.model.audit import Audit
from auditor.model.vocabulary import Encoding
from tests.helpers import sealing, users
from tests.helpers.etcd import Etcd, snapshot_after
from tests.helpers.fixtures import FIXTURES
from tests.helpers.objects import CBOR, StoredObject, envelope

EVERY = json.loads((FIXTURES / "cases" / "every-reference" / "objects.json").read_text())


@pytest.mark.parametrize("resource", EVERY)
def test_every_field_of_the_api_that_refers_to_a_secret(resource: str) -> None:
    """Objects in which every field is filled, encoded by the API's own descriptions; all other names are decoys."""
    raw = base64.b64decode(EVERY[resource]["object"])
    buffer, one = Buffer(raw), np.array([len(raw)])
    extract = references.of_protobuf(buffer, np.array([0]), one, np.array([references.message_code(resource)]))
    found = extract.references
    names = [name.decode() for name in buffer.slices(found.name_at, found.name_size)]
    assert sorted(names) == sorted(EVERY[resource]["secrets"])
    assert not extract.malformed.any()


def cells(audit: Audit, column: str = "used_by", place: str = "latest") -> dict[str, str]:
    columns = audit.rows.columns
    rows = zip(*(columns[name] for name in ("place", "namespace", "name", column)), strict=True)
    return {f"{namespace}/{name}": str(cell) for where, namespace, name, cell in rows if where == place}


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return snapshot_after(tmp_path_factory.mktemp("users"), users.fill)


@pytest.mark.etcd
def test_every_kind_of_reference(snapshot: Path) -> None:
    assert cells(auditor.scan(snapshot)) == users.EXPECTED


CONFIG_KEY = bytes(range(32))


def pods_of(form: str) -> list[tuple[bytes, bytes]]:
    """A Secret, and a Pod that uses it, stored in one form."""
    thing = StoredObject(b"shop", b"db", {b"password": b"PASSWORD-1f"})
    key = b"/registry/pods/shop/web"
    spec = {"containers": [{"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]}]}
    tree = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop"}, "spec": spec}
    if "json" in form:
        value = json.dumps(tree).encode()
    elif "cbor" in form:
        value = CBOR + cbor2.dumps(as_stored(tree))
    else:
        value = users.stored(users.pod(fill=users.env("db")), "Pod")
    if "encrypted" in form:
        value = b"k8s:enc:aesgcm:v1:key1:" + sealing.gcm(CONFIG_KEY, value, key, random.Random(1))
    return [(thing.key, thing.protobuf()), (key, value)]


def as_stored(part: Any) -> Any:
    """Texts as byte strings, as kube-apiserver writes CBOR."""
    if isinstance(part, dict):
        return {key.encode(): as_stored(value) for key, value in part.items()}
    if isinstance(part, list):
        return [as_stored(value) for value in part]
    return part.encode() if isinstance(part, str) else part


def with_key(folder: Path) -> Options:
    provider = sealing.provider("aesgcm", ("key1", CONFIG_KEY))
    return Options(
        encryption_configs=(sealing.configuration(folder / "c.json", provider, {"identity": {}}, resources=("pods",)),)
    )


FORMS = ("protobuf", "json", "cbor")


@pytest.mark.parametrize("form", [*FORMS, *(f"encrypted {form}" for form in FORMS)])
def test_every_encoding_in_clear_and_decrypted(form: str, tmp_path: Path) -> None:
    evidence = sealing.database(tmp_path / "made.db", pods_of(form))
    options = with_key(tmp_path) if "encrypted" in form else Options()
    assert cells(auditor.scan(evidence, options))["shop/db"] == "pods/shop/web"


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(pods_of("encrypted protobuf")[1][1], id="without its key"),
        pytest.param(b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x7f", id="an envelope that is cut"),
        pytest.param(envelope(b"v1", b"Pod", b"\x12\x50\x12\x01"), id="damaged"),
        pytest.param(b'{"kind":"Pod","db":["db"', id="JSON that is cut"),
        pytest.param(b'{"spec":' * 3000 + b'"db"' + b"}" * 3000, id="nested too deep"),
    ],
)
def test_what_was_not_read_leaves_it_unknown(value: bytes, tmp_path: Path) -> None:
    pairs = pods_of("protobuf")
    other = (b"/registry/pods/shop/other", value)
    unread = sealing.database(tmp_path / "unread.db", [pairs[0], other])
    assert cells(auditor.scan(unread))["shop/db"] == "unknown"
    partly = sealing.database(tmp_path / "partly.db", [*pairs, other])
    assert cells(auditor.scan(partly))["shop/db"] == "pods/shop/web;unknown"


@pytest.mark.parametrize("form", ["json", "cbor", "encrypted json", "encrypted cbor"])
def test_only_trees_that_hold_the_name_of_a_secret_are_decoded(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many Pods one refers to the Secret; a name that is longer by a letter is another's."""
    key, uses = pods_of(form)[1]
    tree = json.dumps({"apiVersion": "v1", "kind": "Pod", "spec": {"note": "db2"}}).encode()
    others = [(b"/registry/pods/shop/other-%d" % number, tree) for number in range(20)]
    decoded = []
    whole = trees.parse

    def counted(value: bytes, encoding: Encoding) -> Any:
        decoded.append(encoding)
        return whole(value, encoding)

    monkeypatch.setattr("auditor.audit.referrers.trees", SimpleNamespace(parse=counted))
    evidence = sealing.database(tmp_path / "made.db", [pods_of(form)[0], (key, uses), *others])
    audit = auditor.scan(evidence, with_key(tmp_path) if "encrypted" in form else Options())
    assert cells(audit)["shop/db"] == "pods/shop/web"
    assert len(decoded) == 1


@pytest.mark.parametrize("cluster", ["root:org", "root:other"])
def test_an_object_of_kcp_refers_to_the_secrets_of_its_own_logical_cluster(cluster: str, tmp_path: Path) -> None:
    thing, (_, uses) = StoredObject(b"shop", b"db", {b"password": b"PASSWORD-1f"}), pods_of("protobuf")[1]
    pairs = [
        (b"/registry/secrets/root:org/shop/db", thing.protobuf()),
        (b"/registry/pods/%b/shop/web" % cluster.encode(), uses),
    ]
    used = "pods/root:org/shop/web" if cluster == "root:org" else "no reference found"
    assert cells(auditor.scan(sealing.database(tmp_path / "made.db", pairs))) == {"root:org/shop/db": used}


def test_evidence_without_any_object_that_could_refer(tmp_path: Path) -> None:
    """As a range of /registry/secrets is: nobody looked whether something refers."""
    evidence = sealing.database(tmp_path / "made.db", pods_of("protobuf")[:1])
    assert cells(auditor.scan(evidence))["shop/db"] == "unknown"


def test_the_first_ten_and_how_many_more(tmp_path: Path) -> None:
    secret, (_, value) = pods_of("protobuf")
    many = [(b"/registry/pods/shop/web-%02d" % number, value) for number in range(25)]
    evidence = sealing.database(tmp_path / "made.db", [secret, *many])
    cell = cells(auditor.scan(evidence))["shop/db"]
    assert cell.split(";") == [*(f"pods/shop/web-{number:02}" for number in range(10)), "+15"]


@pytest.mark.etcd
def test_references_of_the_leftovers_own_revision(tmp_path: Path) -> None:
    """A Pod that is gone referred to the old value, not to the newer one; the current Pod refers to the Secret."""

    def work(etcd: Etcd) -> None:
        pod = users.stored(users.pod(fill=users.env("db")), "Pod")
        users.secret(etcd, "db", data={b"password": b"FIRST-0a1b2c"})
        users.put(etcd, "pods/shop/before", pod)
        users.put(etcd, "pods/shop/always", pod)
        etcd.delete(b"/registry/pods/shop/before")
        users.secret(etcd, "db", data={b"password": b"SECOND-0a1b2c"})
        users.put(etcd, "pods/shop/between", pod)
        users.put(etcd, "pods/shop/between", users.stored(users.pod(), "Pod"))
        users.secret(etcd, "db", data={b"password": b"THIRD-0a1b2c"})

    audit = auditor.scan(snapshot_after(tmp_path, work))
    columns = audit.rows.columns
    by_revision = dict(zip(columns["mod_revision"], columns["used_by"], strict=True))
    assert by_revision == {
        2: "pods/shop/always;pods/shop/before (at revision 2)",
        6: "pods/shop/always;pods/shop/between (at revision 6)",
        9: "pods/shop/always",
    }


@pytest.mark.etcd
def test_names_are_redacted_in_it(snapshot: Path) -> None:
    plain, redacted = auditor.scan(snapshot), auditor.scan(snapshot, Options(redact_names=True))
    cells_of = [cell for cell in map(str, redacted.rows.columns["used_by"]) if " by label " not in cell]
    expected = [cell for cell in users.EXPECTED.values() if " by label " not in cell]
    # namespaces and names: all but the resource that each begins with
    names = {name for cell in expected for part in cell.split(";") for name in part.split("/")[1:]}
    assert not names & set(re.split(r"[/;]", ";".join(cells_of)))
    columns = (redacted.rows.columns, plain.rows.columns)
    shapes = [[re.sub(r"/[^;( ]+", "/", str(cell)) for cell in each["used_by"]] for each in columns]
    assert shapes[0] == shapes[1]
    # a pseudonym is that of the column `name`
    pods = {f"pods/{namespace}" for namespace in redacted.rows.columns["namespace"]}
    assert all(
        any(cell.startswith(pod) for pod in pods)
        for cell in map(str, redacted.rows.columns["used_by"])
        if cell.startswith("pods/")
    )


@pytest.mark.etcd
def test_nothing_is_computed_where_no_report_needs_it(snapshot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr(used_by, "find", lambda *_, **__: calls.append(1))
    auditor.scan(snapshot, Options(rows=False))
    assert calls == []
