"""Sentences that the terminal and the HTML report share: verdict, next steps, facts of the evidence."""

from auditor.model.audit import Audit
from auditor.model.vocabulary import (
    EvidenceKind,
    FindingKind,
    LiveWay,
    Place,
    Provider,
    RedactionMethod,
    Severity,
    Trailer,
    Verdict,
)
from auditor.reports import causes
from auditor.text import hex_id


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def verdict(audit: Audit, fail_on: Severity) -> list[str]:
    """The conclusion in one or two sentences, exit code included."""
    code = f"(exit {audit.exit_code(fail_on)})"
    tally = audit.tally
    acceptances = accepted(audit)
    if audit.verdict is Verdict.NONE:
        return [f"NO FINDINGS IN WHAT WAS EXAMINED {code}"]
    if audit.verdict is Verdict.INCONCLUSIVE:
        return [f"INCONCLUSIVE: no findings in what was examined, and not everything was {code}"]
    if tally.readable:
        what = _objects(audit)
        where = _places(tally.readable_places)
        lines = [f"FINDINGS: {plural(tally.readable, 'readable value')} of {what}, {where} {code}"]
        if in_use := _in_use(audit):
            what = "these credentials are in use" if _secrets_alone(audit) else "what they hold is in use"
            lines.append(f"{in_use}: {what}.")
        if tally.undetermined:
            what = "are credentials in use" if _secrets_alone(audit) else "hold what is in use"
            question = f"Whether {tally.undetermined:,} of them {what} is unknown"
            lines.append(f"{question}: they could not be compared with the current values.")
        return [*lines, *acceptances]
    return [f"FINDINGS: no readable value; {others(audit)} {code}", *acceptances]


def current(audit: Audit) -> int:
    """The number of readable current values."""
    return sum(
        count
        for place, provider, _, count, _ in audit.tally.places
        if place is Place.LATEST and provider is Provider.IDENTITY and place in audit.tally.readable_places
    )


def _in_use(audit: Audit) -> str:
    """The readable values that are current, or hold a credential in use; empty where none is known to."""
    same, now = audit.tally.in_use, current(audit)
    if not now:
        return f"{same:,} of them hold the same content as the current value" if same else ""
    also = f", and {plural(same, 'leftover')} {'holds' if same == 1 else 'hold'} the same content" if same else ""
    return f"{now:,} of them {'is the current value' if now == 1 else 'are current values'}{also}"


def accepted(audit: Audit) -> list[str]:
    """The number of accepted findings, in a sentence; nothing where there is none."""
    count = sum(count for *_, count in audit.tally.accepted)
    total = sum(count for *_, count in audit.tally.findings)
    if not count:
        return []
    verb = "is" if count == 1 else "are"
    return [f"{count:,} of {plural(total, 'finding')} {verb} accepted: counted, and without effect on the exit code."]


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


def _secrets_alone(audit: Audit) -> bool:
    """Whether all that was selected are Secrets: a Pod or a Lease is no credential."""
    return set(audit.resources) == {"secrets"}


def _objects(audit: Audit) -> str:
    resources = audit.resources
    noun = (
        {"secrets": "Secret", "configmaps": "ConfigMap"}.get(resources[0], "object")
        if len(resources) == 1
        else "object"
    )
    return plural(audit.tally.objects, noun)


def _places(places: tuple[Place, ...]) -> str:
    names = ["freed pages" if place is Place.FREED else place.label for place in places]
    if len(names) == 1:
        return f"all in {names[0]}"
    return f"in {', '.join(names[:-1])} and {names[-1]}"


def others(audit: Audit) -> str:
    """Findings other than plaintext, counted."""
    return ", ".join(
        f"{plural(count, 'value')} {finding.label} ({severity.label})"
        for finding, severity, count in audit.tally.findings
        if finding is not FindingKind.PLAINTEXT
    )


