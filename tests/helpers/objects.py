"""Kubernetes objects in each of the encodings in which kube-apiserver stores them."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from auditor.protobuf import kubernetes_pb2 as pb

CREATED = 1_790_000_000
CBOR = b"\xd9\xd9\xf7"


@dataclass(frozen=True)
class StoredObject:
    """A Kubernetes object, whose methods are its stored forms."""

    namespace: bytes = b"default"
    name: bytes = b"db"
    data: Mapping[bytes, bytes] | None = None
    type: bytes = b"Opaque"
    kind: bytes = b"Secret"
    api_version: bytes = b"v1"
    uid: bytes = b"6f0f5f1c-0000-4000-8000-000000000001"
    created: int = CREATED
    labels: Mapping[bytes, bytes] | None = None
    """Annotations."""
    selectors: Mapping[bytes, bytes] | None = None
    """Labels."""

    def protobuf(self) -> bytes:
        meta = pb.ObjectMeta(name=self.name, namespace=self.namespace, uid=self.uid)
        meta.creation_timestamp.seconds = self.created
        for key, value in (self.labels or {}).items():
            meta.annotations.add(key=key, value=value)
        for key, value in (self.selectors or {}).items():
            meta.labels.add(key=key, value=value)
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
        if self.selectors:
            meta["labels"] = {key.decode(): value.decode() for key, value in self.selectors.items()}
        manifest: dict[str, Any] = {
            "apiVersion": self.api_version.decode(),
            "kind": self.kind.decode(),
            "metadata": meta,
        }
        if self.kind == b"Secret":
            manifest["type"] = self.type.decode()
        if self.data is not None:
            manifest["data"] = {key.decode(): base64.b64encode(value).decode() for key, value in self.data.items()}
        return manifest

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


def field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field."""
    size, rest = bytearray(), len(content)
    while rest > 0x7F:
        size.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([number << 3 | 2, *size, rest]) + content
