"""The audit of databases that a real etcd wrote: verdict, severities, leftovers, coverage, identities, DataFrames."""

import hashlib
import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import auditor
from auditor.audit.examine import examine
from auditor.evidence.discovery.paths import gather
from auditor.model.audit import Audit
from auditor.model.evidence import Gap, Unexamined
from auditor.model.vocabulary import FindingKind, Severity, Trailer, Verdict
from auditor.options import Options
from auditor.protobuf import kubernetes_pb2 as pb
from tests.helpers import sealing
from tests.helpers.ciphertexts import ciphertext
from tests.helpers.columns import COLUMNS
from tests.helpers.etcd import Etcd, snapshot_after
from tests.helpers.fixtures import DEFRAGMENTED, PLAINTEXT, REWRITTEN, SNAPSHOTS
from tests.helpers.objects import CREATED, StoredObject, envelope

NUMBERS = ["create_revision", "mod_revision", "version", "offset", "size", "page"]
UID = b"71314e90-44b9-4311-833c-506d91031055"
QUICK = Options(quick=True, accept_partial=True)


def secret(name: str, password: str, note: str = "") -> StoredObject:
    labels = {b"note": note.encode()} if note else None
    return StoredObject(b"app", name.encode(), {b"password": password.encode()}, labels=labels)


def put_versions(etcd: Etcd, *versions: StoredObject | tuple[StoredObject, bytes]) -> None:
    for version in versions:
        thing, value = version if isinstance(version, tuple) else (version, version.protobuf())
        etcd.put(thing.key, value)


def cbc(fill: int) -> bytes:
    return ciphertext("aescbc", b"key1", bytes([fill]) * 48)


def work(etcd: Etcd) -> None:
    put_versions(etcd, secret("only", "pw-1"))
    put_versions(etcd, secret("annotated", "pw-2"), secret("annotated", "pw-2", "other metadata"))
    put_versions(etcd, secret("changed", "pw-3"), secret("changed", "pw-4"))
    put_versions(etcd, secret("gone", "pw-5"))
    etcd.delete(secret("gone", "").key)
    put_versions(etcd, secret("encrypted", "pw-6"), (secret("encrypted", ""), cbc(0x80)))
    put_versions(etcd, secret("identical", "pw-7"), secret("identical", "pw-7"))
    put_versions(etcd, (secret("recoded", "pw-8"), secret("recoded", "pw-8").json()), secret("recoded", "pw-8", "x"))
    put_versions(etcd, (secret("back", ""), cbc(0x90)), secret("back", "pw-9"))
    put_versions(etcd, (secret("reborn", "pw-10"), secret("reborn", "pw-10").protobuf()))
    etcd.delete(secret("reborn", "").key)
    put_versions(etcd, secret("reborn", "pw-10", "again"))
    put_versions(
        etcd, (secret("short", ""), ciphertext("aescbc", b"key1", b"short")), (secret("text", ""), b"some text")
    )
    for name in (b"kube-system", b"default"):
        uid = UID if name == b"kube-system" else b"another"
        meta = pb.ObjectMeta(name=name, uid=uid)
        meta.creation_timestamp.seconds = CREATED - 500
        raw = pb.Object(metadata=meta).SerializeToString()
        etcd.put(b"/registry/namespaces/" + name, envelope(b"v1", b"Namespace", raw))
    etcd.put(b"/registry/lab.example.com/widgets/app/w", b'{"kind":"Widget","metadata":{"name":"w","namespace":"app"}}')
    etcd.put(b"/registry/configmaps/app/c", ciphertext("aesgcm", b"g1", b"\xa0" * 64))
    etcd.put(b"/registry/masterleases/10.0.0.1", envelope(b"v1", b"Endpoints", b""))
    etcd.put(b"compact_rev_key", b"7")
    etcd.put(b"foreign/application", b"no object of Kubernetes")
    lease = pb.Lease(metadata=pb.ObjectMeta(name=b"l", namespace=b"app"))
    lease.spec.renew_time.seconds = CREATED + 999
    raw = lease.SerializeToString()
    etcd.put(b"/registry/leases/app/l", envelope(b"coordination.k8s.io/v1", b"Lease", raw))


