"""An etcd of events alone: told as one, and open until the one that holds the rest is scanned with it."""

from pathlib import Path

from tests.helpers import bolt_builder, members_on_disk
from tests.helpers.command import run
from tests.helpers.members_on_disk import snapshot, write
from tests.helpers.objects import StoredObject

EVENT = StoredObject(kind=b"Event", name=b"started")


def events(*more: bolt_builder.Pair) -> bytes:
    key = b"/registry/events/default/started"
    return bolt_builder.backend([bolt_builder.record(2, key, EVENT.protobuf()), *more]).seal()


def scan(folder: Path, name: str) -> tuple[int, str]:
    done = run("scan", folder / name, "--encryption-config", members_on_disk.configuration(folder))
    return done.returncode, done.stdout + done.stderr


def test_main_and_events_together_are_in_order(tmp_path: Path) -> None:
    write(tmp_path / "store" / "events" / "backup.db", events())
    code, text = scan(tmp_path, "store")
    assert code == 3
    assert "nothing but events" in text
    write(tmp_path / "store" / "events2" / "backup.db", events())
    assert scan(tmp_path, "store")[0] == 3
    write(tmp_path / "store" / "main" / "backup.db", snapshot())
    code, text = scan(tmp_path, "store")
    assert code == 0
    assert "nothing but events" in text
    health = bolt_builder.record(3, b"/registry/health", b'{"health":"true"}')
    write(tmp_path / "store" / "events2" / "backup.db", events(health))
    assert scan(tmp_path, "store")[0] == 0


def test_an_etcd_with_anything_else_is_none_of_events(tmp_path: Path) -> None:
    node = StoredObject(kind=b"Node", name=b"a").protobuf()
    write(tmp_path / "store" / "a.db", events(bolt_builder.record(3, b"/registry/minions/a", node)))
    write(tmp_path / "store" / "b.db", snapshot())
    code, text = scan(tmp_path, "store")
    assert code == 3
    assert "nothing but events" not in text


def test_an_etcd_of_leases_alone_is_as_one_of_events(tmp_path: Path) -> None:
    lease = StoredObject(kind=b"Lease", name=b"node", api_version=b"coordination.k8s.io/v1").protobuf()
    record = bolt_builder.record(2, b"/registry/leases/kube-node-lease/node", lease)
    write(tmp_path / "store" / "leases.db", bolt_builder.backend([record]).seal())
    code, text = scan(tmp_path, "store")
    assert code == 3
    assert "nothing but events and leases" in text
    write(tmp_path / "store" / "main.db", snapshot())
    assert scan(tmp_path, "store")[0] == 0


def test_an_etcd_of_another_program_is_told_as_one(tmp_path: Path) -> None:
    """kops keeps a third one, of Cilium's. One with a sealed value under no prefix is none, nor is an empty one."""
    own = bolt_builder.record(2, b"cilium/state/identities/v1/id/1", b"k8s:app=x;")
    node = bolt_builder.record(3, b"cilium/state/nodes/v1/default/n1", b'{"Name":"n1","IPAddresses":[]}')
    write(tmp_path / "store" / "cilium.db", bolt_builder.backend([own, node]).seal())
    code, text = scan(tmp_path, "store")
    assert code == 3
    assert "nothing in this etcd is of Kubernetes" in text
    write(tmp_path / "store" / "main.db", snapshot())
    assert scan(tmp_path, "store")[0] == 0
    named = bolt_builder.record(3, b"/registry/secrets/a/b", b"")
    write(tmp_path / "store" / "cilium.db", bolt_builder.backend([own, named]).seal())
    code, text = scan(tmp_path, "store")
    assert code == 3
    assert "nothing in this etcd is of Kubernetes" not in text
    sealed = bolt_builder.record(3, b"cilium/other", members_on_disk.sealed(b"a")[1])
    write(tmp_path / "store" / "cilium.db", bolt_builder.backend([own, sealed]).seal())
    code, text = scan(tmp_path, "store")
    assert code == 3
    assert "nothing in this etcd is of Kubernetes" not in text
    write(tmp_path / "store" / "cilium.db", bolt_builder.backend([]).seal())
    assert scan(tmp_path, "store")[0] == 3
