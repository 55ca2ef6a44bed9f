"""The audit itself: evidence in, `Audit` out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from auditor.arrays.dtypes import Bools
from auditor.audit import (
    baseline,
    corroborate,
    custody,
    expectations,
    key_usage,
    positive_control,
    rows,
    tally,
    triage,
    unexamined,
)
from auditor.encryption.lint import Advice
from auditor.evidence import exhibit, reading
from auditor.evidence.batch import RecordBatch
from auditor.evidence.etcd import snapshot
from auditor.hunt.hit import NOTHING
from auditor.judgement import criteria, opening, selection
from auditor.judgement.selection import Selection
from auditor.kubernetes import fragments, objects, prefixes, registry
from auditor.model.audit import Audit
from auditor.model.evidence import Cluster, Evidence
from auditor.model.vocabulary import Encoding, Place, Provider
from auditor.options import Options
from auditor.run_log import RunLog
from auditor.text import moment, printable, restore

if TYPE_CHECKING:
    from auditor.hunt.companion_configs import CompanionConfigs

NEWEST = 256
"""How many of the last records are asked for the newest time."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Evidence read, opened and judged, before anything is counted: what examine() and a comparison start from.

    asked: what the options say of reports. stored, found: beside the batches that were read. wanted: which entries
    of found.table are judged. rest: what a hunt searches beside the selections.
    came: configurations in files that came with the evidence.
    """

    given: criteria.Criteria
    asked: triage.TriageSettings
    read: reading.Reading
    stored: Sequence[prefixes.Prefixes]
    found: registry.Keys
    wanted: Bools
    cluster: Cluster
    selections: list[Selection]
    rest: list[Selection]
    came: "CompanionConfigs | None" = None

    @property
    def resources(self) -> frozenset[str]:
        """Names of those that are judged."""
        return frozenset(entry.name for entry, chosen in zip(self.found.table, self.wanted, strict=True) if chosen)


def examine(
    files: exhibit.Exhibit,
    options: Options,
    log: RunLog | None = None,
    earlier: baseline.BaselineReport | None = None,
) -> Audit:
    """Audit opened evidence, and compare it with an earlier report. Raises UnreadableEvidence where nothing in it can
    be read.
    """
    log = log or RunLog()
    return conclude(files, judge(files, options, log, contents=False, earlier=earlier), options, log)


def judge(
    files: exhibit.Exhibit,
    options: Options,
    log: RunLog,
    also: frozenset[str] = frozenset(),
    *,
    contents: bool = True,
    earlier: baseline.BaselineReport | None = None,
) -> Judgement:
    """Read opened evidence, and judge the selected values. Raises UnreadableEvidence where nothing can be read.

    also: resources that are judged beside those that the options and their configurations name. contents: whether
    contents are compared beyond this evidence: else only those are told of that its own leftovers are held to.
    """
    given, came = _rules(files, options)
    asked = triage.prepare(options, earlier)
    read = reading.read(files, quick=options.quick)
    batches = read.batches
    log.step(f"read {sum(map(len, batches)):,} records and fragments")
    classified = [prefixes.classify(batch) for batch in batches]
    likely = [each.provider != Provider.UNKNOWN for each in classified]
    stored, found = fragments.attribute(
        batches, classified, registry.classify(batches, likely, options.storage_prefixes)
    )
    covered = {entry.name for entry in found.table if not entry.exempt and given.policy.covers(entry.name)}
    wanted = found.of(
        frozenset({name.rstrip(".") for name in options.resources} | covered | also | {fragments.UNIDENTIFIED.name})
    )
    by_source = selection.grouped(zip(batches, stored, found.resource, strict=True))
    cluster = _cluster(batches, stored, found, read)
    if options.expect_cluster:
        expectations.cluster(files.name, cluster, read.backend.cluster_id, options.expect_cluster)
        log.step("the cluster is the expected one")
    selections = [
        selection.select(
            parts,
            found.table,
            wanted,
            main=read.serves(name),
            plaintext=given.policy.plaintext,
            beside=name in read.companions,
        )
        for (name, _), parts in by_source
    ]
    if not options.quick:
        given = criteria.with_published(given, [(each.batch, each.prefixes) for each in selections])
    rest = []
    if options.hunt or options.k3s_token or options.use_found_keys or came is not None:
        from auditor.hunt import hunt as hunting  # the libraries of ciphers and of searching wait until they are needed

        rest = hunting.others(by_source, found, wanted, read.serves)
        given = hunting.keys_of(options, given, [*selections, *rest], batches, found, read.pages)
    if given.keyring is not None:
        held = None if contents else {key for _, keys in selection.leftovers(selections) for key in keys}
        selections = opening.open_every(selections, given, given.keyring, keep=options.hunt, contents=held)
    selection.compare(selections)
    return Judgement(given, asked, read, stored, found, wanted, cluster, selections, rest, came)


def conclude(files: exhibit.Exhibit, judged: Judgement, options: Options, log: RunLog) -> Audit:
    """Count what was judged, hunt for copies, wait for the hashes: the audit."""
    given, read, stored, found, wanted = judged.given, judged.read, judged.stored, judged.found, judged.wanted
    batches, cluster, selections, rest = read.batches, judged.cluster, judged.selections, judged.rest
    main = read.database.name if read.database is not None else ""
    # several pieces of evidence may have come with one file, which is reported with the first
    came = judged.came if files.of(exhibit.Role.SETTINGS) else None
    hunted = NOTHING
    if options.hunt or came is not None:
        from auditor.hunt import hunt as hunting

        hunted = hunting.everything(options, came, given, selections, rest, batches, found, read.pages)
    log.step(f"judged {sum(map(len, selections)):,} values of the selected resources")
    scope = _scope(options, found, wanted)
    seen = frozenset(entry.name for entry in found.table)
    advice = given.advice(seen, frozenset(scope))
    coverage = tally.coverage(batches, stored, found)
    totals = tally.tally(selections, [each for _, each in advice], hunted.hits)
    made = rows.build(selections, advice, hunted.hits) if options.rows or judged.asked.needs_rows else rows.EMPTY
    used = key_usage.count(selections, given.configurations)
    elsewhere = unexamined.elsewhere(batches, stored, found, options)
    planted = positive_control.run(options, given.policy, found.prefixes)
    log.step(positive_control.FOUND if planted.found else positive_control.MISSED)
    shown = triage.apply(judged.asked, made, files, main, found.prefixes, options)
    log.rows(shown.rows)
    used_tools = custody.tools() if options.rows else ()  # looked up where a report will name them
    evidence, gaps = custody.finish(files, read, cluster, log)
    log.step("looked at every file again" if options.quick else "hashed every file, and looked at it again")
    audit = Audit(
        evidence=evidence,
        pages=read.pages,
        policy=given.policy.words(scope),
        resources=scope,
        coverage=coverage,
        tally=replace(totals, accepted=shown.accepted),
        keys=used,
        rows=shown.rows,
        gaps=(*read.gaps, *gaps, *hunted.gaps, *positive_control.gaps(planted)),
        unexamined=(
            *unexamined.left_out(read, options),
            *unexamined.absent(coverage, options),
            *unexamined.unopened(selections, given),
            *unexamined.unidentified(selections),
            *hunted.unexamined,
            *elsewhere,
            read.standing or unexamined.standing(files),
        ),
        notes=(
            *_notes(evidence, read),
            *given.notes,
            *hunted.notes,
            *corroborate.observe(given, selections, batches, found, used, scope),
            *_observed(given, advice),
            *shown.notes,
        ),
        run=custody.run(options, log, given.plugins, used_tools),
        acceptances=shown.acceptances,
        baseline=shown.baseline,
        control=planted,
    )
    return judged.asked.names.audit(audit)


def _rules(files: exhibit.Exhibit, options: Options) -> "tuple[criteria.Criteria, CompanionConfigs | None]":
    """What is judged with, and the configurations that came with the evidence; None where no file did."""
    if not files.settings:
        return criteria.prepare(options), None
    from auditor.hunt import companion_configs

    came = companion_configs.read(files.settings)
    if not options.use_found_config:
        return criteria.prepare(options), came
    return criteria.prepare(options, came.configurations, came.older), came


def _scope(options: Options, found: registry.Keys, wanted: Bools) -> tuple[str, ...]:
    """The resources that are judged: those asked for first, then what a configuration adds."""
    judged = zip(found.table, wanted.tolist(), strict=True)
    added = {entry.name for entry, chosen in judged if chosen and entry is not fragments.UNIDENTIFIED}
    asked = [name.rstrip(".") for name in options.resources]
    return tuple(dict.fromkeys([*asked, *sorted(added if "*" not in asked else ())]))


def _observed(given: criteria.Criteria, advice: Sequence[tuple[str, Advice]]) -> list[str]:
    notes = [f"{source}: {each.path}: {each.text}" for source, each in advice if not each.judged]
    notes += [
        f"KMS plugin {name} ({provider.label}): {plugin.calls} calls"
        for (provider, name), plugin in given.plugins.items()
    ]
    return notes


def _cluster(
    batches: Sequence[RecordBatch], stored: Sequence[prefixes.Prefixes], found: registry.Keys, read: reading.Reading
) -> Cluster:
    """The kube-system namespace's identity, and the newest time in the last records."""
    uid = created = ""
    newest = 0
    for prefix in found.prefixes:
        key = restore(f"{prefix}/namespaces/kube-system")
        for batch, each in zip(batches, stored, strict=True):
            for row in registry.find_key(batch, key).tolist():
                if batch.place[row] == Place.LATEST and read.serves(batch.source):
                    said = objects.decode(batch.value(row), Encoding(int(each.encoding[row])))
                    uid, created = printable(said.uid), moment(said.created)
    for number, (batch, each) in enumerate(zip(batches, stored, strict=True)):
        if not read.serves(batch.source) or (batch.place > Place.DELETED).any():
            continue
        last = (
            slice(-NEWEST, None)
            if (np.diff(batch.mod_revision) >= 0).all()
            else np.argsort(batch.mod_revision)[-NEWEST:]
        )
        for row in np.arange(len(batch))[last].tolist():
            if each.encoding[row] and found.table[found.resource[number][row]].prefix:
                newest = max(newest, objects.newest(batch.value(row), Encoding(int(each.encoding[row]))))
    return Cluster(uid, created, moment(newest) if newest else "", found.prefixes)


def _notes(evidence: Evidence, read: reading.Reading) -> list[str]:
    backend = evidence.backend
    notes = [
        f"unpacked from {each.name}, {each.size:,} bytes, SHA-256 {each.sha256 or 'not computed'}"
        for each in evidence.containers
    ]
    notes += read.notes
    if backend.scheduled is not None and backend.scheduled > (backend.compacted or 0):
        done = backend.compacted if backend.compacted is not None else "none"
        notes.append(f"a compaction at {backend.scheduled} was scheduled and not finished (last finished: {done})")
    if backend.auth_enabled:
        notes.append("etcd authentication is on: this file holds bcrypt hashes of its users' passwords")
    if read.kind == snapshot.RAW:
        notes.append("a raw database file has no trailer: nothing in it proves that it is whole")
    return notes