RECORDS = {
    "secrets": 18,
    "namespaces": 2,
    "widgets.lab.example.com": 1,
    "configmaps": 1,
    "masterleases": 1,
    "": 2,
    "leases.coordination.k8s.io": 1,
}
"""Values that work() stores, by resource; the two without one are compact_rev_key and another application's."""
LEFTOVERS = {  # one current Secret is encrypted and has no key: it may hold any value
    ("annotated", "history"): ("yes", "plaintext", "critical"),
    ("changed", "history"): ("unknown", "plaintext", "high"),
    ("gone", "deleted"): ("unknown", "plaintext", "high"),
    ("encrypted", "history"): ("unknown", "plaintext", "high"),
    ("identical", "history"): ("yes", "plaintext", "critical"),
    ("recoded", "history"): ("yes", "plaintext", "critical"),
    ("back", "history"): ("unknown", "weak-provider", "low"),
    ("reborn", "history"): ("yes", "plaintext", "critical"),
}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return snapshot_after(tmp_path_factory.mktemp("etcd"), work)


@pytest.fixture(scope="module")
def tree(database: Path) -> Audit:
    """What the roots reach, and nothing else."""
    return auditor.scan(database, QUICK)


@pytest.fixture(scope="module")
def whole(database: Path) -> Audit:
    return auditor.scan(database)


def cells(audit: Audit, column: str) -> dict[tuple[str, str], str]:
    """One column of the inventory's tree places, by name and place."""
    rows = audit.inventory
    rows = rows[rows["place"].isin(["latest", "history", "deleted"])]
    found = dict(zip(zip(rows["name"], rows["place"], strict=True), rows[column], strict=True))
    assert len(found) == len(rows)
    return found


# leftovers


def test_leftovers_are_compared_with_what_is_current(tree: Audit) -> None:
    same, finding, severity = (cells(tree, column) for column in ("same_as_latest", "finding", "severity"))
    found = {key: (same[key], finding[key], severity[key]) for key in same if key[1] != "latest"}
    assert found == LEFTOVERS


def test_the_question_is_not_asked_of_current_values(tree: Audit) -> None:
    found = [same for (_, place), same in cells(tree, "same_as_latest").items() if place == "latest"]
    assert found == [""] * 10


def test_current_values_are_judged_by_what_they_are(tree: Audit) -> None:
    finding, severity = cells(tree, "finding"), cells(tree, "severity")
    found = {name: (finding[name, place], severity[name, place]) for name, place in finding if place == "latest"}
    readable = ("only", "annotated", "changed", "identical", "recoded", "back", "reborn")
    expected = dict.fromkeys(readable, ("plaintext", "critical"))
    expected["encrypted"] = ("weak-provider", "low")
    expected["short"] = expected["text"] = ("unrecognised", "medium")
    assert found == expected


def test_only_identical_bytes_are_copies(tree: Audit) -> None:
    found = {key: place for key, place in cells(tree, "also_in").items() if place}
    assert found == {("identical", "history"): "latest", ("identical", "latest"): "history"}


def test_the_tally_counts_values_contents_and_objects_apart(tree: Audit) -> None:
    tally = tree.tally
    assert tally.readable == 14
    assert tally.contents == 13
    assert tally.objects == 9
    assert tally.current_holders == 4
    assert tally.undetermined == 3
    assert sum(count for _, _, _, count, _ in tally.places) == RECORDS["secrets"]


@pytest.mark.parametrize("path", SNAPSHOTS, ids=lambda path: path.stem)
def test_what_is_found_in_several_places_is_counted_once(path: Path) -> None:
    """Freed pages hold copies: values of the same Secrets, not further Secrets."""
    audit = auditor.scan(path)
    rows = audit.findings[audit.findings["finding"] == "plaintext"]
    raw = path.read_bytes()
    stored = {raw[at : at + size] for at, size in zip(rows["offset"], rows["size"], strict=True)}
    assert audit.tally.readable == len(rows)
    assert audit.tally.objects == rows["key"].nunique()
    assert audit.tally.contents == len(stored)


def test_rows_tell_what_etcd_stores(tree: Audit, database: Path) -> None:
    raw, rows = database.read_bytes(), tree.inventory
    records: Any = rows.to_dict("records")
    for row in records:
        value = raw[row["offset"] : row["offset"] + row["size"]]
        assert (value.startswith(b"k8s\0")) == (row["encoding"] == "protobuf")
        assert row["page"] == row["offset"] // tree.evidence.backend.page_size
        assert row["key"] == f"/registry/secrets/app/{row['name']}"
        assert (row["namespace"], row["resource"], row["source"]) == ("app", "secrets", "made.db")
    reborn = rows[(rows["name"] == "reborn") & (rows["place"] == "latest")].iloc[0]
    assert reborn["version"] == 1
    assert reborn["create_revision"] == reborn["mod_revision"]
    changed = rows[(rows["name"] == "changed") & (rows["place"] == "latest")].iloc[0]
    assert changed["version"] == 2
    assert changed["create_revision"] == changed["mod_revision"] - 1


