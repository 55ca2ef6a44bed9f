"""Backups that are tars of objects: vCluster's snapshots, Rancher's backup-restore-operator, Velero, MicroK8s' dbctl.

loft-sh/vcluster pkg/snapshot (client.go): members are etcd's keys with the values as they were stored, the release of
the vCluster first. rancher/backup-restore-operator pkg/resourcesets/collector.go: `RESOURCE.GROUP#VERSION/[NAMESPACE/]
NAME.json`, the object's JSON, or a JSON string with the base64 of what a provider of an EncryptionConfiguration made of
it, with `NAMESPACE#NAME` or `NAME` as associated data (pkg/controllers/restore/download.go). Velero's backup format:
`resources/RESOURCE[.GROUP]/[VERSION/](cluster|namespaces/NAMESPACE)/NAME.json`.
"""

import re
from binascii import Error, a2b_base64
from dataclasses import replace

from auditor.arrays.buffer import Buffer
from auditor.errors import UnreadableEvidence
from auditor.evidence.containers import object_backups
from auditor.evidence.containers.residue import holds_value
from auditor.evidence.exhibit import Exhibit, Role
from auditor.evidence.file import EvidenceFile
from auditor.evidence.ledger import Ledger
from auditor.evidence.notation import Notation
from auditor.evidence.objects import keys
from auditor.evidence.objects.pairs import Pairs
from auditor.evidence.objects.tar_members import Member, members
from auditor.evidence.objects.values import Value, Values
from auditor.evidence.reading import Reading
from auditor.evidence.unaccounted import unaccounted_gaps
from auditor.model.evidence import Backend, Unexamined
from auditor.model.vocabulary import EvidenceKind

STANDING = Unexamined(
    "history, deleted objects, freed pages, the WAL, other backups, old disk blocks",
    "a backup of objects holds the current ones alone",
    decisive=False,
)
_SEALED = re.compile(rb'\s*"([A-Za-z0-9+/]*={0,2})"\s*')
_BLANKS = b" \t\r\n"
_WITH_KEYS = frozenset({EvidenceKind.VCLUSTER_SNAPSHOT, EvidenceKind.DBCTL_BACKUP})
"""Backups that hold the etcd keys themselves."""


def read(exhibit: Exhibit, *, quick: bool) -> Reading:
    """All objects of the backup, with `quick` too. Raises UnreadableEvidence where there are none."""
    del quick
    (file,) = exhibit.of(Role.OBJECT_BACKUP)
    kind = object_backups.kind(bytes(file.map[: object_backups.HEAD])) or EvidenceKind.VCLUSTER_SNAPSHOT
    values = Values(file, Ledger(file.name, file.size))
    end = 0
    pairs = Pairs(values)
    for member in members(file):
        if member.plain:
            values.structure(member.header, member.at)
        else:
            values.gap(member.header, member.at, f"the header at offset {member.header:,} holds more than a tar's own")
        if kind is EvidenceKind.DBCTL_BACKUP and member.regular:
            pairs.add(member)
        else:
            _member(values, member, kind)
        end = member.next
    pairs.close()
    if not values.values:
        raise UnreadableEvidence(f"{file.name}: no object of this backup can be read: damaged, or cut")
    _rest(values, end)
    return Reading(
        kind=kind,
        description=kind.label,
        batches=values.batches(),
        database=file,
        storage_prefixes=() if kind in _WITH_KEYS else (keys.PREFIX,),
        backend=replace(Backend.UNKNOWN, buckets=(("key", len(values.values)),)),
        gaps=values.listed(),
        kinds={file.name: kind.label},
        balances=(values.ledger.balance(),),
        standing=STANDING,
    )


def _member(values: Values, member: Member, kind: EvidenceKind) -> None:
    """Add the object of a member; a gap where it is none."""
    if not member.regular:
        if not member.folder:
            values.gap(member.header, member.at, f"the member at offset {member.header:,} is a link or a device")
        return
    content = bytes(values.file.map[member.at : member.end])
    if kind is EvidenceKind.VCLUSTER_SNAPSHOT:
        values.add(Value(member.name, content, member.at, member.size))
        return
    path = member.name.decode("utf-8", "surrogateescape").removeprefix("./")
    if (identity := object_backups.identity(path, kind)) is None:
        if holds_value(content) or b"\0" in content:
            values.gap(member.at, member.end, f"a member at offset {member.at:,} is no object of this backup: searched")
        else:
            values.structure(member.at, member.end)
        return
    key = keys.of_resource(identity.plural, identity.group, identity.namespace, identity.name)
    begin = len(content) - len(content.lstrip(_BLANKS))
    body = content.strip(_BLANKS)
    if body.startswith(b"{"):
        values.add(Value(key, body, member.at + begin, len(body)))
        values.structure(member.at, member.at + begin)
        values.structure(member.at + begin + len(body), member.end)
        return
    if (sealed := _SEALED.fullmatch(content)) is not None and (plain := _decoded(sealed[1])) is not None:
        at = member.at + sealed.start(1)
        associated = f"{identity.namespace}#{identity.name}" if identity.namespace else identity.name
        value = Value(key, plain, at, len(sealed[1]), Notation.BASE64, associated.encode("utf-8", "surrogateescape"))
        values.add(value)
        values.structure(member.at, at)
        values.structure(at + len(sealed[1]), member.end)
        return
    values.gap(member.at, member.end, f"the object at offset {member.at:,} is neither JSON nor encrypted: searched")


def _decoded(text: bytes) -> bytes | None:
    try:
        return a2b_base64(text, strict_mode=True) if text else None
    except Error:
        return None


def _rest(values: Values, end: int) -> None:
    """Close the ledger: what no member accounts for is a gap. end: the position behind the last."""
    file: EvidenceFile = values.file
    values.gaps += unaccounted_gaps(values.ledger, Buffer(file.map), values.gaps)
    if file.size - end < 2 * object_backups.BLOCK:
        values.gap(file.size, file.size, "it does not end in two blocks of zeros, as a tar does: cut")
