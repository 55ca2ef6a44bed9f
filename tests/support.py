"""What several tests need: fixtures and their truth, stored values as kube-apiserver writes them, batches in memory."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.evidence.batch import RecordBatch
from auditor.model.vocabulary import Place
from auditor.protobuf import kubernetes_pb2 as pb
from tests.etcd import Etcd

FIXTURES = Path(__file__).parent.parent / "fixtures"
SNAPSHOTS = sorted(FIXTURES.glob("*/*.db"))
PLAINTEXT = FIXTURES / "migration-aescbc" / "1-plaintext.db"
REWRITTEN = FIXTURES / "migration-aescbc" / "3-rewritten.db"
MIGRATION = FIXTURES / "migration-aescbc"
PROVIDERS = FIXTURES / "providers"
DEFRAGMENTED = FIXTURES / "migration-aescbc" / "5-defragmented.db"

CREATED = 1_790_000_000
CBOR = b"\xd9\xd9\xf7"
HEADERS = {
    "aescbc": b"k8s:enc:aescbc:v1:",
    "aesgcm": b"k8s:enc:aesgcm:v1:",
    "secretbox": b"k8s:enc:secretbox:v1:",
    "kms v1": b"k8s:enc:kms:v1:",
    "kms v2": b"k8s:enc:kms:v2:",
}

# fmt: off
COLUMNS = [
    "id", "evidence", "place", "finding", "severity", "judged", "resource", "namespace", "name", "uid", "key",
    "provider", "key_name", "kek_id", "encoding", "opened", "same_as_latest", "type", "data_keys", "created",
    "create_revision", "mod_revision", "version", "state", "source", "offset", "size", "extents", "page", "also_in",
    "detail",
]
# fmt: on
"""The columns of every table of rows, as the design lists them."""


def truth(snapshot: Path) -> dict[str, Any]:
    """What is known to be in one of SNAPSHOTS."""
    told: dict[str, Any] = json.loads(snapshot.with_suffix(".truth.json").read_text())
    return told


def batch(records: Sequence[tuple[bytes, bytes]], place: Place = Place.LATEST, tail: bytes = b"") -> RecordBatch:
    """Records in memory, each key and value directly behind the other, `tail` behind the last."""
    count = len(records)
    key_len = np.array([len(key) for key, _ in records], np.uint32)
    value_len = np.array([len(value) for _, value in records], np.uint32)
    size = key_len.astype(np.int64) + value_len
    key_at = np.cumsum(size) - size
    numbers = np.arange(1, count + 1, dtype=np.int64)
    return RecordBatch(
        source="memory",
        data=Buffer(b"".join(key + value for key, value in records) + tail),
        mapped=True,
        key_at=key_at,
        key_len=key_len,
        value_at=key_at + key_len,
        value_len=value_len,
        mod_revision=numbers,
        sub_revision=np.zeros(count, np.int64),
        create_revision=numbers.copy(),
        version=np.ones(count, np.int64),
        ordinal=np.full(count, -1, np.int64),
        page=np.full(count, -1, np.int64),
        place=np.full(count, place, np.uint8),
        state=np.zeros(count, np.uint8),
        extents={},
    )


def values_batch(values: Sequence[bytes], tail: bytes = b"") -> RecordBatch:
    """Values under the keys of Secrets that all differ."""
    return batch([(b"/registry/secrets/n/s%d" % number, value) for number, value in enumerate(values)], tail=tail)


@dataclass(frozen=True)
class Thing:
    """A Kubernetes object to store, as any of kube-apiserver's encodings."""

    namespace: bytes = b"default"
    name: bytes = b"db"
    data: Mapping[bytes, bytes] | None = None
    type: bytes = b"Opaque"
    kind: bytes = b"Secret"
    api_version: bytes = b"v1"
    uid: bytes = b"6f0f5f1c-0000-4000-8000-000000000001"
    created: int = CREATED
    labels: Mapping[bytes, bytes] | None = None

    def protobuf(self) -> bytes:
        meta = pb.ObjectMeta(name=self.name, namespace=self.namespace, uid=self.uid)
        meta.creation_timestamp.seconds = self.created
        for key, value in (self.labels or {}).items():
            meta.annotations.add(key=key, value=value)
        secret = pb.Secret(metadata=meta)
        if self.kind == b"Secret":
            secret.type = self.type
        for key, value in (self.data or {}).items():
            secret.data.add(key=key, value=value)
        return envelope(self.api_version, self.kind, secret.SerializeToString())

    def tree(self) -> dict[str, Any]:
        meta: dict[str, Any] = {
            "name": self.name.decode(),
            "namespace": self.namespace.decode(),
            "uid": self.uid.decode(),
            "creationTimestamp": "2026-09-21T14:13:20Z",
        }
        if self.labels:
            meta["annotations"] = {key.decode(): value.decode() for key, value in self.labels.items()}
        found: dict[str, Any] = {"apiVersion": self.api_version.decode(), "kind": self.kind.decode(), "metadata": meta}
        if self.kind == b"Secret":
            found["type"] = self.type.decode()
        if self.data is not None:
            found["data"] = {key.decode(): base64.b64encode(value).decode() for key, value in self.data.items()}
        return found

    def json(self) -> bytes:
        return json.dumps(self.tree()).encode()

    def cbor(self) -> bytes:
        """As kube-apiserver writes it: texts as byte strings, bytes as byte strings in tag 22.

        k8s.io/apimachinery pkg/runtime/serializer/cbor/internal/modes/encode.go.
        """
        import cbor2

        def stored(part: Any) -> Any:
            if isinstance(part, dict):
                return {key.encode(): stored(value) for key, value in part.items()}
            return part.encode() if isinstance(part, str) else part

        tree = stored(self.tree())
        if self.data is not None and self.kind == b"Secret":
            tree[b"data"] = {key: cbor2.CBORTag(22, value) for key, value in self.data.items()}
        return CBOR + cbor2.dumps(tree)

    def text_cbor(self) -> bytes:
        """The same with texts as text strings, which kube-apiserver reads too."""
        import cbor2

        tree = self.tree()
        if self.data is not None:
            tree["data"] = {key.decode(): value for key, value in self.data.items()}
        return CBOR + cbor2.dumps(tree)

    @property
    def key(self) -> bytes:
        return b"/registry/secrets/" + self.namespace + b"/" + self.name