def test_readable_objects_tell_their_metadata_and_others_do_not(tree: Audit) -> None:
    rows = tree.inventory
    plain, other = rows[rows["encoding"] != ""], rows[rows["encoding"] == ""]
    assert set(plain["data_keys"]) == {"password"}
    assert set(plain["created"]) == {"2026-09-21T14:13:20Z"}
    assert set(plain["type"]) == {"Opaque"}
    for column in ("uid", "type", "data_keys", "created"):
        assert set(other[column]) == {"unknown"}
    assert set(rows[rows["provider"] == "aescbc"]["decrypted"]) <= {"no key", "not tried"}
    assert set(plain["decrypted"]) == {""}


# coverage and resources


def test_coverage_counts_every_resource(tree: Audit) -> None:
    counted: Counter[str] = Counter()
    for row in tree.coverage:
        counted[row.resource] += row.values
    assert counted == RECORDS


def test_coverage_tells_what_is_never_encrypted_and_what_each_is_under(tree: Audit) -> None:
    assert {row.resource for row in tree.coverage if row.exempt} == {"masterleases", ""}
    found = {(row.resource, row.provider.label, row.key_name) for row in tree.coverage}
    assert {("configmaps", "aesgcm", "g1"), ("secrets", "aescbc", "key1"), ("secrets", "unknown", "")} <= found


def test_coverage_does_not_depend_on_what_was_asked(tree: Audit, database: Path) -> None:
    assert auditor.scan(database, replace(QUICK, resources=("configmaps",))).coverage == tree.coverage


def test_every_resource(database: Path) -> None:
    rows = auditor.scan(database, replace(QUICK, resources=("*",))).inventory
    selected = {name: count for name, count in RECORDS.items() if name not in {"", "masterleases"}}
    assert Counter(rows["resource"]) == selected


def test_several_resources(database: Path) -> None:
    audit = auditor.scan(database, replace(QUICK, resources=("configmaps", "widgets.lab.example.com", "namespaces")))
    assert Counter(audit.inventory["resource"]) == {"configmaps": 1, "widgets.lab.example.com": 1, "namespaces": 2}
    assert audit.complete


def test_resources_of_the_core_group_may_end_in_a_dot(database: Path) -> None:
    """As EncryptionConfiguration allows: `secrets.` is the core group's."""
    audit = auditor.scan(database, replace(QUICK, resources=("secrets.",)))
    assert len(audit.inventory) == RECORDS["secrets"]
    assert audit.complete


# verdict and exit code


def audit_with(*severities: Severity, complete: bool) -> Audit:
    """A real audit with other findings and another completeness."""
    audit = auditor.scan(DEFRAGMENTED, QUICK)
    marks = tuple((FindingKind.UNRECOGNISED, severity, 1) for severity in severities)
    tally = replace(audit.tally, findings=marks)
    return replace(audit, tally=tally, gaps=() if complete else (Gap("x", 0, 1, "unread"),), unexamined=())


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("fail_on", Severity)
@pytest.mark.parametrize("severity", Severity)
def test_a_finding_decides_at_or_above_the_level(severity: Severity, fail_on: Severity, *, complete: bool) -> None:
    audit = audit_with(severity, complete=complete)
    expected = 1 if severity >= fail_on else 0 if complete else 3
    assert audit.exit_code(fail_on) == expected
    passed = Verdict.ACCEPTED if severity >= Severity.MEDIUM else Verdict.NONE
    assert audit.verdict(fail_on) is {0: passed, 1: Verdict.FINDINGS, 3: Verdict.INCONCLUSIVE}[expected]


def test_the_highest_finding_decides() -> None:
    audit = audit_with(Severity.LOW, Severity.HIGH, complete=False)
    assert [audit.exit_code(level) for level in Severity] == [1, 1, 1, 3]


@pytest.mark.parametrize(("complete", "verdict", "code"), [(True, Verdict.NONE, 0), (False, Verdict.INCONCLUSIVE, 3)])
def test_without_findings_completeness_decides(verdict: Verdict, code: int, *, complete: bool) -> None:
    audit = audit_with(complete=complete)
    assert audit.verdict() is verdict
    assert {audit.exit_code(level) for level in Severity} == {code}


