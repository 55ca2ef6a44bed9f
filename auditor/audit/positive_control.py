"""The positive control of a run: planted readable values, which the run must find like those of the evidence.

A few pages in memory hold one plain Secret under a root and, unless --quick, another in a page that no root reaches.
They pass through the same code as evidence: trees and unallocated space, classification, keys, selection and policy.
If the run misses one of them, its other negative results prove nothing.
Formats: bbolt internal/common/page.go, inode.go and bucket.go; etcd server/storage/mvcc/revision.go, api/mvccpb.
"""

import struct

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.evidence.batch import RecordBatch
from auditor.evidence.bbolt import meta
from auditor.evidence.bbolt.elements import IS_BUCKET
from auditor.evidence.bbolt.tree import Walker
from auditor.evidence.etcd import backend, unallocated
from auditor.judgement import selection
from auditor.judgement.policy import Policy
from auditor.kubernetes import type_meta
from auditor.kubernetes.prefixes import PROTOBUF
from auditor.kubernetes.resources import BUILT_IN
from auditor.kubernetes.store import classify
from auditor.model.evidence import Gap
from auditor.model.findings import Control
from auditor.model.vocabulary import PageKind, Place, Provider
from auditor.options import Options
from auditor.protobuf.kubernetes_pb2 import ObjectMeta, Secret, Unknown
from auditor.protobuf.kv_pb2 import KeyValue
from auditor.text import encode

SOURCE = "the control"
PAGE = 4096
PAGES = 5
ROOT, TREE, FREED = 2, 3, 4
KINDS = {name: kind for kind, name in type_meta.KINDS.items()}
"""Kinds that are identified by content: a Secret under the key of another resource is still a Secret."""
NAMESPACE, NAME = b"etcd-auditor", b"planted"
FOUND = "the planted readable values were found"
MISSED = "a readable value that was planted as a control was not found: what this run did not find is unproven"


def run(options: Options, policy: Policy, storage_prefixes: tuple[str, ...]) -> Control:
    """Plant values of the first judged resource under the first storage prefix, and look for them.

    Args:
        options: of the run.
        policy: of the run.
        storage_prefixes: of the evidence.
    """
    prefix = storage_prefixes[0] if storage_prefixes else "/registry"
    resource = options.resources[0].rstrip(".") if options.resources else "secrets"
    resource = "secrets" if resource == "*" else resource
    places = (Place.LATEST,) if options.quick else (Place.LATEST, Place.FREED)
    path = encode(f"{prefix}/{_path(resource)}/")
    buffer = Buffer(_pages(path, KINDS.get(resource, b"Planted")))
    readable = _readable(_read(buffer, quick=options.quick), (prefix,), options, policy)
    return Control(
        tuple((place, (place, page) in readable) for place, page in zip(places, (TREE, FREED), strict=False))
    )


def gaps(control: Control) -> tuple[Gap, ...]:
    """A gap if the control fails."""
    return () if control.success else (Gap(SOURCE, 0, 0, MISSED),)


def _read(buffer: Buffer, *, quick: bool) -> list[RecordBatch]:
    """The records of the pages, read as by snapshot.read(), but from a fixed root."""
    root = meta.Meta(
        order="<",
        page=0,
        page_size=PAGE,
        root=ROOT,
        sequence=0,
        freelist=meta.NOT_SYNCED,
        high_water=PAGES,
        txid=1,
    )
    walker = Walker(buffer, root, SOURCE, PAGES * PAGE)
    batches = [backend.read(walker).records]
    return batches if quick else [*batches, *unallocated.read(walker)]


def _readable(
    batches: list[RecordBatch], storage_prefixes: tuple[str, ...], options: Options, policy: Policy
) -> set[tuple[Place, int]]:
    """Place and page of every selected readable value that is a finding, unless the policy expects plain values."""
    store = classify(batches, storage_prefixes)
    judged = store.match(frozenset(name.rstrip(".") for name in options.resources))
    values = selection.select(store.parts, store.resources, judged, authoritative=True, plaintext=policy.plaintext)
    readable = values.prefixes.provider == Provider.IDENTITY if policy.plaintext else values.plaintext
    rows = np.flatnonzero(readable).tolist()
    return {(Place(int(values.batch.place[row])), int(values.batch.page[row])) for row in rows}


def _path(resource: str) -> str:
    """Path of a resource's objects under the prefix; for custom resources GROUP/RESOURCE."""
    built_in = next((path for path, name in BUILT_IN.items() if name == resource), "")
    name, _, group = resource.partition(".")
    return built_in or (f"{group}/{name}" if group else name)


def _pages(path: bytes, kind: bytes) -> bytes:
    """Two empty metas, the root's leaf, the tree of the bucket `key`, and a freed leaf."""
    bucket = struct.pack("<QQ", TREE, 0)
    pages = [struct.pack("<QHHI", number, PageKind.FREELIST, 0, 0) for number in range(ROOT)]
    pages.append(_leaf(ROOT, IS_BUCKET, b"key", bucket))
    pages.append(_leaf(TREE, 0, *_record(path, kind, 3)))
    pages.append(_leaf(FREED, 0, *_record(path, kind, 2)))
    return b"".join(page.ljust(PAGE, b"\0") for page in pages)


def _leaf(number: int, flags: int, key: bytes, value: bytes) -> bytes:
    """A leaf page of one element, whose key follows the 16 bytes of the element."""
    head = struct.pack("<QHHI", number, PageKind.LEAF, 1, 0)
    return head + struct.pack("<IIII", flags, 16, len(key), len(value)) + key + value


def _record(path: bytes, kind: bytes, mod_revision: int) -> tuple[bytes, bytes]:
    """Revision and record of an object with the fields of a Secret, the same in every run."""
    secret = Secret(metadata=ObjectMeta(name=NAME, namespace=NAMESPACE), type=b"Opaque")
    secret.data.add(key=b"control", value=b"a value that etcd-auditor planted")
    unknown = Unknown(raw=secret.SerializeToString())
    unknown.type_meta.api_version, unknown.type_meta.kind = b"v1", kind
    value = PROTOBUF + unknown.SerializeToString() + b"\x1a\0\x22\0"
    record = KeyValue(
        key=path + NAMESPACE + b"/" + NAME, create_revision=2, mod_revision=mod_revision, version=mod_revision - 1
    )
    record.value = value
    return struct.pack(">QsQ", mod_revision, b"_", 0), record.SerializeToString()
