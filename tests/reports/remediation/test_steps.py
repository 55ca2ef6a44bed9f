"""The steps of a script, by the real kubectl and etcdctl: an API server of the tests' own keeps objects in etcd."""

import os
import random
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Self

import pytest

from auditor.protobuf import rpc_pb2 as rpc
from tests.evidence.gardener.test_backup import full, written  # noqa: F401 - a fixture
from tests.helpers import members
from tests.helpers.api_server import CUT, IDENTITY, ApiServer, kubeconfig
from tests.helpers.cluster_model import World
from tests.helpers.command import run
from tests.helpers.etcd import Etcd, free_ports, restore
from tests.helpers.objects import StoredObject
from tests.helpers.remediation import CBC, OTHER_UID, UID, Migration, auditor_program, program, secret
from tests.helpers.sealing import OTHER, configuration, database, provider, seal
from tests.helpers.sweeps import sample
from tests.reports.remediation.test_script import kine


@pytest.fixture
def migration(tmp_path: Path) -> Iterator[Migration]:
    with Migration(tmp_path / "one") as cluster:
        done = cluster.make()
        assert done.returncode == 1, done.stderr
        yield cluster


def member_of(etcd: Etcd) -> str:
    return etcd.ctl("member", "list").decode().partition(",")[0]


def test_the_whole_way(migration: Migration) -> None:
    code, said = migration.run(**migration.live)
    assert code == 0, said
    assert "4 of 4 objects would be rewritten, 0 are gone, 0 would fail" in said
    assert "would run: etcdctl compaction --physical REVISION" in said
    assert "compact makes unrecoverable: every older revision" in said
    assert (migration.written, migration.notes, len(migration.plain)) == ([], [], 4)

    code, said = migration.apply()
    assert code == 0, said
    assert "rewrite: 4 rewritten now" in said
    assert "NO FINDINGS in latest" in said
    assert (migration.plain, len(migration.written), migration.compacted()) == ([], 4, 1)

    code, said = migration.apply()
    assert (code, len(migration.written)) == (0, 4)
    assert "rewrite: 0 rewritten now" in said

    live = {"COMPACT": "yes", **migration.live}
    code, said = migration.run(**live)
    assert (code, migration.compacted()) == (2, 1)
    assert "compact: what it makes unrecoverable is not preserved" in said
    code, said = migration.run(PRESERVED=str(migration.evidence), **live)
    assert (code, migration.compacted()) == (0, 10), said
    code, said = migration.run(PRESERVED=str(migration.evidence), **live)
    assert (code, "compaction: done before, at revision 10" in said) == (0, True)

    member = member_of(migration.etcd)
    live = {"DEFRAGMENT": member, **migration.live}
    code, said = migration.run(PRESERVED=str(migration.evidence), **live)
    assert (code, "is not whole, or not what this step needs (API snapshot" in said) == (2, True)
    copy = shutil.copytree(migration.folder / "data", migration.folder / "copy")
    code, said = migration.run(PRESERVED=str(copy), **live)
    assert (code, f"defragmentation of {member}: done" in said) == (0, True), said
    code, said = migration.run(**live)
    assert (code, "done before" in said) == (0, True)
    last = [line.split()[0] for line in migration.notes]
    assert last[-5:] == ["compacting", "compacted", "verified", "preserved", "defragmented"]
    assert all(line.endswith(" .") for line in migration.notes)


def test_a_write_path_that_is_not_switched_stops_everything(migration: Migration) -> None:
    migration.server.providers = [IDENTITY, CBC]
    code, said = migration.apply()
    assert code == 1
    assert "STOPPED: this API server does not write secrets as wanted" in said
    assert {path.partition("?")[0] for path in migration.written} == {"/api/v1/namespaces/ns/secrets/s000"}
    assert not any(line.startswith(("done", "rewritten", "verified")) for line in migration.notes)
    code, said = migration.run(COMPACT="yes", PRESERVED=str(migration.evidence), **migration.live)
    assert (code, migration.compacted(), "not all is rewritten" in said) == (2, 1, True)


def test_another_api_server_that_writes_the_old_form_is_noticed(migration: Migration) -> None:
    """Its value is newer than the first that was rewritten."""

    others = [secret(90)]

    def before(method: str, path: str) -> None:
        if migration.written and others:
            migration.server.create(others.pop(), IDENTITY)

    migration.server.before = before
    code, said = migration.apply()
    assert code == 1
    assert "STOPPED: an API server still writes another form of secrets" in said
    assert len(migration.written) == 1