def envelope(api_version: bytes, kind: bytes, raw: bytes) -> bytes:
    unknown = pb.Unknown(raw=raw)
    unknown.type_meta.api_version, unknown.type_meta.kind = api_version, kind
    return b"k8s\0" + unknown.SerializeToString() + b"\x1a\0\x22\0"


def sealed(provider: str, name: bytes, payload: bytes) -> bytes:
    return HEADERS[provider] + name + b":" + payload


def field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field."""
    size, left = bytearray(), len(content)
    while left > 0x7F:
        size.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([number << 3 | 2, *size, left]) + content


def kms_v1(body: bytes, wrapped: bytes = b"w" * 33) -> bytes:
    return len(wrapped).to_bytes(2, "big") + wrapped + body


def kms_v2(body: bytes, kek_id: bytes = b"kek-7", wrapped: bytes = b"w" * 33) -> bytes:
    return field(1, body) + field(2, kek_id) + field(3, wrapped)


def stored_secrets(snapshot: Path) -> list[tuple[bytes, pb.Secret]]:
    """Every readable protobuf Secret that the audit places in a snapshot: its stored bytes and what they decode to."""
    import auditor

    raw, rows = snapshot.read_bytes(), auditor.scan(snapshot).inventory
    rows = rows[(rows["provider"] == "identity") & (rows["encoding"] == "protobuf")]
    found = []
    for offset, size in zip(rows["offset"].tolist(), rows["size"].tolist(), strict=True):
        value = raw[offset : offset + size]
        found.append((value, pb.Secret.FromString(pb.Unknown.FromString(value[4:]).raw)))
    return found


def made(folder: Path, work: Callable[[Etcd], object], name: str = "made.db") -> Path:
    """The snapshot of a real etcd in which `work` was done."""
    with Etcd(folder / "data") as etcd:
        work(etcd)
        return etcd.save(folder / name)


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The real command in a process of its own, in a pipe."""
    return subprocess.run(
        [sys.executable, "-m", "auditor", *map(str, arguments)],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONWARNINGS": "error", **environment},
        cwd=FIXTURES.parent,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )
