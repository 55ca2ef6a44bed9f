"""The hunt: copies of values and of keys, in every form and place, made by a real etcd."""

import base64
import hashlib
import json
import random
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import auditor
from auditor import Audit, Options
from auditor.arrays.buffer import Buffer
from auditor.hunt import copies as hunting
from auditor.hunt import field_path, k3s, literal_search, matcher
from auditor.hunt.literal_search import Searcher
from auditor.protobuf import kubernetes_pb2 as pb
from tests.helpers import bolt_builder
from tests.helpers.command import run
from tests.helpers.etcd import Etcd
from tests.helpers.fixtures import MIGRATION
from tests.helpers.objects import StoredObject, envelope, field
from tests.helpers.sealing import KEY, configuration, database, provider, seal

PASSWORD = b'Tr0ub4dor&3-"q/x+y'
OWNER = StoredObject(namespace=b"prod", name=b"db", data={b"password": PASSWORD, b"username": b"postgres"})
HUNT = Options(hunt=True)
SOME = "decrypts? [1-9][0-9]* values?"
"""What a key is said to open: a page that etcd left behind may hold a value once more, as its commits fall."""


def copies(audit: Audit, finding: str = "copied-value") -> pd.DataFrame:
    return audit.findings[audit.findings.finding == finding]


def pod(name: bytes, *values: bytes) -> bytes:
    """A Pod whose only container has these values in its environment (core/v1: spec 2, containers 2, env 7)."""
    environment = b"".join(field(7, field(1, b"V%d" % number) + field(2, value)) for number, value in enumerate(values))
    meta = pb.ObjectMeta(name=name, namespace=b"prod").SerializeToString()
    return envelope(b"v1", b"Pod", field(1, meta) + field(2, field(2, field(1, b"app") + environment)))


def config_map(name: bytes, **data: bytes) -> bytes:
    return StoredObject(
        namespace=b"prod", name=name, kind=b"ConfigMap", data={k.encode(): v for k, v in data.items()}
    ).protobuf()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """One encrypted Secret, and its password in every place where it should not be."""
    folder = tmp_path_factory.mktemp("hunt")
    rng = random.Random(11)
    config = configuration(folder / "config.json", provider("aescbc", ("key1", KEY)))
    other = StoredObject(
        namespace=b"prod", name=b"other", data={b"dsn": b"x" + base64.b64encode(b"p=" + PASSWORD + b";") + b"y"}
    )
    applied = json.dumps({"spec": {"password": PASSWORD.decode()}}).encode()
    annotated = StoredObject(
        namespace=b"prod",
        name=b"annotated",
        kind=b"ConfigMap",
        data={},
        labels={b"kubectl.kubernetes.io/last-applied-configuration": applied},
    )
    event = envelope(
        b"v1", b"Event", field(1, pb.ObjectMeta(name=b"e").SerializeToString()) + field(4, b"login " + PASSWORD)
    )
    custom = json.dumps(
        {"kind": "Widget", "apiVersion": "lab.example.com/v1", "metadata": {"name": "w"},
         "spec": {"list": ["no", {"token": base64.urlsafe_b64encode(b"??" + PASSWORD).decode()}]}}
    ).encode()  # fmt: skip
    with Etcd(folder / "data") as etcd:
        etcd.put(OWNER.key, seal("aescbc", "key1", KEY, OWNER, rng))
        etcd.put(other.key, seal("aescbc", "key1", KEY, other, rng))
        etcd.put(b"/registry/configmaps/prod/raw", config_map(b"raw", plain=b"user:" + PASSWORD + b"@host"))
        etcd.put(b"/registry/pods/prod/web", pod(b"web", b"nothing", PASSWORD))
        etcd.put(b"/registry/configmaps/prod/annotated", annotated.protobuf())
        etcd.put(b"/registry/events/prod/e", event)
        etcd.put(b"/registry/lab.example.com/widgets/w", custom)
        # over many pages, so that what comes after compaction cannot take all of them
        for number in range(40):
            old = b"was " + PASSWORD + rng.randbytes(900).hex().encode()
            etcd.put(b"/registry/configmaps/prod/gone%02d" % number, config_map(b"gone%02d" % number, old=old))
        etcd.delete(b"/registry/configmaps/prod/gone", b"/registry/configmaps/prod/gonf")
        etcd.compact(etcd.put(b"/registry/configmaps/prod/last", config_map(b"last", nothing=b"at all")))
        etcd.restart()
        for number in range(3):
            etcd.put(b"/registry/configmaps/prod/more%d" % number, config_map(b"more", nothing=b"more"))
        return etcd.save(folder / "store.db"), config