def test_what_is_verified_is_under_the_storage_prefix_that_was_detected(tmp_path: Path) -> None:
    """Beside another cluster's tree, in which all is encrypted."""
    with Migration(tmp_path / "one", count=2, prefix="/kubernetes.io") as migration:
        assert migration.make().returncode == 1
        other = secret(0, b"other")
        migration.etcd.put(other.key, seal(*CBC, other, random.Random(1)))
        migration.server.create(secret(50), IDENTITY)  # since the evidence: it is in no batch
        code, said = migration.apply()
        assert (code, "FINDINGS: 1 of 3 secrets are not as wanted" in said) == (1, True), said
        migration.server.create(secret(50))
        code, said = migration.apply()
        assert (code, "NO FINDINGS in latest: all 3 secrets" in said) == (0, True), said


def test_a_compaction_that_was_done_before_a_rewrite_is_none_after_it(migration: Migration) -> None:
    step = {"COMPACT": "yes", **migration.live}
    assert migration.apply()[0] == 0
    assert migration.run(PRESERVED=str(migration.evidence), **step)[0] == 0
    done = migration.compacted()
    migration.server.create(secret(1), IDENTITY)
    code, said = migration.run(PRESERVED=str(migration.evidence), **step)
    assert (code, "NOT VERIFIED" in said, migration.compacted()) == (1, True, done), said
    assert migration.apply()[0] == 0
    member = {"DEFRAGMENT": member_of(migration.etcd), **migration.live}
    code, said = migration.run(**member)
    assert (code, "not compacted since the last rewrite" in said) == (2, True), said
    code, said = migration.run(PRESERVED=str(migration.snapshot()), **step)
    assert (code, migration.compacted() > done, migration.plain) == (0, True, []), said


@pytest.mark.parametrize("others", [5, 25])
def test_what_is_written_between_verifying_and_compacting_is_seen_behind_newer_values(
    migration: Migration, others: int
) -> None:
    assert migration.apply()[0] == 0
    real, wait = migration.folder / "bin" / "real-auditor", migration.folder / "wait"
    (migration.folder / "bin" / "etcd-auditor").rename(real)
    lines = [f'"{real}" "$@"; code=$?', f'[ "$1" != watch ] || cat "{wait}" > {os.devnull}', "exit $code"]
    program(migration.folder / "bin" / "etcd-auditor", *lines)
    os.mkfifo(wait)
    with migration.start(COMPACT="yes", PRESERVED=str(migration.evidence), **migration.live) as process:
        with wait.open("w"):  # opened once both sides are there: after the audit
            migration.server.create(secret(1), IDENTITY)
            for number in range(others):
                migration.server.create(secret(100 + number))
        said, _ = process.communicate(timeout=600)
    assert (process.returncode, "REFUSED: a value was written in another form since" in said) == (2, True), said
    assert migration.compacted() == 1


def test_what_cannot_be_read_is_named_and_the_rest_is_rewritten(migration: Migration) -> None:
    migration.server.fault = lambda method, path, number: 403 if "/s003" in path else 0
    code, said = migration.apply()
    assert (code, migration.plain) == (1, ["s003"])
    assert "FAILED: secrets ns s003: it cannot be read" in said
    assert "the API server answers Forbidden" in said
    assert not any("s003" in line for line in migration.notes)
    code, said = migration.run(COMPACT="yes", PRESERVED=str(migration.evidence), **migration.live)
    assert (code, migration.compacted()) == (2, 1)
    migration.server.fault = lambda method, path, number: 0
    code, said = migration.apply()
    assert (code, migration.plain, len(migration.written)) == (0, [], 4)


@pytest.mark.parametrize(("method", "fault"), sample(list(product(("GET", "PUT"), (CUT, 404, 409, 429, 500, 504))), 2))
def test_what_fails_once_is_tried_again_by_reading_again(migration: Migration, fault: int, method: str) -> None:
    left = {"/s000", "/s002", "/s003"}

    def fails(asked: str, path: str, number: int) -> int:
        name = path.partition("?")[0][-5:]
        if asked == method and name in left:
            left.discard(name)
            return fault
        return 0

    migration.server.fault = fails
    code, said = migration.apply()
    assert (code, migration.plain) == (0, []), said
    assert not left


def test_what_is_changed_meanwhile_keeps_the_change(migration: Migration) -> None:
    changed = StoredObject(b"ns", b"s002", {b"password": b"CHANGED"}, uid=b"u-002")

    def before(method: str, path: str) -> None:
        if method == "PUT" and "/s002" in path and not any("/s002" in each for each in migration.written):
            migration.server.create(changed, IDENTITY)  # by an API server that is not switched yet

    migration.server.before = before
    code, said = migration.apply()
    assert (code, migration.plain) == (0, []), said
    key = changed.key
    plain, _ = migration.server.opened(key, migration.server.stored(key).value)
    assert b"CHANGED" in plain


