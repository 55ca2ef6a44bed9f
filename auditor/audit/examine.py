"""The audit itself: evidence in, `Audit` out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from auditor.arrays.dtypes import Bools
from auditor.audit import (
    agreement,
    baseline,
    corroborate,
    custody,
    expectations,
    key_usage,
    media,
    positive_control,
    rows,
    tally,
    triage,
    unexamined,
)
from auditor.audit.cluster import identify
from auditor.audit.evidence_notes import evidence_notes
from auditor.audit.triage import TriageSettings
from auditor.encryption.lint import Advice
from auditor.errors import UnreadableEvidence
from auditor.evidence import exhibit, readers
from auditor.evidence.reading import Reading
from auditor.hunt.hit import NOTHING, HuntResult
from auditor.hunt.locate import Layout
from auditor.judgement import leftovers, opening
from auditor.judgement.criteria import Criteria, prepare, with_published
from auditor.judgement.policy import Policy
from auditor.judgement.selection import Selection, select_by_source
from auditor.kubernetes import fragments
from auditor.kubernetes.store import Store, classify
from auditor.model.audit import Audit
from auditor.model.evidence import Cluster, Evidence, Unexamined
from auditor.model.findings import Coverage, KeyUsage
from auditor.options import Options
from auditor.run_log import RunLog

if TYPE_CHECKING:
    from auditor.hunt.companion_configs import CompanionConfigs


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Evidence read, opened and judged, before anything is counted: what examine() and a comparison start from."""

    criteria: Criteria
    """What the values are opened and judged with, the keys that the evidence itself holds included."""
    triage: TriageSettings
    """What the options say of reports."""
    reading: Reading
    store: Store
    judged: Bools
    """Which of the store's resources are judged, shape (len(store.resources),)."""
    cluster: Cluster
    selections: list[Selection]
    """The values of the judged resources, one selection for each source and buffer."""
    unjudged: list[Selection]
    """The others, where a hunt searches them too."""
    sweeps: media.Sweeps
    """Searches of the same files that know nothing of the readers."""
    repeat: Callable[[Reading], "Judgement"]
    """The same judgement of another reading of the same exhibit."""
    companion_configs: "CompanionConfigs | None" = None
    """Configurations in files that came with the evidence; None where no file did."""

    @property
    def resources(self) -> frozenset[str]:
        """The names of the judged resources."""
        return frozenset(self.store.resources[code].name for code in np.flatnonzero(self.judged).tolist())


