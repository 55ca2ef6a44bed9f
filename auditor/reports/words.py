"""Facts of the evidence and of the run, as the reports that people read word them: one function a fact."""

from auditor.model.audit import Audit
from auditor.model.evidence import Backend, Cluster
from auditor.model.vocabulary import (
    EXPORTS,
    EvidenceKind,
    LiveWay,
    Provider,
    RedactionMethod,
    Trailer,
)
from auditor.reports import causes, currency
from auditor.text import hex_id
from auditor.text import plural as plural  # noqa: PLC0414 - a word of reports too

_OF_OBJECTS = EXPORTS | {EvidenceKind.DBCTL_BACKUP}
"""Evidence that holds objects, and no store of them."""


def baseline(audit: Audit) -> str:
    """The changes since the baseline, in one line; empty where there is none."""
    report = audit.baseline
    if report is None:
        return ""
    moved = f" ({report.moved:,} of them to another place, where they are new)" if report.moved else ""
    absent = "gone" if audit.complete else "not found again, where not everything was read"
    of = "the same evidence" if report.same_evidence else "other evidence"
    counts = f"{report.new:,} new, {report.unchanged:,} still there, {len(report.absent):,} {absent}{moved}"
    return f"{report.name} ({of}): {counts}"


def control(audit: Audit) -> str:
    """The outcome of the positive control, in one line; empty where none ran."""
    if audit.control is None:
        return ""
    first = next(iter(audit.resources), "secrets")
    noun = {"secrets": "Secret", "*": "Secret", "configmaps": "ConfigMap"}.get(first, "object")
    if audit.control.success:
        return f"passed, a planted plaintext {noun} was reported"
    return f"A PLANTED PLAINTEXT {noun.upper()} WAS NOT FOUND: what this run did not find is unproven"


def names(audit: Audit) -> str:
    """The redaction of names; empty where they stand as they are."""
    if audit.redaction is None:
        return ""
    substitutes = "ordinals" if audit.redaction.method is RedactionMethod.ORDINALS else "pseudonyms made with a key"
    return f"namespaces, names and uids are replaced by {substitutes} (--redact-names)"


def kind(audit: Audit) -> str:
    """The file's kind and the store's revision, for one line."""
    backend, cluster = audit.evidence.backend, audit.evidence.cluster
    if audit.parts:
        return audit.evidence.description
    kind, description = audit.evidence.kind, audit.evidence.description
    revision = f"{backend.revision:,}" if backend.revision else "unknown"
    parts = [description if kind is EvidenceKind.KINE_WAL else f"{description}; revision {revision}"]
    if backend.revision and kind not in {EvidenceKind.LIVE_RANGE, EvidenceKind.KINE_WAL, *causes.DUMPS}:
        parts[0] += f", {'never compacted' if backend.compacted is None else f'compacted at {backend.compacted:,}'}"
    if backend.storage_version:
        parts.append(f"etcd storage version {backend.storage_version}")
    elif backend.cluster_version:
        parts.append(f"etcd cluster version {backend.cluster_version}")
    if cluster.several:
        parts.append(clusters(cluster))
    elif cluster.uid:
        parts.append(f"Kubernetes cluster {cluster.uid}{f' created {cluster.created}' if cluster.created else ''}")
    elif not cluster.prefixes:
        parts.append("no Kubernetes storage prefix found")
    if cluster.newest:
        parts.append(f"newest object time {cluster.newest}")
    return "; ".join(parts)


def clusters(cluster: Cluster) -> str:
    """The cluster under each of several storage prefixes."""
    listed = (
        f"{each.prefix} {each.uid or ('unknown' if each.own else 'of none with a kube-system namespace')}"
        f"{f' created {each.created}' if each.created else ''}, {plural(each.values, 'value')}"
        for each in cluster.clusters
    )
    return f"{len(cluster.clusters)} storage prefixes, several clusters: {'; '.join(listed)}"


def compaction(backend: Backend) -> str:
    """The revision of the last compaction, for a table."""
    if backend.compacted is not None:
        return f"{backend.compacted:,}"
    return "never" if backend.revision else "unknown"