def test_an_object_that_only_seems_to_be_gone_is_not_passed_over(migration: Migration) -> None:
    """A list that is only a part: etcd still has it."""
    migration.server.fault = lambda method, path, number: 404 if "/s002" in path else 0
    code, said = migration.apply()
    assert (code, migration.plain) == (1, ["s002"])
    assert "FAILED: secrets ns s002: it cannot be read" in said


def test_what_was_deleted_since_is_no_failure(migration: Migration) -> None:
    migration.etcd.delete(secret(3).key)
    code, said = migration.apply()
    assert (code, migration.plain) == (0, []), said
    assert "gone: secrets ns s003" in said
    assert not any("s003" in line for line in migration.notes)
    # it is as gone in the next run: what was compacted since is done
    step = {"COMPACT": "yes", "PRESERVED": str(migration.evidence), **migration.live}
    assert migration.run(**step)[0] == 0
    code, said = migration.apply()
    assert (code, "0 rewritten now, 1 gone" in said) == (0, True), said
    code, said = migration.run(**step)
    assert (code, "compaction: done before" in said) == (0, True), said


@pytest.mark.night
def test_a_login_that_expires_ends_it(migration: Migration) -> None:
    migration.server.fault = lambda method, path, number: 401 if len(migration.written) else 0
    code, said = migration.apply()
    assert code == 2
    assert "You must be logged in to the server" in said
    assert "REFUSED: kubectl cannot read the namespace kube-system" in said
    assert len(migration.written) == 1
    migration.server.fault = lambda method, path, number: 0
    assert migration.apply()[0] == 0


class Other:
    """Another cluster with Secrets of the same names."""

    def __init__(self, folder: Path) -> None:
        self.etcd = Etcd(folder / "data")
        self.server = ApiServer(self.etcd, OTHER_UID)

    def __enter__(self) -> Self:
        self.server.__enter__()
        for number in range(4):
            self.server.create(secret(number), IDENTITY)
        self.server.providers = [CBC, IDENTITY]
        self.before = self.etcd.get_all()
        return self

    def __exit__(self, *ended: object) -> None:
        self.server.__exit__(None, None, None)
        self.etcd.__exit__(None, None, None)

    @property
    def untouched(self) -> bool:
        return self.etcd.get_all() == self.before


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Other]:
    with Other(tmp_path / "other") as cluster:
        yield cluster


def test_another_context_and_another_etcd_are_refused(migration: Migration, other: Other) -> None:
    kubeconfig(migration.kubeconfig, {"one": migration.server.url, "two": other.server.url}, "two")
    kept = {"PRESERVED": str(migration.evidence)}
    for more in ({}, {"APPLY": "yes"}, {"COMPACT": "yes"}, {"DEFRAGMENT": member_of(migration.etcd)}):
        code, said = migration.run(**kept, **migration.live, **more)
        assert code == 2
        assert f"kubectl speaks to another cluster: the uid of its kube-system is {OTHER_UID}" in said
    kubeconfig(migration.kubeconfig, {"one": migration.server.url, "two": other.server.url}, "one")
    code, said = migration.run(APPLY="yes", ETCDCTL_ENDPOINTS=other.etcd.endpoint, **kept)
    assert (code, "this etcd is not that of cluster" in said) == (2, True)
    code, said = migration.run(
        APPLY="yes", ETCDCTL_ENDPOINTS=f"{migration.etcd.endpoint},{other.etcd.endpoint}", **kept
    )
    assert (code, "members of several etcd clusters" in said) == (2, True)
    assert migration.apply()[0] == 0
    code, said = migration.run(COMPACT="yes", ETCDCTL_ENDPOINTS=other.etcd.endpoint, **kept)
    assert (code, "the steps before were done to" in said) == (2, True)
    assert other.untouched
    assert not [method for method, _ in other.server.requests if method == "PUT"]


