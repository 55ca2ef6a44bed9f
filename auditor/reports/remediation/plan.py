"""The plan of a script: what it is about, and which steps fit the evidence."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from auditor.encryption.configuration import load
from auditor.errors import UsageError
from auditor.judgement.policy import Policy
from auditor.kubernetes.resources import path_of
from auditor.model.audit import Audit
from auditor.model.vocabulary import EvidenceKind, Place
from auditor.options import Setting
from auditor.reports import causes
from auditor.reports.remediation import forms, objects, verification
from auditor.reports.remediation.objects import Group, ObjectReference
from auditor.reports.words import plural
from auditor.text import hex_id, shown

BATCH = 50
"""Objects that one pair of kubectl commands reads and writes."""
_UID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_MEMBER_ID = re.compile("[0-9a-f]{1,16}")
"""The id of a member; where it is damaged, the evidence has words in its place."""
ASK = "kubectl get namespace kube-system --output 'jsonpath={.metadata.uid}'"
PRESERVED = {
    "etcd": "give PRESERVED=SNAPSHOT (etcdctl snapshot save); to defragment, a copy of that member's data directory",
    "kine": "give PRESERVED=FILE, a copy of state.db and its -wal file",
    "gardener": "give PRESERVED=FOLDER, a copy of the backups in the bucket",
}
"""What is to be preserved, by store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that a script's templates are filled with."""

    origin: str
    """The evidence in one printable line."""
    evidence: str
    """SHA-256 of the evidence; empty where it is not computed."""
    cluster: str
    """Uid of the kube-system namespace."""
    revision: int
    """Revision of the evidence."""
    store: str = "etcd"
    """One of PRESERVED."""
    prefix: str = "/registry"
    """Storage prefix."""
    members: tuple[str, ...] = ()
    """Ids of the members of the evidence, in hex; empty where they are not known."""
    uid_shown: bool = True
    """Whether the evidence shows the uid, so that other evidence of the cluster does."""
    etcd_cluster: str = ""
    """Id of the evidence's etcd cluster, in hex as JSON reports have it; empty where it is not known."""
    groups: tuple[Group, ...] = ()
    refused: int = 0
    """Number of objects whose names are not valid."""
    trees: tuple[tuple[str, str], ...] = ()
    """Beginning of the keys of each resource, and of its values in the wanted form."""
    compaction: bool = False
    defragmentation: bool = False
    options: tuple[str, ...] = ()
    """Options of the commands that verify, with the policy of the audit."""
    watchable: bool = True
    """Whether `watch` takes the resources."""
    screen: tuple[str, ...] = ()
    """Lines that every run begins with."""
    remarks: tuple[str, ...] = ()
    """Comments on what no command does."""
    batch: int = BATCH

    @property
    def objects(self) -> int:
        """Number of objects to rewrite."""
        return sum(len(group.names) for group in self.groups)

    @property
    def needed(self) -> str:
        return PRESERVED[self.store]

    @property
    def binding(self) -> str:
        """Hash of what the notes are bound to beside the evidence: the wanted forms, and the objects."""
        parts = [self.cluster, str(self.revision), *(f"{tree}={form}" for tree, form in self.trees)]
        parts += [f"{group.resource} {group.root} {group.form} {' '.join(group.names)}" for group in self.groups]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]

    @property
    def run(self) -> str:
        """Name of the files of notes and lock."""
        key = hashlib.sha256(f"{self.evidence} {self.cluster} {self.binding}".encode()).hexdigest()
        return f"etcd-auditor-{key[:16]}"


def of_audit(audit: Audit) -> Plan:
    """The plan by an audit with rows. Raises UsageError where no script is to be made, and says the way out."""
    settings = dict(audit.run.options)
    evidence = audit.evidence
    if audit.parts:
        raise UsageError("--remediation: a script is of one item of evidence: scan it alone")
    uid = cluster_uid(evidence.cluster.uid, str(settings["expect_cluster"]), evidence.name)
    if evidence.backend.revision < 1:
        raise UsageError(f"--remediation: {evidence.name} does not show its revision: take a snapshot and scan that")
    references = objects.of(audit)
    policy = policy_of(settings)
    resources = sorted({each.resource for each in references if each.valid})
    groups, refused = objects.grouped(references, {name: forms.form(policy, name) for name in resources})
    prefix = _prefix(groups, evidence.cluster.prefixes)
    places = {place for place, *_ in audit.tally.places} & set(audit.tally.readable_places)
    store = _store(evidence.kind)
    superseded = places & {Place.LATEST, Place.HISTORY, Place.DELETED}
    plan = Plan(
        origin=f"{evidence.name}, SHA-256 {evidence.sha256 or '(not computed)'}",
        evidence=evidence.sha256,
        cluster=uid,
        revision=evidence.backend.revision,
        store=store,
        prefix=prefix,
        members=tuple(f"{int(number, 16):x}" for number, _ in evidence.backend.members if _MEMBER_ID.fullmatch(number)),
        uid_shown=bool(evidence.cluster.uid),
        etcd_cluster="" if evidence.backend.cluster_id is None else hex_id(evidence.backend.cluster_id),
        groups=groups,
        refused=refused,
        trees=_trees(groups, policy, prefix, audit.resources),
        compaction=store == "etcd" and bool(superseded or groups),
        defragmentation=store == "etcd" and bool(places - {Place.WAL} or groups),
        options=verification.options(settings, verification.resources(audit, groups), prefix),
        watchable="*" not in audit.resources,
        remarks=_remarks(audit, store),
    )
    return replace(plan, screen=(*_screen(plan, audit.policy, _counts(audit)), *verification.differences(settings)))


