"""The responses of a dump, and the reading that they make: RangeResponses of etcd's api/etcdserverpb/rpc.proto."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from auditor.evidence.batch import UNKNOWN, RecordBatch
from auditor.evidence.etcd import mvcc
from auditor.evidence.file import EvidenceFile
from auditor.evidence.reading import Reading
from auditor.model.evidence import Backend, Gap, Unexamined
from auditor.model.vocabulary import EvidenceKind
from auditor.text import plural

STANDING = Unexamined(
    "history, deleted objects, freed pages, the WAL, other backups, old disk blocks",
    "a dump holds the current keys alone",
    decisive=False,
)
"""The parts of a store that no dump shows."""
HEADER_FIELDS = {"cluster_id": 1, "member_id": 2, "revision": 3, "raft_term": 4}
"""The fields of a ResponseHeader in JSON, and their numbers in protobuf."""


@dataclass(slots=True)
class Response:
    """A RangeResponse. A file may hold several: `etcdctl get` in a loop, one file for the output of all."""

    header: dict[int, int] = field(default_factory=dict)
    """The numbers of its ResponseHeader by field."""
    keys: int = 0
    """Records of it that the file holds."""
    more: bool = False
    """Whether the range has more keys than the response."""
    count: int = UNKNOWN
    """Keys in the range; unknown where the response does not say."""


def reading(
    kind: EvidenceKind, file: EvidenceFile, records: RecordBatch, responses: Sequence[Response], gaps: list[Gap]
) -> Reading:
    """The reading of a dump with these responses, and the records of all of them."""
    clusters = {response.header.get(1) for response in responses}
    notes: list[str] = []
    if len(responses) > 1:
        notes.append(f"{file.name} holds {len(responses):,} responses of etcd, one behind the other: all were read")
    if len(responses) > 1 and len(clusters) == 1:
        # a key may stand in several: the one written last is in force
        records = records.take(np.argsort(records.mod_revision, kind="stable"))
        records.place[:] = mvcc.places(records)
    elif len(clusters) > 1:
        notes.append(
            f"{file.name}: these responses are of {len(clusters):,} clusters: keys of one name are not compared"
        )
    return Reading(
        kind=kind,
        description=kind.label,
        batches=records.split(),
        database=file,
        backend=_facts(responses, clusters, records),
        gaps=tuple(gaps),
        unexamined=tuple(_omissions(responses)),
        notes=tuple(notes),
        kinds={file.name: kind.label},
        standing=STANDING,
    )


def _facts(responses: Sequence[Response], clusters: set[int | None], records: RecordBatch) -> Backend:
    """The headers' facts."""
    return replace(
        Backend.UNKNOWN,
        revision=max(response.header.get(3, 0) for response in responses),
        newest_record=int(records.mod_revision.max(initial=0)),
        cluster_id=responses[0].header.get(1) if len(clusters) == 1 else None,
        term=responses[-1].header.get(4),
        buckets=(("key", len(records)),),
    )


def _omissions(responses: Sequence[Response]) -> list[Unexamined]:
    """Keys that etcd counted and the dump lacks: made with --limit, or cut."""
    partial = [response for response in responses if response.count > response.keys or response.more]
    if not partial:
        return []
    count, stated = (
        sum(numbers) for numbers in zip(*((each.keys, max(each.count, 0)) for each in partial), strict=True)
    )
    missing = plural(stated - count, "key") if stated > count else "more keys"
    if len(responses) == 1:
        reason = f"the dump says that there are {stated:,} keys, and holds {count:,}: made with --limit, or cut"
    else:
        which = f"{plural(len(partial), 'response')} of {len(responses):,}"
        hold = "holds" if len(partial) == 1 else "hold"
        reason = f"{which} {hold} {count:,} of {stated:,} keys: made with --limit, or cut; whether others hold the "
        reason += "rest cannot be told"
    return [Unexamined(missing, reason, decisive=True, may_be_current=True)]