@pytest.mark.parametrize("cloned", ["etcd", "API server"])
def test_a_copy_of_the_cluster_is_left_after_one_object(migration: Migration, tmp_path: Path, cloned: str) -> None:
    """Both have the uid of the evidence: the first write is not in the etcd that is looked into."""
    with restore(migration.evidence, tmp_path / "clone") as clone, ApiServer(clone, UID) as server:
        server.providers = [CBC, IDENTITY]
        endpoint = migration.etcd.endpoint
        if cloned == "etcd":
            endpoint = clone.endpoint
        else:
            kubeconfig(migration.kubeconfig, {"one": server.url}, "one")
        code, said = migration.run(
            APPLY="yes", PRESERVED=str(migration.evidence), ETCDCTL_ENDPOINTS=endpoint, MEMBERS=member_of(clone)
        )
        assert (code, "STOPPED: what this API server writes is not in the etcd" in said) == (1, True), said
        written = {
            path.partition("?")[0] for method, path in (*migration.server.requests, *server.requests) if method == "PUT"
        }
        assert written == {"/api/v1/namespaces/ns/secrets/s000"}
        assert not any(line.startswith(("done", "proof", "rewritten")) for line in migration.notes)


@pytest.mark.parametrize("replaced", [False, True], ids=["switched", "replaced"])
def test_a_context_that_is_switched_in_the_middle(migration: Migration, other: Other, replaced: bool) -> None:
    """By `kubectl config use-context`, or by another file in its place whose context has the same name."""
    servers = {"one": other.server.url if replaced else migration.server.url, "two": other.server.url}

    def before(method: str, path: str) -> None:
        if method == "GET" and "/s003" in path and migration.written:
            kubeconfig(migration.kubeconfig, servers, "one" if replaced else "two")

    migration.server.before = before
    code, said = migration.apply()
    assert other.untouched
    assert not [method for method, _ in other.server.requests if method == "PUT"]
    assert (code, migration.plain) == (0, []), said
    for line in migration.notes:
        if line.startswith("done"):
            _, _, _, name, _, revision, _ = line.split()
            record = migration.server.stored(f"/registry/secrets/ns/{name}".encode())
            assert (str(record.mod_revision), record.value[:8]) == (revision, b"k8s:enc:")


def test_a_hold_stops_everything_but_the_dry_run(migration: Migration) -> None:
    folder = migration.script.parent

    def held(**more: str) -> None:
        code, said = migration.apply(**more)
        assert (code, "HOLD: nothing is changed while it stands" in said) == (2, True)
        assert migration.run(**more)[0] == 0

    held(HOLD="yes")
    for name, text in (
        ("HOLD", ""),
        ("HOLD=yes", ""),
        ("case.txt", "case: 7\nHOLD=yes\n"),
        ("case.txt", "export HOLD='yes'  # until the hearing\n"),
        ("case.txt", "hold: True\r\n"),
    ):
        (folder / name).write_text(text)
        held()
        (folder / name).unlink()
    (folder / "other.txt").write_text("HOLD=no\nHOLD=yesterday\n# HOLD=yes stops it\n")
    (migration.folder / "elsewhere.txt").write_text("HOLD=yes\n")
    (folder / "link.txt").symlink_to(migration.folder / "elsewhere.txt")
    held()
    assert "link.txt" in migration.apply()[1]
    (folder / "link.txt").unlink()

    def before(method: str, path: str) -> None:
        if method == "PUT" and "dryRun" not in path:
            (folder / "HOLD").touch()

    migration.server.before = before
    code, said = migration.apply()
    assert (code, len(migration.written), "HOLD" in said) == (2, 1, True)


def test_what_is_preserved_is_looked_at(migration: Migration, other: Other) -> None:
    def refused(why: str, **more: str) -> None:
        code, said = migration.run(APPLY="yes", **migration.live, **more)
        assert (code, why in said) == (2, True), said
        assert not migration.written

    refused("rewrite: what it makes unrecoverable is not preserved")
    refused("does not exist", PRESERVED=str(migration.folder / "nothing.db"))
    cut = migration.folder / "cut.db"
    cut.write_bytes(migration.evidence.read_bytes()[:-64])
    refused("is not", PRESERVED=str(cut))
    refused("is not known to be evidence of cluster", PRESERVED=str(other.etcd.save(migration.folder / "other.db")))
    refused("is not known to be evidence of cluster", PRESERVED=migration.config)
    refused("is not preserved", PRESERVED_SHA256="a" * 64)
    refused("is not preserved", PRESERVED_SHA256="a" * 63, PRESERVED_REASON="in the vault")
    code, said = migration.run(
        APPLY="yes", **migration.live, PRESERVED_SHA256="a" * 64, PRESERVED_REASON="in the vault", OPERATOR="a b;c"
    )
    assert code == 0, said
    line = next(line for line in migration.notes if line.startswith("preserved"))
    assert line.split()[1:4] == ["rewrite", "a" * 64, "unread"]
    assert line.split()[5:] == ["a_b_c", "in_the_vault", "."]