@pytest.mark.parametrize("decisive", [True, False])
def test_only_what_is_decisive_keeps_the_conclusion_open(*, decisive: bool) -> None:
    audit = replace(audit_with(complete=True), unexamined=(Unexamined("a part", "left out", decisive),))
    assert audit.complete is not decisive


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (Options(quick=True), 3),
        (Options(quick=True, accept_partial=True), 0),
        (Options(quick=True, accept_partial=True, resources=("secrets", "nosuch")), 3),
        (Options(quick=True, accept_partial=True, storage_prefixes=("/registry",)), 0),
        (Options(quick=True, accept_partial=True, storage_prefixes=("/elsewhere",)), 3),
        (Options(quick=True, accept_partial=True, storage_prefixes=("/elsewhere",), resources=("*",)), 3),
    ],
)
def test_what_the_options_leave_out_decides(options: Options, code: int) -> None:
    audit = auditor.scan(DEFRAGMENTED, options)
    assert audit.exit_code(Severity.MEDIUM) == code
    assert audit.complete == (code == 0)


def test_accept_partial_means_nothing_without_quick() -> None:
    plain, accepting = auditor.scan(DEFRAGMENTED), auditor.scan(DEFRAGMENTED, Options(accept_partial=True))
    assert plain.complete == accepting.complete
    assert plain.unexamined == accepting.unexamined


def test_quick_hashes_nothing_and_says_so() -> None:
    audit = auditor.scan(DEFRAGMENTED, Options(quick=True))
    assert (audit.evidence.sha256, audit.evidence.trailer) == ("", Trailer.NOT_CHECKED)
    assert any("hash" in part.what and part.decisive for part in audit.unexamined)


def test_an_absent_resource_is_named(database: Path) -> None:
    audit = auditor.scan(database, replace(QUICK, resources=("tokens.example.com",)))
    assert not audit.complete
    assert any("tokens.example.com" in part.what for part in audit.unexamined)
    assert (len(audit.findings), len(audit.inventory)) == (0, 0)
    assert list(audit.findings.columns) == list(audit.inventory.columns) == COLUMNS


def test_a_resource_that_is_only_exempt_is_absent(database: Path) -> None:
    audit = auditor.scan(database, replace(QUICK, resources=("masterleases",)))
    assert not audit.complete
    assert len(audit.inventory) == 0


@pytest.mark.parametrize("resources", [("secrets",), ("*",)], ids=["secrets", "all"])
@pytest.mark.parametrize("key", [b"k", b"/registry/secrets/default/db"], ids=["no registry", "no objects"])
def test_a_database_without_kubernetes_is_not_concluded_on(
    tmp_path: Path, key: bytes, resources: tuple[str, ...]
) -> None:
    """A pass would say that nothing was found where nothing was looked at."""
    audit = auditor.scan(
        snapshot_after(tmp_path, lambda etcd: etcd.put_many([(key, b"v")])), replace(QUICK, resources=resources)
    )
    assert (audit.verdict(), audit.exit_code(Severity.LOW)) == (Verdict.INCONCLUSIVE, 3)


def test_objects_under_no_prefix_are_not_passed_over(tmp_path: Path) -> None:
    def strays(etcd: Etcd) -> None:
        etcd.put(b"/registry/secrets/a/b", cbc(0x80))
        etcd.put(b"stray-1", cbc(0x81))
        etcd.put(b"stray-2", StoredObject().protobuf())

    snapshot = snapshot_after(tmp_path, strays)
    audit = auditor.scan(snapshot, QUICK)
    assert audit.findings[audit.findings.finding == "plaintext"].key.tolist() == ["stray-2"]
    assert any("1 value under no storage prefix" in part.what and part.decisive for part in audit.unexamined)
    audit = auditor.scan(snapshot, replace(QUICK, storage_prefixes=("/registry",)))
    assert not audit.tally.readable
    assert any("1 readable Secret" in part.what and part.decisive for part in audit.unexamined)


@pytest.mark.parametrize("resources", [("secrets",), ("secrets", "configmaps")], ids="+".join)
def test_a_damaged_object_under_an_unusual_key_keeps_the_conclusion_open(
    tmp_path: Path, resources: tuple[str, ...]
) -> None:
    """Neither its key nor its bytes say that it is a Secret: one letter of each was changed."""
    value = secret("odd", "pw-11").protobuf()
    broken = value[:4] + b"\xff" + value[5:]
    others = [(secret("sealed", "").key, cbc(0x80)), (b"/registry/configmaps/app/c", cbc(0x90))]
    path = sealing.database(tmp_path / "odd.db", [*others, (b"/registry/secretz/app/odd", broken)])
    assert path.read_bytes().count(b"pw-11") == 1
    audit = auditor.scan(path, Options(resources=resources))
    assert not len(audit.findings[audit.findings.severity != "low"])
    assert not audit.complete
    assert audit.exit_code(Severity.MEDIUM) == 3
    (left,) = (each for each in audit.unexamined if "fragment in" in each.what)
    assert left == Unexamined(f"1 fragment in latest, {len(broken):,} bytes", left.reason, decisive=True)
    rows = audit.inventory[audit.inventory.resource == "unknown"]
    assert rows.key.tolist() == ["/registry/secretz/app/odd"]