def extent(audit: Audit) -> str:
    """The extent of the evidence."""
    sources = audit.evidence.sources
    size = sum(each.size for each in sources)
    return f"{plural(len(sources), 'file')}, {size:,} bytes" if len(sources) > 1 else f"{size:,} bytes"


def scope(audit: Audit) -> str:
    """The part of a cluster that the evidence covers."""
    if audit.parts:
        return "each is one member's"
    if causes.is_kine(audit):
        wal_only = audit.evidence.kind is EvidenceKind.KINE_WAL
        return "what was written last, without the database" if wal_only else "one server's database"
    if audit.evidence.kind in {*causes.DUMPS, EvidenceKind.VCLUSTER_SNAPSHOT}:
        return "current keys, without their history"
    if audit.evidence.kind is EvidenceKind.LIVE_RANGE:
        return "current keys of the cluster, without their history"
    if audit.evidence.kind in _OF_OBJECTS:
        return "objects as they were written into it"
    if audit.evidence.kind in {EvidenceKind.UNRECOGNISED, EvidenceKind.IMAGE}:
        return "stored values by their own bytes, current or not"
    return "one member's data directory" if audit.evidence.directory else "one member's database"


def live(audit: Audit) -> str:
    """The member that a live etcd was read through; empty for evidence of another kind."""
    access = audit.evidence.live
    if access is None:
        return ""
    prefix = "at" if access.way is LiveWay.RANGE else "asked at"
    member, cluster = hex_id(access.member_id), hex_id(access.cluster_id)
    through = f"{access.way.label} of {access.endpoint}: member {member} of cluster {cluster}"
    return f"{through}, etcd {access.etcd_version}, {prefix} revision {access.revision:,}"


def sha256(audit: Audit) -> str:
    """The evidence's own hash, and the file that it covers."""
    if audit.parts:
        return hashed(audit)
    if audit.evidence.sha256:
        return f"{audit.evidence.sha256} ({hashed(audit)})"
    return "none: a range is no file" if audit.evidence.kind is EvidenceKind.LIVE_RANGE else "not computed"


def hashed(audit: Audit) -> str:
    """The file that the evidence's own hash covers."""
    if audit.parts:
        return "each evidence item has its own, in the reports"
    if not audit.evidence.directory and len(audit.evidence.sources) == 1:
        return "whole file"
    database = next((each.name for each in audit.evidence.sources if each.sha256 == audit.evidence.sha256), "")
    return f"{database}; the other files' are in the reports"


def trailer(audit: Audit) -> str:
    """The outcome of etcd's own trailing hash."""
    evidence = audit.evidence
    if audit.parts:
        summary: dict[Trailer, str] = {Trailer.MATCHES: "match", Trailer.NONE: "see each evidence item"}
        return summary.get(evidence.trailer, evidence.trailer.label)
    if evidence.trailer is Trailer.NONE:
        return evidence.trailer.label
    coverage = f"etcd's hash of the first {evidence.size - evidence.trailer_bytes:,} bytes"
    return f"{evidence.trailer.label} ({coverage})"


def label(provider: Provider, name: str) -> str:
    return f"{provider.label}/{name}" if name else provider.label


def facts(audit: Audit) -> dict[str, str]:
    """The head of a report: facts of the evidence and the run by name, without those that do not apply."""
    evidence, run = audit.evidence, audit.run
    changed = f"changed during the run: {evidence.changed}" if evidence.changed else "unchanged during the run"
    common = {
        "Evidence": f"{evidence.name}, {extent(audit)}, {changed}; {scope(audit)}",
        "SHA-256": sha256(audit),
        "Trailer": trailer(audit),
        "Kind": kind(audit),
        "Policy": audit.policy,
        "Run": f"etcd-auditor {run.version}, {run.started} to {run.finished}",
    }
    newer = audit.current and f"{audit.current.description}; what is current is decided {currency.reference(audit)}"
    optional = {
        "Current": newer or "",
        "Case": run.case,
        "Live": live(audit),
        "Baseline": baseline(audit),
        "Names": names(audit),
        "Settings": ", ".join(f"{name} ({origin})" for name, origin in run.origins),
    }
    return common | {name: text for name, text in optional.items() if text}