@pytest.mark.night
def test_what_is_still_written_to_is_not_preserved(migration: Migration) -> None:
    """The member's own data directory, which a defragmentation rewrites; and a pipe, of which nothing is left."""
    own = str(migration.folder / "data")
    pipe = migration.folder / "pipe"
    os.mkfifo(pipe)
    for step in ({"APPLY": "yes"}, {"APPLY": "yes", "PRESERVED": str(pipe)}):
        code, said = migration.run(**{"PRESERVED": own, **migration.live, **step})
        assert (code, migration.written) == (2, [])
        assert ("is in use by a process" if step.get("PRESERVED") is None else "is no file and no folder") in said
    assert migration.apply()[0] == 0
    code, said = migration.run(COMPACT="yes", PRESERVED=own, **migration.live)
    assert (code, migration.compacted(), "is in use by a process" in said) == (2, 1, True)
    assert migration.run(COMPACT="yes", PRESERVED=str(migration.evidence), **migration.live)[0] == 0
    code, said = migration.run(DEFRAGMENT=member_of(migration.etcd), PRESERVED=own, **migration.live)
    assert (code, "is in use by a process" in said) == (2, True)
    assert not any(line.startswith("defragmented") for line in migration.notes)


def test_a_snapshot_from_before_the_evidence_is_not_enough(tmp_path: Path) -> None:
    with Migration(tmp_path) as cluster:
        cluster.server.create(secret(50), IDENTITY)
        early, cluster.evidence = cluster.evidence, cluster.snapshot()
        cluster.make()
        code, said = cluster.run(APPLY="yes", PRESERVED=str(early), **cluster.live)
        assert (code, "older than the evidence, which is of 7" in said) == (2, True)


def test_a_later_rotation_in_the_same_folder_rewrites_its_own(migration: Migration) -> None:
    assert migration.apply()[0] == 0
    second = ("aescbc", "key2", OTHER)
    migration.evidence = migration.snapshot("second.db")
    migration.config = configuration(
        migration.folder / "second.json", provider("aescbc", ("key2", OTHER), ("key1", CBC[2])), {"identity": {}}
    )
    migration.server.providers = [second, CBC, IDENTITY]
    first, migration.script = migration.script, migration.script.with_name("second.sh")
    assert migration.make().returncode == 1
    code, said = migration.apply()
    assert (code, "rewrite: 4 rewritten now" in said) == (0, True), said
    assert all(
        record.value.startswith(b"k8s:enc:aescbc:v1:key2:")
        for key, record in migration.etcd.get_all().items()
        if b"/secrets/" in key
    )
    assert len(list(first.parent.glob("*.notes"))) == 2


@pytest.mark.night
def test_without_etcdctl_a_second_audit_says_so(migration: Migration) -> None:
    kept = {"APPLY": "yes", "PRESERVED": str(migration.evidence)}
    code, said = migration.run(**kept)
    assert (code, migration.plain) == (3, []), said
    assert "what is stored was not looked at" in said
    assert not any(line.startswith(("done", "rewritten")) for line in migration.notes)
    code, said = migration.run(**kept, AUDITED=str(migration.evidence))
    assert (code, "from before the rewrite" in said) == (2, True)
    count = len(migration.written)
    code, said = migration.run(**kept, AUDITED=str(migration.snapshot()))
    assert (code, len(migration.written)) == (0, count), said
    assert migration.notes[-1] == "rewritten all ."
    code, said = migration.run(COMPACT="yes", PRESERVED=str(migration.evidence))
    assert (code, "compaction needs ETCDCTL_ENDPOINTS" in said) == (2, True)


def test_a_second_audit_that_finds_something_left_has_all_looked_at_again(migration: Migration) -> None:
    kept = {"APPLY": "yes", "PRESERVED": str(migration.evidence)}
    assert migration.run(**kept)[0] == 3
    migration.server.create(secret(3), IDENTITY)
    code, said = migration.run(**kept, AUDITED=str(migration.snapshot()))
    assert (code, "1 current value not as wanted" in said) == (1, True)
    assert not any(line.startswith("rewritten") for line in migration.notes)
    assert migration.run(**kept)[0] == 3
    assert migration.run(**kept, AUDITED=str(migration.snapshot("last.db")))[0] == 0
    assert migration.plain == []


