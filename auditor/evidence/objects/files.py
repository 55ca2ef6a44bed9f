"""Objects in a plain file: what `kubectl get -o json` or `-o yaml` prints, or an API server answers with.

An API server decrypts what it answers with: what stands here is readable, however etcd holds it.
"""

from dataclasses import replace

from auditor.arrays.buffer import Buffer
from auditor.errors import UnreadableEvidence
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.ledger import Ledger
from auditor.evidence.objects import documents, keys
from auditor.evidence.objects.values import Values
from auditor.evidence.reading import Reading
from auditor.evidence.unaccounted import unaccounted_gaps
from auditor.model.evidence import Backend, Unexamined
from auditor.model.vocabulary import EvidenceKind

STANDING = Unexamined(
    "what etcd stores: its encryption, history, deleted objects, freed pages, the WAL",
    "these are objects as an API server answers with, decrypted",
    decisive=False,
)
LARGEST = 1 << 31
"""Bytes of a text, at most: all of it is held in memory."""
LARGEST_YAML, LARGEST_FLOW = 256 << 20, 32 << 20
"""The same of YAML, and of YAML that begins with a brace, as JSON does."""
_MARK = b"\xef\xbb\xbf"


def read(exhibit: Exhibit, *, quick: bool) -> Reading:
    """All objects of the file, with `quick` too. Raises UnreadableEvidence where there are none."""
    del quick
    (file,) = exhibit.of(Role.OBJECTS)
    if file.size > LARGEST:
        raise UnreadableEvidence(f"{file.name} holds objects in a text of more than {LARGEST:,} bytes: divide it")
    values = Values(file, Ledger(file.name, file.size))
    raw = bytes(file.map)
    start = len(_MARK) if raw.startswith(_MARK) else 0
    values.structure(0, start)
    flow = raw[start:].lstrip()[:1] in {b"{", b"["}
    if flow:
        documents.read(values, "\x20" * start + raw[start:].decode("latin-1"))
    if not flow or (not values.values and file.size <= LARGEST_FLOW):
        values = Values(file, Ledger(file.name, file.size))
        values.structure(0, start)
        _yaml(values, raw, start)
    if not values.values:
        raise UnreadableEvidence(f"{file.name} begins as objects of Kubernetes do, and none of them can be read")
    values.gaps += unaccounted_gaps(values.ledger, Buffer(raw), values.gaps)
    kind = EvidenceKind.OBJECTS
    return Reading(
        kind=kind,
        description=kind.label,
        batches=values.batches(),
        database=file,
        storage_prefixes=(keys.PREFIX,),
        backend=replace(Backend.UNKNOWN, buckets=(("key", len(values.values)),)),
        gaps=values.listed(),
        kinds={file.name: kind.label},
        balances=(values.ledger.balance(),),
        standing=STANDING,
    )


def _yaml(values: Values, raw: bytes, start: int) -> None:
    from auditor.evidence.objects import yaml_documents  # waits until there is YAML

    if len(raw) > LARGEST_YAML:
        raise UnreadableEvidence(f"{values.file.name} is YAML of more than {LARGEST_YAML:,} bytes: divide it")
    try:
        text = raw[start:].decode("utf-8")
    except UnicodeDecodeError:
        raise UnreadableEvidence(f"{values.file.name} is no UTF-8, as YAML of kubectl's is") from None
    yaml_documents.read(values, text, start)
    last = start
    for value in sorted(values.values, key=lambda value: value.offset):
        yaml_documents.rest(values, raw, last, value.offset)
        last = max(last, value.offset + value.size)
    yaml_documents.rest(values, raw, last, len(raw))