def of_objects(
    references: Sequence[ObjectReference],
    origin: str,
    revision: int,
    settings: Mapping[str, Setting],
    policy: str,
    prefixes: Sequence[str],
) -> Plan:
    """The plan of a rewrite alone, of what `watch` finds to remain.

    Args:
        references: The objects.
        origin: The etcd that holds them, in one line.
        revision: Its revision.
        settings: The options of the run, by name.
        policy: The policy in one line.
        prefixes: The storage prefixes that were read.
    """
    uid = cluster_uid("", str(settings["expect_cluster"]), origin)
    wanted = policy_of(settings)
    resources = sorted({each.resource for each in references if each.valid})
    groups, refused = objects.grouped(references, {name: forms.form(wanted, name) for name in resources})
    prefix = _prefix(groups, prefixes)
    plan = Plan(
        origin=origin,
        evidence="",
        cluster=uid,
        revision=revision,
        prefix=prefix,
        groups=groups,
        refused=refused,
        options=verification.options(settings, verification.texts(settings["resources"]), prefix),
    )
    return replace(plan, screen=(*_screen(plan, policy, {}), *verification.differences(settings)))


def cluster_uid(shown_by_evidence: str, expected: str, name: str) -> str:
    """The uid of the kube-system namespace by the evidence, or by --expect-cluster. Raises UsageError."""
    uid = shown_by_evidence or expected.strip()
    if not uid:
        raise UsageError(
            f"--remediation: {name} does not show which cluster it is of, and no script is made that could rewrite "
            f"another: give --expect-cluster UID ({ASK} prints it)"
        )
    if not _UID.fullmatch(uid):
        raise UsageError(f"--remediation: {shown(uid)} is no uid of a namespace")
    return uid


def policy_of(settings: Mapping[str, Setting]) -> Policy:
    """The policy of a run's options, as far as the wanted form goes."""
    from auditor.judgement.criteria import prepare
    from auditor.options import Options

    asked = Options(expect=str(settings["expect"]))
    configurations = tuple(load(Path(path)) for path in verification.texts(settings["encryption_configs"]))
    return replace(prepare(asked).policy, configurations=configurations)


def _store(kind: EvidenceKind) -> str:
    if kind.is_kine:
        return "kine"
    return "gardener" if kind is EvidenceKind.BACKUP else "etcd"


def _prefix(groups: Sequence[Group], prefixes: Sequence[str]) -> str:
    """The storage prefix. Raises UsageError where there are several, or etcdctl's reader would take it apart."""
    within = {prefix for prefix in prefixes for each in groups if each.tree.startswith(f"{prefix}/")}
    if len(within) > 1:
        raise UsageError("--remediation: the objects lie under several storage prefixes: give one by --storage-prefix")
    prefix = within.pop() if within else next(iter(prefixes), "/registry")
    if not objects.TREE.fullmatch(f"{prefix}/"):
        raise UsageError(f"--remediation: the storage prefix {shown(prefix)} holds characters that a script must not")
    return prefix


def _trees(
    groups: Sequence[Group], policy: Policy, prefix: str, resources: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    """The trees of the objects, and of every resource that is named without a wildcard."""
    trees = {group.tree: group.form for group in groups}
    for name in resources:
        tree = f"{prefix}/{path_of(name.rstrip('.'))}/"
        if "*" not in name and tree not in trees and objects.TREE.fullmatch(tree):
            trees[tree] = forms.form(policy, name)
    return tuple(sorted(trees.items()))


def _counts(audit: Audit) -> dict[Place, int]:
    """Number of values of the audited resources by place."""
    counts: dict[Place, int] = {}
    for place, _, _, values, _ in audit.tally.places:
        counts[place] = counts.get(place, 0) + values
    return counts


def _screen(plan: Plan, policy: str, counts: Mapping[Place, int]) -> tuple[str, ...]:
    """The first screen: what each step makes unrecoverable."""
    lines = [
        f"remediation of {plan.origin}",
        f"cluster {plan.cluster}, revision {plan.revision}; wanted: {policy}",
        f"rewrite, of {plural(plan.objects, 'object')}, makes unrecoverable: at which revision each was "
        "written last, and the remains in free pages that the new revisions take",
    ]
    if plan.compaction:
        history, deleted = counts.get(Place.HISTORY, 0), counts.get(Place.DELETED, 0)
        lines.append(
            f"compact makes unrecoverable: every older revision and every deleted object of the whole etcd, among them "
            f"{plural(history, 'value')} in history and {plural(deleted, 'value')} of deleted objects here"
        )
    if plan.defragmentation:
        freed = sum(counts.get(place, 0) for place in (Place.FREED, Place.SLACK, Place.PREVIOUS_ROOT))
        lines.append(
            f"defragment makes unrecoverable: whatever lies in free pages of that member's file, in this evidence "
            f"{plural(freed, 'value')}"
        )
    return tuple(lines)


def _remarks(audit: Audit, store: str) -> tuple[str, ...]:
    """Comments on what no command of the script does."""
    if store == "kine":
        remarks = []
        for number, place in enumerate(audit.tally.readable_places, 2):
            why, remedy = causes.of(audit)[place]
            remarks += [f"{number}. {place.label}: {why}.", f"   {remedy}."]
        return tuple(remarks)
    wal = (
        "The WAL of each member keeps what was written until its segments are purged; no command wipes it.",
        "Remove each member in turn, destroy its disk, and add it again; destroy old backups; then audit anew.",
    )
    if store == "gardener":
        return (
            "The API server compacts the history every five minutes, and etcd-druid defragments by its schedule",
            "(spec.etcd.defragmentationSchedule): no etcdctl here. Then take a full snapshot, let the garbage",
            "collection remove the older ones from the bucket, and audit the bucket anew.",
            *wal,
        )
    return wal