@pytest.mark.night
def test_where_namespaces_are_encrypted_an_object_just_rewritten_shows_whose_etcd_it_is(
    migration: Migration, other: Other
) -> None:
    for cluster, uid in ((migration, UID), (other, OTHER_UID)):
        namespace = StoredObject(b"", b"kube-system", kind=b"Namespace", uid=uid.encode())
        value = seal("aescbc", "key1", CBC[2], namespace, cluster.server._rng)
        cluster.etcd.put(b"/registry/namespaces/kube-system", value)
    migration.evidence = migration.snapshot("wild.db")
    assert "does not show which cluster it is of" in migration.make().stderr
    assert migration.make("--expect-cluster", UID).returncode == 1
    # the opened namespace is what kubectl reads; the first object is not in the other etcd
    compact = {"COMPACT": "yes", "PRESERVED": str(migration.evidence)}
    other.etcd.put(b"x", b"y")
    code, said = migration.run(
        APPLY="yes",
        ETCDCTL_ENDPOINTS=other.etcd.endpoint,
        MEMBERS=member_of(other.etcd),
        PRESERVED=str(migration.evidence),
    )
    assert (code, any(line.startswith(("done", "etcd", "proof")) for line in migration.notes)) == (1, False), said
    code, said = migration.run(**compact, **migration.live)
    assert (code, "no object was rewritten that shows whose etcd this is" in said) == (2, True)
    migration.server.create(secret(0), IDENTITY)
    code, said = migration.apply()
    assert (code, migration.plain) == (0, []), said
    assert any(line.startswith("proof secrets ns s00") for line in migration.notes)
    code, said = migration.run(**compact, ETCDCTL_ENDPOINTS=other.etcd.endpoint)
    assert (code, "the steps before were done to" in said) == (2, True)
    code, said = migration.run(**compact, **migration.live)
    assert (code, migration.compacted() > 1) == (0, True), said


def test_members_that_are_not_the_evidences_are_confirmed(migration: Migration) -> None:
    text = migration.script.read_text()
    member = member_of(migration.etcd)
    migration.script.write_text(text.replace(f"EA_MEMBERS_THEN={member}", "EA_MEMBERS_THEN=1234"))
    code, said = migration.apply()
    assert (code, f"now {member}, then 1234" in said) == (2, True)
    code, said = migration.apply(MEMBERS=f"1111,{member}")
    assert code == 0, said


def test_a_run_that_is_killed_goes_on_where_it_was(migration: Migration) -> None:
    processes: list[subprocess.Popen[str]] = []

    def before(method: str, path: str) -> None:
        if method == "PUT" and "/s003" in path and processes:
            processes.pop().send_signal(signal.SIGKILL)

    migration.server.before = before
    process = migration.start(APPLY="yes", PRESERVED=str(migration.evidence), **migration.live)
    processes.append(process)
    process.communicate(timeout=600)
    assert process.returncode == -signal.SIGKILL
    assert list(migration.script.parent.glob("*.lock"))
    code, said = migration.apply()
    assert (code, migration.plain) == (0, []), said
    assert not list(migration.script.parent.glob("*.lock*"))


@pytest.mark.night
def test_two_at_once_are_one(migration: Migration) -> None:
    """The second runs while the first writes, and does nothing."""
    answers: list[tuple[int, str]] = []

    def before(method: str, path: str) -> None:
        if method == "PUT" and not answers:
            answers.append((0, ""))
            answers[0] = migration.apply()

    migration.server.before = before
    code, said = migration.apply()
    assert (code, migration.plain) == (0, []), said
    assert answers[0][0] == 2
    assert "another run holds" in answers[0][1]
    assert len(migration.written) == 4


@pytest.mark.night
def test_notes_that_are_not_whole_do_not_count(migration: Migration) -> None:
    assert migration.apply()[0] == 0
    notes = next(migration.script.parent.glob("*.notes"))
    whole = notes.read_text()
    notes.write_text(whole[: whole.index("done secrets ns s002") + 30])
    assert migration.apply()[0] == 0
    assert "done secrets ns s002" in "\n".join(line for line in migration.notes if line.endswith(" ."))
    notes.write_text("of something else\n")
    code, said = migration.apply()
    assert (code, "is not of this script" in said) == (2, True)
    notes.unlink()
    notes.mkdir()
    code, said = migration.apply()
    assert (code, "is not of this script" in said, "sed" in said) == (2, True, False)


@pytest.mark.night
def test_a_bound_on_the_rate(migration: Migration) -> None:
    log = migration.folder / "slept"
    program(migration.folder / "bin" / "sleep", f'echo "$1" >> "{log}"')
    code, said = migration.run("--per-second", "2", APPLY="yes", PRESERVED=str(migration.evidence), **migration.live)
    assert code == 0, said
    assert log.read_text().split() == ["1"] * 2  # one alone, then two at once
    code, said = migration.run("--per-second", "x")
    assert code == 2


