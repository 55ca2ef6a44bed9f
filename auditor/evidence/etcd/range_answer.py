"""The keys of a live etcd in the answers to Range requests: values without an offset in any file of etcd's.

Format: the spool holds each key and behind it its value, in the order of the answers; its index has their lengths.
"""

from array import array
from dataclasses import replace

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.errors import UnreadableEvidence
from auditor.evidence.batch import RecordBatch
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.reading import Reading
from auditor.model.evidence import Backend
from auditor.model.vocabulary import EvidenceKind, Place

COLUMNS = 5
"""Numbers of the index for each key: key length, value length, mod revision, create revision, version."""


def read(exhibit: Exhibit, *, quick: bool) -> Reading:
    """All keys, with `quick` too. Raises UnreadableEvidence for an exhibit of no live etcd."""
    del quick
    (file,), live = exhibit.of(Role.RANGE), exhibit.live
    if live is None:
        raise UnreadableEvidence(f"{file.name}: keys without the endpoint that they are of")
    return Reading(
        kind=EvidenceKind.LIVE_RANGE,
        description=live.description,
        batches=batch(file.name, Buffer(file.map), exhibit.index).split(),
        database=file,
        storage_prefixes=exhibit.storage_prefixes,
        backend=replace(
            Backend.UNKNOWN, revision=live.revision, newest_record=live.revision, cluster_id=live.cluster_id
        ),
        kinds={file.name: live.description},
    )


def batch(source: str, spool: Buffer, index: "array[int]") -> RecordBatch:
    """The keys and values of a spool as columns.

    Args:
        source: Name of the spool.
        spool: Its bytes.
        index: COLUMNS numbers for each key.
    """
    key_len, value_len, mod, create, version = np.array(index, np.int64).reshape(-1, COLUMNS).T
    end = np.cumsum(key_len + value_len)
    return RecordBatch.of(
        source,
        spool,
        mapped=False,
        place=Place.LATEST,
        key_at=end - value_len - key_len,
        key_len=key_len,
        value_at=end - value_len,
        value_len=value_len,
        mod_revision=mod.copy(),
        create_revision=create.copy(),
        version=version.copy(),
    )
