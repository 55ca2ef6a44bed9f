"""The content of a Secret, for the list of what is rotated. Its values must never be written."""

import base64
import binascii
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import DecodeError

from auditor.kubernetes import trees
from auditor.kubernetes.objects import ENVELOPE
from auditor.kubernetes.trees import as_bytes, data_value
from auditor.model.vocabulary import Encoding
from auditor.protobuf import kubernetes_pb2 as pb

HELM = b"helm.sh/release.v1"
"""Type of the Secrets in which Helm keeps its releases."""
LARGEST_MANIFEST = 1 << 24
"""Bytes of an unpacked release that are read."""
_MANIFEST = re.compile(r"^kind: *[\"']?Secret[\"']?\s*$", re.MULTILINE)
_NAME = re.compile(r"^metadata:(?:\n(?:[ #].*)?)*?\n +name: *[\"']?([A-Za-z0-9.-]{1,253})[\"']?\s*$", re.MULTILINE)
_REFUSALS = (DecodeError, ValueError, RecursionError, TypeError, AttributeError, KeyError, OverflowError, EOFError)


@dataclass(frozen=True, slots=True)
class SecretContent:
    """The content of a Secret. Texts are bytes, as stored."""

    type: bytes = b""
    labels: Mapping[bytes, bytes] = field(default_factory=dict)
    annotations: Mapping[bytes, bytes] = field(default_factory=dict)
    owners: tuple[tuple[bytes, bytes], ...] = ()
    """Kind and name of each owner."""
    data: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)

    @property
    def notes(self) -> dict[bytes, bytes]:
        """Labels and annotations."""
        return {**self.annotations, **self.labels}


def decode(value: bytes, encoding: Encoding) -> SecretContent | None:
    """The content of a stored or opened value; None where it is no whole Secret."""
    try:
        if encoding is Encoding.PROTOBUF:
            unknown = pb.Unknown.FromString(value[ENVELOPE:])
            secret = pb.Secret.FromString(unknown.raw)
            if unknown.type_meta.kind != b"Secret":
                return None
            meta = secret.metadata
            return SecretContent(
                type=secret.type,
                labels={each.key: each.value for each in meta.labels},
                annotations={each.key: each.value for each in meta.annotations},
                owners=tuple((each.kind, each.name) for each in meta.owner_references),
                data=tuple((each.key, each.value) for each in secret.data),
            )
        tree = trees.parse(value, encoding)
        return _tree(tree) if as_bytes(tree.get("kind")) == b"Secret" else None
    except _REFUSALS:
        return None


def labels(value: bytes, encoding: Encoding) -> dict[bytes, bytes]:
    """The labels of any object; none where it does not decode."""
    try:
        if encoding is Encoding.PROTOBUF:
            meta = pb.Object.FromString(pb.Unknown.FromString(value[ENVELOPE:]).raw).metadata
            return {each.key: each.value for each in meta.labels}
        pairs = trees.parse(value, encoding)["metadata"]["labels"].items()
        return {as_bytes(key): as_bytes(text) for key, text in pairs}
    except _REFUSALS:
        return {}


def _tree(tree: Mapping[str, Any]) -> SecretContent:
    meta = tree.get("metadata") or {}

    def texts(part: Any) -> dict[bytes, bytes]:
        return {as_bytes(key): as_bytes(text) for key, text in (part or {}).items()}

    return SecretContent(
        type=as_bytes(tree.get("type")),
        labels=texts(meta.get("labels")),
        annotations=texts(meta.get("annotations")),
        owners=tuple(
            (as_bytes(each.get("kind")), as_bytes(each.get("name"))) for each in meta.get("ownerReferences") or ()
        ),
        data=tuple((as_bytes(key), data_value(text)) for key, text in (tree.get("data") or {}).items()),
    )


def manifest_secrets(release: bytes) -> tuple[str, ...]:
    """Names of the Secrets in a Helm release's manifest: base64 of gzip of JSON. None where it does not decode."""
    try:
        unpacker = zlib.decompressobj(wbits=31)
        packed = base64.b64decode(release, validate=True)
        document = json.loads(unpacker.decompress(packed, LARGEST_MANIFEST))
        parts = str(document["manifest"]).split("\n---")
    except (ValueError, binascii.Error, zlib.error, KeyError, TypeError, RecursionError):
        return ()
    found = (_NAME.search(part) for part in parts if _MANIFEST.search(part))
    return tuple(dict.fromkeys(match[1] for match in found if match is not None))