def test_one_step_at_a_time(migration: Migration) -> None:
    for more in (
        {"APPLY": "yes", "COMPACT": "yes"},
        {"COMPACT": "yes", "DEFRAGMENT": "a"},
        {"APPLY": "please"},
        {"COMPACT": "1"},
    ):
        assert migration.run(**more)[0] == 2
    for odd in ("08", "", "1.5", "9999999999"):
        code, said = migration.run(f"--per-second={odd}")
        assert (code, "takes a whole number of at most nine digits" in said) == (2, True), said
    assert migration.run("--apply")[0] == 2
    assert not migration.server.requests


@pytest.mark.night
def test_it_runs_from_its_own_file_alone(migration: Migration) -> None:
    """Beside a link, and beside what a shell reads from a pipe, no notes and no hold are seen."""
    own, migration.script = migration.script, migration.folder / "link.sh"
    migration.script.symlink_to(own)
    code, said = migration.apply()
    assert (code, "run the script's own file by its path" in said) == (2, True)
    with own.open() as text:
        done = subprocess.run(["sh"], stdin=text, env=migration.variables, capture_output=True, text=True, check=False)
    assert (done.returncode, "run the script's own file by its path" in done.stderr) == (2, True)
    assert not migration.server.requests


@pytest.mark.night
def test_one_is_no_plural(tmp_path: Path) -> None:
    with Migration(tmp_path, count=1) as cluster:
        cluster.make()
        code, said = cluster.run(**cluster.live)
        assert (code, "dry run: 1 of 1 object would be rewritten" in said) == (0, True), said
        assert not re.search(r"\b1 (objects|values|members|endpoints|gaps)\b", said)


@pytest.mark.night
def test_values_of_every_kind_go_through_unchanged(tmp_path: Path) -> None:
    """Quotation marks, line breaks, bytes that are no text, and a megabyte."""
    data = {b"a": b'"\\\n"Count" : 1\n', b"b": bytes(range(256)), b"c": b"x" * 1_000_000, b"d": b"<&>k8s:enc:"}
    with Migration(tmp_path, count=2) as cluster:
        odd = StoredObject(b"ns", b"odd", data, uid=b"u-odd")
        cluster.server.create(odd, IDENTITY)
        cluster.evidence = cluster.snapshot()
        cluster.make()
        for shell in ("sh", "bash"):
            code, said = cluster.run(APPLY="yes", PRESERVED=str(cluster.evidence), shell=shell, **cluster.live)
            assert (code, cluster.plain) == (0, []), said
        plain, _ = cluster.server.opened(odd.key, cluster.server.stored(odd.key).value)
        assert plain == odd.protobuf()


@pytest.mark.night
def test_a_learner_is_named(tmp_path: Path) -> None:
    own, other = (f"http://127.0.0.1:{port}" for port in free_ports(2))
    with Etcd(tmp_path / "one", peers={"t": own}) as etcd, Migration(tmp_path / "two", etcd=etcd) as cluster:
        cluster.make()
        etcd.ctl("member", "add", "two", "--learner", f"--peer-urls={other}")
        peers = {"t": own, "two": other}
        with Etcd(tmp_path / "learner", "--initial-cluster-state=existing", name="two", peers=peers) as learner:
            members = f"{learner.call('Status', rpc.StatusRequest()).header.member_id:x}"
            for endpoints in (f"{etcd.endpoint},{learner.endpoint}", learner.endpoint):
                code, said = cluster.run(
                    APPLY="yes", PRESERVED=str(cluster.evidence), ETCDCTL_ENDPOINTS=endpoints, MEMBERS=members
                )
                assert (code, f"{learner.endpoint} is a learner" in said) == (2, True), said
            assert not cluster.written
            assert cluster.apply()[0] == 0


def test_a_defragmentation_is_looked_at(migration: Migration) -> None:
    """etcdctl says that it is finished: the file is as large as it was, and a large part of it is free."""
    for number in range(400):
        migration.etcd.put(b"/large", bytes([number % 256]) * 4000)
    assert migration.apply()[0] == 0
    assert migration.run(COMPACT="yes", PRESERVED=str(migration.evidence), **migration.live)[0] == 0
    copy = shutil.copytree(migration.folder / "data", migration.folder / "copy")
    step = {"DEFRAGMENT": member_of(migration.etcd), "PRESERVED": str(copy), **migration.live}
    etcdctl = migration.folder / "bin" / "etcdctl"
    honest = etcdctl.read_text()
    program(etcdctl, 'if [ "$1" = defrag ]; then echo Finished; exit 0; fi', honest.splitlines()[1])
    while True:  # what was just freed is pending until other writes are stored, and counts as used
        migration.etcd.put(b"/large", b"x")
        status = migration.etcd.call("Status", rpc.StatusRequest())
        if status.db_size - status.db_size_in_use > status.db_size // 2:
            break
    code, said = migration.run(**step)
    assert (code, "NOT known to be done" in said) == (1, True), said
    assert not any(line.startswith("defragmented") for line in migration.notes)
    etcdctl.write_text(honest)
    code, said = migration.run(**step)
    assert (code, "done, " in said) == (0, True), said


