"""What a report notes of the evidence itself: observations that no finding is made of."""

from collections.abc import Iterator

from auditor import platform
from auditor.evidence.reading import Reading
from auditor.model.evidence import Evidence
from auditor.model.vocabulary import EvidenceKind


def evidence_notes(evidence: Evidence, reading: Reading) -> Iterator[str]:
    for container in evidence.containers:
        digest = container.sha256 or "not computed"
        yield f"unpacked from {container.name}, {container.size:,} bytes, SHA-256 {digest}"
    yield from reading.notes
    yield from (f"On this system {limit}" for limit in platform.limits())
    backend = evidence.backend
    if backend.scheduled is not None and backend.scheduled > (backend.compacted or 0):
        finished = backend.compacted if backend.compacted is not None else "none"
        yield f"a compaction at {backend.scheduled} was scheduled and not finished (last finished: {finished})"
    if backend.auth_enabled:
        yield "etcd authentication is on: this file holds bcrypt hashes of its users' passwords"
    if reading.kind is EvidenceKind.RAW_DATABASE:
        yield "a raw database file has no trailer: nothing in it proves that it is whole"