def test_every_copy_has_its_holder_its_field_and_its_place(store: tuple[Path, str]) -> None:
    path, config = store
    audit = auditor.scan(path, Options(hunt=True, encryption_configs=(config,)))
    found = copies(audit)
    rows = found.to_dict("records")
    told = {(row["key"], row["detail"].partition(" in=")[2], row["place"]) for row in rows}
    assert told >= {
        ("/registry/configmaps/prod/raw", "data.plain", "latest"),
        ("/registry/pods/prod/web", "spec.containers[0].env[1].value", "latest"),
        ("/registry/configmaps/prod/annotated",
         "metadata.annotations[kubectl.kubernetes.io/last-applied-configuration]", "latest"),
        ("/registry/events/prod/e", "message", "latest"),
        ("/registry/lab.example.com/widgets/w", "spec.list[1].token", "latest"),
        ("/registry/secrets/prod/other", "data.dsn", "latest"),
    }  # fmt: skip
    gone = found[found.place == "freed"]
    assert any(key.startswith("/registry/configmaps/prod/gone") for key in gone.key)
    assert all("of=/registry/secrets/prod/db field=password" in detail for detail in found.detail)
    raw = path.read_bytes()
    for row in rows:
        there = raw[row["offset"] : row["offset"] + row["size"]]
        if row["detail"].split(" as=")[1].startswith("raw"):
            assert there == PASSWORD
        elif "inside the decrypted value" in row["detail"]:
            assert there.startswith(b"k8s:enc:aescbc:v1:key1:")
    assert not (found.severity != "high").any()
    assert "postgres" not in " ".join(found.detail)