def test_members_one_at_a_time_followers_first(tmp_path: Path) -> None:
    with members.cluster(tmp_path / "members") as three, Migration(tmp_path / "one", etcd=three[0]) as migration:
        assert migration.make().returncode == 1
        live = {"ETCDCTL_ENDPOINTS": ",".join(each.endpoint for each in three)}
        kept = {"PRESERVED": str(migration.evidence), **live}
        assert migration.run(APPLY="yes", **kept)[0] == 0
        assert migration.run(COMPACT="yes", **kept)[0] == 0
        status = {each: each.call("Status", rpc.StatusRequest()) for each in three}
        copies = {each: shutil.copytree(each.folder, each.folder.with_name(f"{each.name}-copy")) for each in three}
        followers = [each for each in three if status[each].header.member_id != status[each].leader]
        leader = next(each for each in three if each not in followers)

        def step(member: Etcd, copy: Etcd, endpoints: dict[str, str]) -> tuple[int, str]:
            hexed = f"{status[member].header.member_id:x}"
            return migration.run(DEFRAGMENT=hexed, PRESERVED=str(copies[copy]), **endpoints)

        code, said = step(leader, leader, live)
        assert (code, "followers first" in said) == (2, True), said
        code, said = step(followers[0], followers[1], live)
        assert (code, "is not of member" in said) == (2, True), said
        code, said = step(followers[0], followers[0], {"ETCDCTL_ENDPOINTS": followers[0].endpoint})
        assert (code, "the cluster has 3 members, and ETCDCTL_ENDPOINTS names 1" in said) == (2, True), said
        for each in (*followers, leader):
            code, said = step(each, each, live)
            assert code == 0, said
        assert len([line for line in migration.notes if line.startswith("defragmented")]) == 3


def _notes(target: Path) -> list[str]:
    return [line for path in target.parent.glob("*.notes") for line in path.read_text().splitlines()]


@pytest.mark.night
@pytest.mark.parametrize("store", ["kine", "gardener"])
def test_what_is_preserved_of_other_stores(store: str, tmp_path: Path, full: bytes) -> None:  # noqa: F811
    """Their own evidence, by the real auditor; the API server is a model."""
    (tmp_path / "evidence").mkdir()
    evidence = kine(tmp_path / "evidence") if store == "kine" else written(tmp_path / "evidence", full)
    target = tmp_path / "case" / "r.sh"
    target.parent.mkdir()
    done = run("scan", evidence, "--remediation", target)
    if not target.exists():  # evidence that does not show its cluster
        done = run("scan", evidence, "--remediation", target, "--expect-cluster", UID)
    assert target.exists(), done.stderr
    uid = re.findall(r"^EA_CLUSTER=(.*)$", target.read_text(), re.MULTILINE)[0]
    with World(random.Random(0)) as world:
        world.troubled = False
        world.clusters["a"].uid = uid
        world.install(tmp_path / "bin")
        auditor_program(tmp_path / "bin")
        world.steps["none"] = "rewrite"
        environment = {
            "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin",
            "PAUSE": "0",
            "APPLY": "yes",
            "ETCDCTL_ENDPOINTS": "b11",
        }
        command = ["sh", str(target)]
        asked = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (asked.returncode, "is not preserved" in asked.stderr) == (2, True), asked
        # of the same cluster, whole and new enough, but of etcd
        system = StoredObject(b"", b"kube-system", kind=b"Namespace", uid=uid.encode())
        revision = int(re.findall(r"^EA_REVISION=(.*)$", target.read_text(), re.MULTILINE)[0])
        record = (b"/registry/namespaces/kube-system", system.protobuf())
        environment["PRESERVED"] = str(database(tmp_path / "etcd.db", [record] * revision))
        asked = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (asked.returncode, "not what this step needs" in asked.stderr) == (2, True), asked
        assert f"give PRESERVED={'FILE' if store == 'kine' else 'FOLDER'}" in asked.stderr
        environment["PRESERVED"] = str(evidence)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert "preserved: SHA-256 " in done.stdout, done
        assert [line.split()[1] for line in _notes(target) if line.startswith("preserved")] == ["rewrite"]
        assert "etcdctl" not in done.stderr
