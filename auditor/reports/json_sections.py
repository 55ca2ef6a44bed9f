"""Sections that JSON documents share. Their keys are a promise to readers, independent of the model's field names."""

from collections.abc import Iterable
from typing import Any

from auditor.model.audit import ExhibitSummary
from auditor.model.chronology import Chronology
from auditor.model.evidence import (
    Backend,
    Balance,
    Cluster,
    CurrentReference,
    Evidence,
    Gap,
    Live,
    Source,
    Stat,
    Unexamined,
)
from auditor.model.findings import AbsentFinding, Acceptance, Baseline, Coverage
from auditor.model.kms import KmsCalls
from auditor.model.vocabulary import Severity
from auditor.text import hex_id


def gap(part: Gap) -> dict[str, Any]:
    return {"source": part.source, "offset": part.offset, "length": part.length, "reason": part.reason}


def kms(calls: Iterable[KmsCalls]) -> list[dict[str, Any]]:
    """The calls of --kms to each key."""
    return [
        {
            "name": each.name,
            "service": each.service,
            "key": each.key,
            "principal": each.principal,
            "calls": each.calls,
            "unwrapped": each.unwrapped,
            "first": each.first,
            "last": each.last,
            "requests": list(each.requests),
            "answering": list(each.answering),
            "outcomes": dict(each.outcomes),
        }
        for each in calls
    ]


def calls_made(calls: Iterable[KmsCalls]) -> dict[str, Any]:
    """The section `kms` of a document that has it where --kms was given."""
    sections = kms(dict.fromkeys(calls))
    return {"kms": sections} if sections else {}


def unexamined(part: Unexamined) -> dict[str, Any]:
    return {"what": part.what, "reason": part.reason, "decisive": part.decisive}


def coverage(row: Coverage) -> dict[str, Any]:
    return {
        "resource": row.resource,
        "exempt": row.exempt,
        "prefix": row.prefix,
        "provider": row.provider.label,
        "key_name": row.key_name,
        "place": row.place.label,
        "values": row.values,
    }


def evidence(whole: Evidence) -> dict[str, Any]:
    """sha256: of the whole file. trailer: etcd's own hash, which covers all but the last trailer_bytes."""
    return {
        "name": whole.name,
        "kind": whole.description,
        "size": whole.size,
        "modified": whole.modified,
        "sha256": whole.sha256,
        "trailer": whole.trailer.value,
        "trailer_bytes": whole.trailer_bytes,
        "changed": whole.changed,
        "backend": _backend(whole.backend),
        "cluster": _cluster(whole.cluster),
        "sources": [_source(file) for file in whole.sources],
        "directory": whole.directory,
        "containers": [_source(file) for file in whole.containers],
        "live": None if whole.live is None else _live(whole.live),
    }


def files(whole: Evidence) -> list[dict[str, Any]]:
    """The files of the evidence that were read, for the report of another command."""
    return [{"name": file.name, "size": file.size, "sha256": file.sha256} for file in whole.sources]


def exhibit(part: ExhibitSummary, fail_on: Severity) -> dict[str, Any]:
    return {
        "name": part.name,
        "kind": part.kind,
        "size": part.size,
        "sha256": part.sha256,
        "trailer": "" if part.trailer is None else part.trailer.value,
        "cluster": part.cluster,
        "revision": part.revision or None,
        "verdict": part.verdict(fail_on).value,
        "complete": part.complete,
        "severity": "" if part.severity is None else part.severity.label,
        "values": part.values,
        "readable": part.readable,
        "current_holders": part.current_holders,
        "gaps": part.gaps,
        "sources": list(part.sources),
        "problem": part.problem,
        "exit_code": part.exit_code(fail_on),
    }


def chronology(times: Chronology) -> dict[str, Any]:
    """What is known of time."""
    return {
        "bounds": [
            {
                "what": bound.what,
                "bound": bound.bound,
                "time": bound.time,
                "kind": bound.kind.value,
                "source": bound.source,
            }
            for bound in times.bounds
        ],
        "contradictions": list(times.contradictions),
        "objects_examined": times.examined,
        "objects": times.objects,
    }


def current(reference: CurrentReference) -> dict[str, Any]:
    """The newer evidence that decides what is current."""
    return {
        "name": reference.name,
        "kind": reference.description,
        "revision": reference.revision,
        "newest_object_time": reference.newest,
        "limits": list(reference.limits),
    }


def baseline(earlier: Baseline) -> dict[str, Any]:
    return {
        "name": earlier.name,
        "sha256": earlier.sha256,
        "evidence": earlier.evidence,
        "same_evidence": earlier.same_evidence,
        "new": earlier.new,
        "still": earlier.unchanged,
        "moved": earlier.moved,
        "gone": [_absent(finding) for finding in earlier.absent],
    }


def balance(own: Balance) -> dict[str, Any]:
    return {
        "medium": own.medium,
        "size": own.size,
        "structure": own.structure,
        "row": own.row,
        "empty": own.empty,
        "checksum": own.checksum,
        "inner": own.inner,
        "unaccounted": own.unaccounted,
    }


def acceptance(entry: Acceptance) -> dict[str, Any]:
    return {
        "path": entry.path,
        "reason": entry.reason,
        "expires": entry.expires,
        "expired": entry.expired,
        "matches": entry.matches,
    }


def _backend(backend: Backend) -> dict[str, Any]:
    return {
        "revision": backend.revision or None,
        "newest_record": backend.newest_record if backend.revision else None,
        "compacted": backend.compacted,
        "scheduled": backend.scheduled,
        "storage_version": backend.storage_version,
        "cluster_version": backend.cluster_version,
        "consistent_index": backend.consistent_index,
        "term": backend.term,
        "members": [{"id": member, "name": name} for member, name in backend.members],
        "cluster_id": None if backend.cluster_id is None else hex_id(backend.cluster_id),
        "buckets": dict(backend.buckets),
        "page_size": backend.page_size,
        "pages": backend.pages,
        "auth_enabled": backend.auth_enabled,
    }


def _cluster(cluster: Cluster) -> dict[str, Any]:
    return {
        "uid": cluster.uid,
        "created": cluster.created,
        "newest": cluster.newest,
        "prefixes": list(cluster.prefixes),
        "clusters": [
            {"prefix": each.prefix, "uid": each.uid, "created": each.created, "values": each.values}
            for each in cluster.clusters
        ],
    }


def _source(file: Source) -> dict[str, Any]:
    return {
        "name": file.name,
        "kind": file.kind,
        "size": file.size,
        "modified": file.modified,
        "sha256": file.sha256,
        "changed": file.changed,
        "before": _stat(file.before),
        "after": _stat(file.after),
    }


def _stat(file: Stat) -> dict[str, Any]:
    return {"size": file.size, "mtime": file.mtime, "ctime": file.ctime}


def _live(member: Live) -> dict[str, Any]:
    return {
        "way": member.way.label,
        "endpoint": member.endpoint,
        "member_id": hex_id(member.member_id),
        "cluster_id": hex_id(member.cluster_id),
        "etcd_version": member.etcd_version,
        "revision": member.revision,
    }


def _absent(finding: AbsentFinding) -> dict[str, Any]:
    return {
        "id": finding.id,
        "finding": finding.finding,
        "severity": finding.severity,
        "place": finding.place,
        "resource": finding.resource,
        "namespace": finding.namespace,
        "name": finding.name,
        "key": finding.key,
        "source": finding.source,
        "offset": finding.offset,
    }