def test_no_way_of_searching_loses_a_copy(store: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """By compiled patterns or by words, opened values at once or one by one."""
    path, config = store
    options = Options(hunt=True, encryption_configs=(config,))
    compiled = copies(auditor.scan(path, options))
    monkeypatch.setattr(matcher, "MANY", 1)
    by_words = copies(auditor.scan(path, options))
    monkeypatch.setattr(hunting, "TOGETHER", 1)
    one_by_one = copies(auditor.scan(path, options))
    assert compiled.to_dict("records") == by_words.to_dict("records") == one_by_one.to_dict("records")


def test_without_a_key_nothing_is_hunted_and_that_is_said(store: tuple[Path, str]) -> None:
    audit = auditor.scan(store[0], HUNT)
    assert copies(audit).empty
    assert any("not decrypted" in part.reason for part in audit.unexamined if "hunt" in part.what)


def test_no_value_is_shown(store: tuple[Path, str], tmp_path: Path) -> None:
    path, config = store
    outputs = [f"--{kind}={tmp_path / kind}.{kind}" for kind in ("csv", "json", "html")]
    done = run("scan", path, "--hunt", "--encryption-config", config, "-v", *outputs)
    assert done.returncode == 1
    shown = (done.stdout + done.stderr).encode() + b"".join(each.read_bytes() for each in tmp_path.iterdir())
    for secret in (PASSWORD, base64.b64encode(PASSWORD)[:12], PASSWORD.hex().encode(), KEY, base64.b64encode(KEY)):
        assert secret not in shown


def clean(etcd: Etcd) -> None:
    """What every cluster repeats: root certificates, token Secrets, webhooks."""
    rng = random.Random(4)
    lines = base64.encodebytes(rng.randbytes(700)).decode().replace("\n", "")
    certificate = f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n".encode()
    for number in range(12):
        space = b"team-%d" % number
        token = StoredObject(
            namespace=space,
            name=b"default-token",
            type=b"kubernetes.io/service-account-token",
            data={b"ca.crt": certificate, b"namespace": space, b"token": base64.b64encode(rng.randbytes(300))},
        )
        tls = StoredObject(
            namespace=space, name=b"tls", data={b"tls.crt": certificate, b"host": b"db.prod.svc.cluster.local"}
        )
        root = StoredObject(namespace=space, name=b"kube-root-ca.crt", kind=b"ConfigMap", data={b"ca.crt": certificate})
        etcd.put(token.key, token.protobuf())
        etcd.put(tls.key, tls.protobuf())
        etcd.put(b"/registry/configmaps/" + space + b"/kube-root-ca.crt", root.protobuf())
        etcd.put(b"/registry/pods/" + space + b"/p", pod(b"p", b"db.prod.svc.cluster.local", b"postgres"))
    hook = {
        "kind": "ValidatingWebhookConfiguration",
        "webhooks": [{"clientConfig": {"caBundle": base64.b64encode(certificate).decode()}}],
    }
    etcd.put(b"/registry/validatingwebhookconfigurations/w", json.dumps(hook).encode())


def test_a_clean_cluster_has_no_copies(tmp_path: Path) -> None:
    with Etcd(tmp_path / "data") as etcd:
        clean(etcd)
        path = etcd.save(tmp_path / "clean.db")
    audit = auditor.scan(path, HUNT)
    assert copies(audit).empty
    left = {part.reason for part in audit.unexamined if "hunt leaves" in part.reason}
    assert any("certificates" in reason for reason in left)
    assert any("ca.crt" in reason for reason in left)
    assert any("host names" in reason for reason in left)
    named = auditor.scan(path, Options(hunt=True, hunt_fields=("host",)))
    assert len(copies(named)) >= 12


@pytest.mark.parametrize("path", sorted(MIGRATION.glob("*.db")), ids=lambda path: path.stem)
def test_the_fixtures_hold_no_copies(path: Path) -> None:
    config = path.with_suffix(".encryption.json")
    options = Options(hunt=True, encryption_configs=(str(config),) if config.exists() else ())
    audit = auditor.scan(path, options)
    assert copies(audit).empty
    assert copies(audit, "key-present").empty


def text_of(folder: Path, *keys: tuple[str, bytes]) -> bytes:
    return Path(configuration(folder / "inner.json", provider("aescbc", *keys))).read_bytes()


def test_a_supplied_key_is_found_raw_coded_and_in_hex(tmp_path: Path) -> None:
    config = configuration(tmp_path / "config.json", provider("aescbc", ("key1", KEY)))
    holders = {
        b"raw": b"\0\1" + KEY + b"\2",
        b"coded": b"key=" + base64.b64encode(KEY),
        b"hex": b"0x" + KEY.hex().encode(),
    }
    with Etcd(tmp_path / "data") as etcd:
        etcd.put(OWNER.key, seal("aescbc", "key1", KEY, OWNER, random.Random(1)))
        for name, value in holders.items():
            etcd.put(b"/registry/configmaps/prod/" + name, config_map(name, it=value))
        path = etcd.save(tmp_path / "keys.db")
    found = copies(auditor.scan(path, Options(hunt=True, encryption_configs=(config,))), "key-present")
    assert set(found.name) == {"raw", "coded", "hex"}
    assert (found.severity == "critical").all()
    assert found.detail.str.contains("key=aescbc/key1", regex=False).all()
    assert found.detail.str.contains(SOME).all()
    assert all(" in=data.it" in detail for detail in found.detail)


def inside(text: bytes) -> bytes:
    return json.dumps({"state": {"encryptionConfig": text.decode()}}).encode()


@pytest.mark.parametrize("coded", [bytes, base64.b64encode, inside], ids=["plain", "base64", "inside JSON"])
def test_a_configuration_in_the_evidence_opens_it(coded: Callable[[bytes], bytes], tmp_path: Path) -> None:
    """As RKE's full-cluster-state holds one; the chain is told, and used only where asked for."""
    with Etcd(tmp_path / "data") as etcd:
        etcd.put(OWNER.key, seal("aescbc", "key1", KEY, OWNER, random.Random(1)))
        state = config_map(b"full-cluster-state", state=coded(text_of(tmp_path, ("key1", KEY))))
        etcd.put(b"/registry/configmaps/kube-system/full-cluster-state", state)
        path = etcd.save(tmp_path / "rke.db")
    audit = auditor.scan(path, HUNT)
    found = copies(audit, "key-present")
    assert "full-cluster-state" in set(found.name)
    assert found.detail.str.contains(SOME).any()
    assert set(audit.inventory[audit.inventory.key == OWNER.key.decode()].decrypted) == {"no key"}
    used = auditor.scan(path, Options(hunt=True, use_found_keys=True))
    row = used.inventory[(used.inventory.key == OWNER.key.decode()) & (used.inventory.finding != "key-present")]
    assert set(row.decrypted) == {"yes"}
    assert any("--use-found-keys: aescbc/key1 was found in" in note for note in used.notes)


def test_openshifts_chain_of_key_secrets(tmp_path: Path) -> None:
    """Key N+1 is stored under key N; the first stands readable in a freed page."""
    rng = random.Random(8)
    keys = [rng.randbytes(32) for _ in range(3)]
    mode = {b"encryption.apiserver.operator.openshift.io/mode": b"aescbc"}

    def secret(number: int) -> StoredObject:
        return StoredObject(
            namespace=b"openshift-config-managed",
            name=b"encryption-key-openshift-kube-apiserver-%d" % (number + 1),
            data={b"encryption.apiserver.operator.openshift.io-key": keys[number]},
            labels=mode,
        )

    with Etcd(tmp_path / "data") as etcd:
        etcd.put(secret(0).key, secret(0).protobuf())
        etcd.put(secret(0).key, seal("aescbc", "1", keys[0], secret(0), rng))
        etcd.put(secret(1).key, seal("aescbc", "1", keys[0], secret(1), rng))
        etcd.put(secret(2).key, seal("aescbc", "2", keys[1], secret(2), rng))
        etcd.compact(etcd.put(OWNER.key, seal("aescbc", "3", keys[2], OWNER, rng)))
        path = etcd.save(tmp_path / "openshift.db")
    used = auditor.scan(path, Options(hunt=True, use_found_keys=True))
    latest = used.inventory[used.inventory.place == "latest"]
    assert set(latest[latest.provider == "aescbc"].decrypted) == {"yes"}
    assert sum("--use-found-keys" in note for note in used.notes) == 3
    without = auditor.scan(path, HUNT)
    assert "yes" not in set(without.inventory.decrypted)
    assert not copies(without, "key-present").empty


def test_k3s_own_record_opens_with_the_token(tmp_path: Path) -> None:
    password, salt = b"exampletoken", b"0011223344556677"

    def record(plain: bytes, nonce: bytes) -> bytes:
        key = hashlib.pbkdf2_hmac("sha1", password, salt, 4096, 32)
        return salt + b":" + base64.b64encode(nonce + AESGCM(key).encrypt(nonce, plain, None))

    assert record(b'{"x":1}', bytes(range(12))) == (
        b"0011223344556677:AAECAwQFBgcICQoLC1e3KfT0HXen3gbzWp5u/Cm63ZHmI60="
    )
    content = base64.b64encode(text_of(tmp_path, ("aescbckey", KEY))).decode()
    plain = json.dumps({"EncryptionConfig": {"Timestamp": "", "Content": content}, "ServerCA": ""}).encode()
    token = tmp_path / "token"
    token.write_bytes(b"K10" + b"ab" * 32 + b"::server:" + password + b"\n")
    assert k3s.token(token) == password
    with Etcd(tmp_path / "data") as etcd:
        etcd.put(OWNER.key, seal("aescbc", "aescbckey", KEY, OWNER, random.Random(1)))
        etcd.put(b"/bootstrap/0116f8f9ffdb", record(plain, bytes(12)))
        path = etcd.save(tmp_path / "k3s.db")
    audit = auditor.scan(path, Options(k3s_token=str(token)))
    assert set(audit.inventory.decrypted) == {"yes"}
    assert any("1 of 1 values of the /bootstrap record" in note for note in audit.notes)
    token.write_bytes(b"wrong")
    audit = auditor.scan(path, Options(k3s_token=str(token)))
    assert set(audit.inventory.decrypted) == {"no key"}
    assert any("decrypts 0 of 1" in note for note in audit.notes)


@pytest.mark.night
@pytest.mark.slow
def test_hits_past_four_gigabytes_and_at_every_window(tmp_path: Path) -> None:
    """A sparse file; stripes of the searcher's own size, and hits that lie across their borders."""
    import mmap

    size = (4 << 30) + (3 << 20)
    path = tmp_path / "sparse"
    spots = [0, literal_search.STRIPE - 4, literal_search.STRIPE * 5 - 1, (1 << 32) - 7, (1 << 32) + 15, size - 16]
    with path.open("wb") as out:
        for spot in spots:
            out.seek(spot)
            out.write(b"needle-\0-needle!")
        out.truncate(size)
    with path.open("rb") as file:
        buffer = Buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        numbers, ends = Searcher([b"needle-\0-needle!", b"-\0-n", b"absent"]).search(buffer)
    assert [end - 16 for number, end in zip(numbers, ends, strict=True) if number == 0] == spots
    assert [end - 10 for number, end in zip(numbers, ends, strict=True) if number == 1] == spots
    assert not (numbers == 2).any()


def test_a_pattern_without_end_is_told() -> None:
    searcher = Searcher([b"aa"])
    numbers, _ = searcher.search(Buffer(b"a" * 5000))
    assert numbers.size == literal_search.MOST
    assert searcher.overflowing == {0}


@pytest.mark.slow
def test_patterns_are_bytes_and_mean_nothing() -> None:
    strange = [b"\0\0a\0", b"[a-z]+(", b".*", b"\xff\xfe\n", b"a|b"]
    data = b"--".join(strange)
    numbers, ends = Searcher(strange).search(Buffer(data))
    assert sorted(set(numbers.tolist())) == list(range(len(strange)))
    for number, end in zip(numbers.tolist(), ends.tolist(), strict=True):
        assert data[:end].endswith(strange[number])
    assert np.all(np.diff(ends) >= 0)


def test_fields_of_hostile_objects_are_not_told() -> None:
    rng = random.Random(2)
    value = bytearray(pod(b"p", b"value"))
    for _ in range(2000):
        broken = bytearray(value)
        for _ in range(3):
            broken[rng.randrange(4, len(broken))] = rng.randrange(256)
        told: Any = field_path.locate(bytes(broken), rng.randrange(len(broken)), 4)
        assert isinstance(told, str)
    deep = b'{"a":' * 5000 + b'"x"' + b"}" * 5000
    assert field_path.locate(deep, 10, 3) == ""


def test_a_key_with_a_name_like_our_own_text_keeps_it(tmp_path: Path) -> None:
    """kube-apiserver accepts any name: nothing of it may be taken for what stands around it."""
    name = "key1 field=x"
    config = configuration(tmp_path / "config.json", provider("aescbc", (name, KEY)))
    secret = seal("aescbc", name, KEY, OWNER, random.Random(1))
    holder = config_map(b"raw", it=b"\0\1" + KEY + b"\2")
    path = database(tmp_path / "keys.db", [(OWNER.key, secret), (b"/registry/configmaps/prod/raw", holder)])
    found = copies(auditor.scan(path, Options(hunt=True, encryption_configs=(config,))), "key-present")
    assert set(found.detail) == {f"key=aescbc/{name} as=raw in=data.it; it decrypts 1 value of this evidence"}


def test_the_role_of_a_file_decides_its_place(tmp_path: Path) -> None:
    """Bytes of a raft snapshot that belong to no record: `wal` in the name of its archive says nothing of them."""
    data, raft = database(tmp_path / "db", [(OWNER.key, OWNER.protobuf())]), tmp_path / "raft"
    record = bolt_builder.record(2, b"/registry/configmaps/prod/c", config_map(b"c", it=b"nothing"))[1]
    raft.write_bytes(b"\0" * 64 + record + b"\0" * 64 + PASSWORD + b"\0" * 64)
    archive, name = tmp_path / "firewall-backup.tar", "member/snap/0000000000000001-0000000000000002.snap"
    with tarfile.open(archive, "w") as tar:
        tar.add(data, "member/snap/db")
        tar.add(raft, name)
    found = copies(auditor.scan(archive, HUNT))
    (detail,) = found[found.source == f"{archive.name}!{name}"].detail
    assert detail.startswith("of=/registry/secrets/prod/db field=password value=#1 as=raw")
    assert set(found[found.source == f"{archive.name}!{name}"].place) == {"v2-store"}
