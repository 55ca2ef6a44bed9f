"""The lists of what to rotate of several exhibits, merged into one: a row for every value, in however many it lies.

What is current is decided by the newest exhibit of each cluster: an older backup of it holds what is current no more.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from auditor.audit.exposed_values import latest
from auditor.audit.rotation import STATUSES, joined, ordered
from auditor.errors import UsageError
from auditor.model.audit import Audit
from auditor.model.rotation import Rotation, RotationRow, RotationValues
from auditor.options import Options

ORDINALS = (
    "--rotation is one list of all evidence items, and with --redact-names each of them has ordinals of its own: give "
    "--redact-key too"
)
"""Why there is no list."""


def check(options: Options) -> None:
    """Raises UsageError where a list over several exhibits cannot have the pseudonyms that are asked for."""
    if options.rotation and options.redact_names and not options.redact_key:
        raise UsageError(ORDINALS)


class _Part(NamedTuple):
    """One exhibit with a list."""

    cluster: Hashable
    """What its cluster is known by; its own number where nothing shows it."""
    name: str
    revision: int
    complete: bool
    list: Rotation
    values: RotationValues
    newer: bool
    """Whether newer evidence decided what is current."""


def merge(audits: Sequence[Audit]) -> Rotation | None:
    """One list of all; None where none has a list."""
    parts = [
        _Part(
            cluster=_cluster(audit, number),
            name=audit.evidence.name,
            revision=audit.evidence.backend.revision,
            complete=not audit.gaps,
            list=audit.rotation,
            values=audit.rotation.values,
            newer=audit.current is not None,
        )
        for number, audit in enumerate(audits)
        if audit.rotation is not None and audit.rotation.values is not None
    ]
    if not parts:
        return None
    newest = {cluster: _newest([each for each in parts if each.cluster == cluster]) for cluster in _clusters(parts)}
    several = len(newest) > 1
    by_value: dict[Hashable, list[RotationRow]] = {}
    for part in parts:
        decides = newest[part.cluster]
        label = decides.name if several else ""
        for identity, row in _rows(part, decides, label):
            by_value.setdefault(identity, []).append(row)
    named = {(each.cluster, secret) for each in parts for secret in each.values.named}
    bundles = {(each.cluster, secret) for each in parts for secret in each.values.bundles}
    empty = {(each.cluster, secret) for each in parts for secret in each.values.empty}
    return Rotation(
        rows=ordered([_one(rows) for rows in by_value.values()]),
        leak=any(each.list.leak for each in newest.values()),
        bundles=len(bundles - named),
        empty=len(empty - named),
    )


def _cluster(audit: Audit, number: int) -> Hashable:
    evidence = audit.evidence
    return evidence.cluster.uid or evidence.backend.cluster_id or number


def _clusters(parts: Sequence[_Part]) -> list[Hashable]:
    return list(dict.fromkeys(each.cluster for each in parts))


def _newest(parts: Sequence[_Part]) -> _Part:
    """The exhibit at the highest revision; of those at one revision, one that was read whole."""
    return max(parts, key=lambda each: (each.revision, each.complete and not each.values.unread))


def _rows(part: _Part, newest: _Part, label: str) -> Iterator[tuple[Hashable, RotationRow]]:
    """The identity of each value, and its row with the status by the newest exhibit of its cluster."""
    values = part.values
    for identity, digest, row in zip(values.identities, values.digests, values.rows, strict=True):
        status = row.status
        if newest is not part and not part.newer and status != "expired":
            status = _status(digest, newest)
        # of another cluster, a short value and a Secret of which a part is left are others
        alone = digest is None or not isinstance(identity, tuple) or identity[1:] != (None,)
        secrets = tuple(f"{each} of {label}" for each in row.secrets) if label else row.secrets
        yield (part.cluster, identity) if alone else identity, replace(row, status=status, secrets=secrets)


def _status(digest: bytes | None, newest: _Part) -> str:
    if digest is not None and digest in newest.values.current:
        return "current"
    return "unknown" if digest is None or newest.values.unread or not newest.revision else "changed"


def _one(rows: Sequence[RotationRow]) -> RotationRow:
    """The row of one value that lies in several exhibits."""
    if len(rows) == 1:
        return rows[0]
    first = min(rows, key=lambda row: (row.order, STATUSES.index(row.status), row.kind, row.secrets))
    statuses = {row.status for row in rows}
    # the end is the latest of all: a certificate renewed under its key is over only when its last one is
    status = min(statuses - {"expired"} or statuses, key=STATUSES.index)
    return replace(
        first,
        status=status,
        secrets=tuple(sorted({secret for row in rows for secret in row.secrets})),
        valid_until=latest(row.valid_until for row in rows),
        used_by=joined([cell for row in rows for cell in row.used_by.split(";")]),
        can_read="; ".join(dict.fromkeys(row.can_read for row in rows)),
        owner=";".join(sorted({owner for row in rows for owner in row.owner.split(";")} - {""})),
    )