def next_steps(audit: Audit) -> list[str]:
    """The next steps, the evidence and the credentials first."""
    unreadable = _unreadable(audit)
    if not audit.tally.readable:
        return unreadable
    steps = ["preserve this evidence", *unreadable]
    credentials = audit.tally.in_use if not (current(audit) or audit.tally.undetermined) else 0
    count = credentials or audit.tally.objects
    if not count:
        steps.append("rotate what the readable values hold")
    elif _secrets_alone(audit):
        steps.append(f"rotate the {plural(count, 'credential')}")
    else:
        steps.append(f"rotate the credentials that the {plural(count, 'object')} may hold, Secrets first")
    following = causes.KINE_NEXT if causes.is_kine(audit) else causes.NEXT_PLACE
    steps += dict.fromkeys(following[place] for place in audit.tally.readable_places if place in following)
    if not causes.is_kine(audit) and {Place.LATEST, Place.HISTORY, Place.DELETED} & set(audit.tally.readable_places):
        steps.append(causes.NEXT_PLACE[Place.FREED])
    steps = list(dict.fromkeys(steps))
    steps[-1] += ", then take and audit new backups"
    return steps


def _unreadable(audit: Audit) -> list[str]:
    """The step for values that no key at hand reads: the configurations that were in force when they were written."""
    kinds = {kind for kind, *_ in audit.tally.findings} & {FindingKind.UNDECRYPTABLE, FindingKind.ORPHANED}
    if not kinds:
        return []
    oldest, newest = audit.tally.unreadable or (None, None)
    when = "when the values that cannot be read were written"
    if oldest is not None and newest is not None:
        which = f"revision {oldest:,}" if oldest == newest else f"revisions {oldest:,} to {newest:,}"
        when = f"at {which}, where the values that cannot be read were written"
    return [f"look for the configuration of each API server as it was {when}"]


def kind(audit: Audit) -> str:
    """The file's kind and the store's revision, for one line."""
    backend, cluster = audit.evidence.backend, audit.evidence.cluster
    if audit.parts:
        return audit.evidence.description
    compacted = f"compacted at {backend.compacted:,}" if backend.compacted is not None else "never compacted"
    kind, description = audit.evidence.kind, audit.evidence.description
    revision = f"{backend.revision:,}" if backend.revision else "unknown"
    parts = [description if kind is EvidenceKind.KINE_WAL else f"{description}; revision {revision}"]
    if backend.revision and kind not in {EvidenceKind.LIVE_RANGE, EvidenceKind.KINE_WAL, *causes.DUMPS}:
        parts[0] += f", {compacted}"
    if backend.storage_version:
        parts.append(f"etcd storage version {backend.storage_version}")
    elif backend.cluster_version:
        parts.append(f"etcd cluster version {backend.cluster_version}")
    if cluster.uid:
        parts.append(f"Kubernetes cluster {cluster.uid} created {cluster.created}")
    elif not cluster.prefixes:
        parts.append("no Kubernetes storage prefix found")
    if cluster.newest:
        parts.append(f"newest object time {cluster.newest}")
    return "; ".join(parts)


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
    if audit.evidence.kind in causes.DUMPS:
        return "current keys, without their history"
    if audit.evidence.kind is EvidenceKind.LIVE_RANGE:
        return "current keys of the cluster, without their history"
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
        return "each piece has its own, in the reports"
    if not audit.evidence.directory and len(audit.evidence.sources) == 1:
        return "whole file"
    database = next((each.name for each in audit.evidence.sources if each.sha256 == audit.evidence.sha256), "")
    return f"{database}; the other files' are in the reports"


def trailer(audit: Audit) -> str:
    """The outcome of etcd's own trailing hash."""
    evidence = audit.evidence
    if audit.parts:
        summary: dict[Trailer, str] = {Trailer.MATCHES: "match", Trailer.NONE: "see each piece"}
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
    optional = {"Case": run.case, "Live": live(audit), "Baseline": baseline(audit), "Names": names(audit)}
    return common | {name: text for name, text in optional.items() if text}