def test_evidence_that_changes_is_a_gap(tmp_path: Path) -> None:
    path = Path(shutil.copy(DEFRAGMENTED, tmp_path))
    with gather(path, None, hashed=True) as files:
        os.utime(path, ns=(1, 1))
        audit = examine(files, QUICK)
    assert "mtime" in audit.evidence.changed
    assert any("changed" in gap.reason for gap in audit.gaps)
    assert audit.exit_code(Severity.MEDIUM) == 3


# identities


def test_the_cluster_is_told_by_its_kube_system_namespace(whole: Audit) -> None:
    cluster = whole.evidence.cluster
    assert (cluster.uid, cluster.prefixes) == (UID.decode(), ("/registry",))
    assert cluster.created == "2026-09-21T14:05:00Z"
    assert cluster.newest == "2026-09-21T14:29:59Z"


def test_the_cluster_of_the_fixtures() -> None:
    cluster = auditor.scan(PLAINTEXT).evidence.cluster
    assert (cluster.uid, cluster.created) == ("71314e90-44b9-4311-833c-506d91031055", "2026-11-23T03:59:16Z")


def test_the_evidence_is_identified(whole: Audit, database: Path) -> None:
    raw = database.read_bytes()
    evidence = whole.evidence
    assert evidence.sha256 == hashlib.sha256(raw).hexdigest()
    assert (evidence.size, evidence.trailer, evidence.changed) == (len(raw), Trailer.MATCHES, "")
    assert set(whole.inventory["evidence"]) == {evidence.sha256}


def test_ids_are_the_same_on_every_run_and_under_every_name(database: Path, tmp_path: Path) -> None:
    other = Path(shutil.copy(database, tmp_path / "renamed.snapshot"))
    first, again, renamed = auditor.scan(database), auditor.scan(database), auditor.scan(other)
    assert first.inventory["id"].tolist() == again.inventory["id"].tolist() == renamed.inventory["id"].tolist()
    assert first.inventory["id"].is_unique
    assert set(renamed.inventory["source"]) == {"renamed.snapshot"}
    pd.testing.assert_frame_equal(first.findings, again.findings)


# DataFrames


@pytest.mark.parametrize("path", [PLAINTEXT, REWRITTEN, None], ids=["plaintext", "rewritten", "made"])
def test_data_frames(path: Path | None, database: Path) -> None:
    audit = auditor.scan(path or database)
    for frame in (audit.findings, audit.inventory):
        assert list(frame.columns) == COLUMNS
        assert len(frame) > 10
        for name in COLUMNS:
            if name in NUMBERS:
                assert frame[name].dtype == pd.Int64Dtype()
            else:
                assert all(type(cell) is str for cell in frame[name])
        grouped = frame["finding"].eq("weak-provider") & frame["name"].eq("")
        assert not grouped[: len(frame) - grouped.sum()].any()  # rows of providers are the last
        frame = frame[~grouped]
        assert not frame[["offset", "size"]].isna().any(axis=None)
        order = list(zip(frame["source"], frame["offset"], frame["finding"], strict=True))
        assert order == sorted(order)


def test_findings_are_the_marked_rows_of_the_inventory(tree: Audit) -> None:
    findings, inventory = tree.findings, tree.inventory
    marked = inventory[(inventory["judged"] == "finding") & inventory["finding"].ne("weak-provider")]
    grouped = findings[findings["finding"] == "weak-provider"]
    findings = findings[findings["finding"] != "weak-provider"]
    assert findings["id"].tolist() == marked["id"].tolist()
    assert findings["finding"].tolist() == marked["finding"].tolist()
    assert set(inventory[inventory["judged"] == "pass"]["finding"]) <= {""}
    tally = tree.tally
    counted = Counter(zip(findings["finding"], findings["severity"], strict=True))
    for severity, detail in zip(grouped["severity"], grouped["detail"], strict=True):
        counted["weak-provider", severity] += int(detail.split(" value")[0])
    assert counted == {(finding.label, severity.label): count for finding, severity, count in tally.findings}


def test_without_rows_the_verdict_is_the_same(database: Path, tree: Audit) -> None:
    audit = auditor.scan(database, replace(QUICK, rows=False))
    assert (audit.tally, audit.coverage, audit.verdict()) == (tree.tally, tree.coverage, tree.verdict())
    assert len(audit.findings) == len(audit.inventory) == 0