def examine(
    files: exhibit.Exhibit,
    options: Options,
    log: RunLog | None = None,
    earlier: baseline.BaselineReport | None = None,
) -> Audit:
    """Audit opened evidence, and compare it with an earlier report. Raises UnreadableEvidence."""
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

    also: resources that are judged beside those of options and configurations. contents: whether all contents are
    compared; else only those that a leftover is compared with.
    """
    held_to = _criteria(files, options)
    encrypted = {*options.resources, *also, *held_to[0].policy.encrypted}
    sweeps = media.Sweeps() if options.quick else media.start(files, encrypted)

    def repeat(reading: Reading) -> Judgement:
        return _judge(files, options, log, reading, settings, sweeps, repeat, held_to, also=also, contents=contents)

    try:
        settings = triage.prepare(options, earlier)
        try:
            evidence = readers.read(files, quick=options.quick)
        except UnreadableEvidence as error:
            evidence = agreement.unrecognised(files, sweeps, error)
        log.step(f"read {sum(map(len, evidence.batches)):,} records and fragments")
        return repeat(evidence)
    except BaseException:
        sweeps.stop()
        raise


def _judge(
    files: exhibit.Exhibit,
    options: Options,
    log: RunLog,
    evidence: Reading,
    settings: TriageSettings,
    sweeps: media.Sweeps,
    repeat: Callable[[Reading], Judgement],
    held_to: "tuple[Criteria, CompanionConfigs | None]",
    *,
    also: frozenset[str],
    contents: bool,
) -> Judgement:
    criteria, companion_configs = held_to
    store = classify(evidence.batches, options.storage_prefixes)
    judged, cluster = _judged(store, options, criteria.policy, also), identify(store, evidence)
    if options.expect_cluster:
        expectations.cluster(files.name, cluster, evidence.backend.cluster_id, options.expect_cluster)
        log.step("the cluster is the expected one")
    selections = select_by_source(store, judged, evidence, plaintext=criteria.policy.plaintext)
    if not options.quick:
        criteria = with_published(criteria, selections)
    unjudged = []
    if options.hunt or options.k3s_token or options.use_found_keys or companion_configs is not None:
        from auditor.hunt import hunt as hunting  # the libraries of ciphers and of searching wait until they are needed

        unjudged = hunting.others(store, judged, evidence.serves)
        layout = Layout.of(files, evidence.pages)
        criteria = hunting.keys_of(options, criteria, [*selections, *unjudged], store, layout)
    if criteria.keyring is not None:
        compared = None if contents else {key for _, keys in leftovers.locate(selections) for key in keys}
        selections = opening.open_every(selections, criteria, criteria.keyring, keep=options.hunt, contents=compared)
    return Judgement(
        criteria=criteria,
        triage=settings,
        reading=evidence,
        store=store,
        judged=judged,
        cluster=cluster,
        selections=leftovers.compare(selections),
        unjudged=unjudged,
        sweeps=sweeps,
        repeat=repeat,
        companion_configs=companion_configs,
    )


def conclude(files: exhibit.Exhibit, judgement: Judgement, options: Options, log: RunLog) -> Audit:
    """The audit, once readers and sweeps, which end with the hashes, agree: what only they met is judged too."""
    spans = [agreement.spans_of(judgement.store.parts, medium.source) for medium in judgement.sweeps.files]
    layout = Layout.of(files, judgement.reading.pages)
    audit = _conclude(files, judgement, options, log)
    compared = agreement.compare(judgement.sweeps, spans, layout)
    if compared.differs:
        log.step("the sweep met what no reader had: judged again with it")
        reading = judgement.reading
        more = replace(reading, batches=(*reading.batches, *compared.fragments), gaps=(*reading.gaps, *compared.gaps))
        audit = _conclude(files, judgement.repeat(more), options, log)
    return replace(audit, notes=(*audit.notes, *filter(None, [compared.note])))


def _conclude(files: exhibit.Exhibit, judgement: Judgement, options: Options, log: RunLog) -> Audit:
    """Count what was judged, hunt for copies, wait for the hashes."""
    criteria, store, selections = judgement.criteria, judgement.store, judgement.selections
    hunted = _hunt(files, judgement, options)
    log.step(f"judged {sum(map(len, selections)):,} values of the selected resources")
    scope = _scope(options, judgement)
    advice = criteria.advice(frozenset(resource.name for resource in store.resources), frozenset(scope))
    coverage = tally.coverage(store)
    totals = tally.tally(selections, [advised for _, advised in advice], hunted.hits)
    reported = options.rows or judgement.triage.needs_rows
    table = rows.build(selections, advice, hunted.hits) if reported else rows.EMPTY
    keys = key_usage.count(selections, criteria.configurations)
    control = positive_control.run(options, criteria.policy, store.storage_prefixes)
    log.step(positive_control.FOUND if control.success else positive_control.MISSED)
    database = judgement.reading.database.name if judgement.reading.database is not None else ""
    triaged = triage.apply(judgement.triage, table, files, database, store.storage_prefixes, options)
    log.rows(triaged.rows)
    tools = custody.tools() if options.rows else ()  # looked up where a report will name them
    evidence, gaps = custody.finish(files, judgement.reading, judgement.cluster, log)
    log.step("looked at every file again" if options.quick else "hashed every file, and looked at it again")
    audit = Audit(
        evidence=evidence,
        pages=judgement.reading.pages,
        policy=criteria.policy.words(scope),
        resources=scope,
        coverage=coverage,
        tally=replace(totals, accepted=triaged.accepted),
        keys=keys,
        rows=triaged.rows,
        gaps=(*judgement.reading.gaps, *gaps, *hunted.gaps, *positive_control.gaps(control)),
        unexamined=tuple(_unexamined(files, judgement, options, coverage, hunted)),
        notes=(*_notes(evidence, judgement, hunted, keys, scope, advice), *triaged.notes),
        run=custody.run(options, log, criteria.plugins, tools),
        acceptances=triaged.acceptances,
        baseline=triaged.baseline,
        control=control,
    )
    return judgement.triage.names.audit(audit)


def _criteria(files: exhibit.Exhibit, options: Options) -> "tuple[Criteria, CompanionConfigs | None]":
    """What is judged with, and the configurations that came with the evidence; None where no file did."""
    if not files.settings:
        return prepare(options), None
    from auditor.hunt import companion_configs

    configs = companion_configs.read(files.settings)
    if not options.use_found_config:
        return prepare(options), configs
    return prepare(options, configs.configurations, configs.older), configs


def _judged(store: Store, options: Options, policy: Policy, also: frozenset[str]) -> Bools:
    """Which resources are judged: those asked for, those that a configuration encrypts, and fragments of any."""
    covered = {entry.name for entry in store.resources if not entry.exempt and policy.covers(entry.name)}
    asked = {name.rstrip(".") for name in options.resources}
    return store.match(frozenset(asked | covered | also | {fragments.UNIDENTIFIED.name}))


def _scope(options: Options, judgement: Judgement) -> tuple[str, ...]:
    """The resources that are judged: those asked for first, then what a configuration adds."""
    asked = [name.rstrip(".") for name in options.resources]
    added = () if "*" in asked else judgement.resources - {fragments.UNIDENTIFIED.name}
    return tuple(dict.fromkeys([*asked, *sorted(added)]))


def _hunt(files: exhibit.Exhibit, judgement: Judgement, options: Options) -> HuntResult:
    # several exhibits may have come with one file, which is reported with the first
    configs = judgement.companion_configs if files.of(exhibit.Role.SETTINGS) else None
    if not options.hunt and configs is None:
        return NOTHING
    from auditor.hunt import hunt as hunting

    return hunting.everything(
        options,
        configs,
        judgement.criteria,
        judgement.selections,
        judgement.unjudged,
        judgement.store,
        Layout.of(files, judgement.reading.pages),
    )


def _unexamined(
    files: exhibit.Exhibit, judgement: Judgement, options: Options, coverage: Sequence[Coverage], hunted: HuntResult
) -> Iterator[Unexamined]:
    yield from unexamined.left_out(judgement.reading, options)
    yield from unexamined.absent(coverage, options)
    yield from unexamined.unopened(judgement.selections, judgement.criteria)
    yield from unexamined.unidentified(judgement.selections)
    yield from hunted.unexamined
    yield from unexamined.elsewhere(judgement.store, options)
    yield from unexamined.ungrouped(judgement.store, judgement.judged, judgement.criteria.policy)
    yield judgement.reading.standing or unexamined.standing(files)


def _notes(
    evidence: Evidence,
    judgement: Judgement,
    hunted: HuntResult,
    keys: Sequence[KeyUsage],
    scope: Sequence[str],
    advice: Sequence[tuple[str, Advice]],
) -> Iterator[str]:
    criteria = judgement.criteria
    yield from evidence_notes(evidence, judgement.reading)
    yield from criteria.notes
    yield from hunted.notes
    yield from corroborate.observe(criteria, judgement.selections, judgement.store, keys, scope)
    for source, advised in advice:
        if not advised.judged:
            yield f"{source}: {advised.path}: {advised.text}"
    for (provider, name), plugin in criteria.plugins.items():
        yield f"KMS plugin {name} ({provider.label}): {plugin.calls} calls"
