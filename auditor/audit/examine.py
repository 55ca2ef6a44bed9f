"""The audit itself: evidence in, `Audit` out."""

from dataclasses import replace
from typing import TYPE_CHECKING

from auditor.audit import (
    agreement,
    baseline,
    bootstrap,
    chronology,
    custody,
    expectations,
    key_usage,
    leading,
    media,
    newer,
    positive_control,
    remarks,
    rotation,
    rows,
    scopes,
    tally,
    triage,
    used_by,
)
from auditor.audit.cluster import identify
from auditor.audit.judgement import Judged, Judgement
from auditor.audit.key_copies import KeyCopies
from auditor.audit.ledger_note import ledger_note
from auditor.audit.triage import TriageSettings
from auditor.errors import UnreadableEvidence
from auditor.evidence import exhibit, readers
from auditor.evidence.reading import Reading
from auditor.hunt.hit import NOTHING, HuntResult
from auditor.hunt.locate import Layout
from auditor.judgement import leftovers, opening, unwrapping
from auditor.judgement.criteria import Criteria, prepare, with_published
from auditor.judgement.secret_comparison import Habit
from auditor.judgement.selection import Selection, select_by_source
from auditor.kubernetes.store import classify
from auditor.model.audit import Audit
from auditor.options import Options
from auditor.run_log import RunLog

if TYPE_CHECKING:
    from auditor.hunt.companion_configs import CompanionConfigs


def examine(
    files: exhibit.Exhibit,
    options: Options,
    log: RunLog | None = None,
    earlier: baseline.BaselineReport | None = None,
    judge_newer: newer.Judge | None = None,
    judged: Judged | None = None,
) -> Audit:
    """Audit opened evidence, and compare it with an earlier report. Raises UnreadableEvidence.

    Args:
        files: The exhibit.
        options: What to audit and how far.
        log: Of the run.
        earlier: The report that options.baseline names.
        judge_newer: Judges the evidence that options.current names; None where it names none.
        judged: Called with the last judgement, while the evidence is open.
    """
    log = log or RunLog()
    judgement = judge(files, options, log, contents=False, earlier=earlier, judge_newer=judge_newer)
    return conclude(files, judgement, options, log, judged)


def judge(
    files: exhibit.Exhibit,
    options: Options,
    log: RunLog,
    also: frozenset[str] = frozenset(),
    *,
    contents: bool = True,
    earlier: baseline.BaselineReport | None = None,
    judge_newer: newer.Judge | None = None,
) -> Judgement:
    """Read opened evidence, and judge the selected values. Raises UnreadableEvidence where nothing can be read.

    Args:
        files: The exhibit.
        options: What to audit and how far.
        log: Of the run.
        also: Resources that are judged beside those that the options and their configurations name.
        contents: Whether all contents are compared; else only those that a leftover is compared with.
        earlier: The report that options.baseline names.
        judge_newer: Judges the evidence that options.current names; None where it names none.
    """
    held_to = _criteria(files, options)
    encrypted = {*options.resources, *also, *held_to[0].policy.encrypted}
    sweeps = media.Sweeps() if options.quick else media.start(files, encrypted)

    def repeat(reading: Reading) -> Judgement:
        judgement = _judge(files, options, log, reading, settings, held_to, also=also, contents=contents)
        judgement = _compared(judgement, options, judge_newer)
        return replace(judgement, sweeps=sweeps, repeat=repeat)

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
    held_to: "tuple[Criteria, CompanionConfigs | None]",
    *,
    also: frozenset[str],
    contents: bool,
) -> Judgement:
    criteria, companion_configs = held_to
    store = classify(evidence.batches, evidence.storage_prefixes or options.storage_prefixes)
    judged, cluster = scopes.judged(store, options, criteria.policy, also), identify(store, evidence)
    if options.expect_cluster:
        expectations.cluster(files.name, cluster, evidence.backend.cluster_id, options.expect_cluster)
        log.step("the cluster is the expected one")
    selections = select_by_source(store, judged, evidence, plaintext=criteria.policy.plaintext)
    criteria = _with_keys(criteria, selections, options, log)
    unjudged: list[Selection] = []
    if options.hunt or options.k3s_token or options.use_found_keys or companion_configs is not None:
        from auditor.hunt import hunt as hunting  # the libraries of ciphers and of searching wait until they are needed

        unjudged = hunting.others(store, judged, evidence.serves)
        layout = Layout.of(files, evidence.pages)
        searched = hunting.SearchedEvidence(
            options=options, criteria=criteria, selections=selections, rest=unjudged, store=store, layout=layout
        )
        criteria = hunting.keys_of(searched)
    if criteria.keyring is not None:
        compared = None if contents or options.current else leftovers.compared(selections)
        selections = opening.open_every(
            selections,
            criteria,
            criteria.keyring,
            keep=options.hunt or options.rotation,
            contents=compared,
            credentials=options.rows,
        )
    return Judgement(
        criteria=criteria,
        triage=settings,
        reading=evidence,
        store=store,
        judged=judged,
        cluster=cluster,
        selections=selections,
        unjudged=unjudged,
        companion_configs=companion_configs,
    )


def _with_keys(criteria: Criteria, selections: list[Selection], options: Options, log: RunLog) -> Criteria:
    """The criteria with the published keys that open values, and with the data keys that --kms brings."""
    published = criteria if options.quick else with_published(criteria, selections)
    return unwrapping.unwrap(selections, published, options, log)


def _compared(judgement: Judgement, options: Options, judge_newer: newer.Judge | None) -> Judgement:
    """The judgement with what is current, in its own evidence or in newer."""
    reading, current, held = judgement.reading, None, None
    if judge_newer is not None:
        held, current = newer.reference(judge_newer(judgement.resources), judgement.cluster, reading)
    selections = leftovers.compare(
        judgement.selections,
        held or leftovers.Reference(selections=judgement.selections, complete=not reading.gaps),
        keyring=judgement.criteria.keyring,
        habit=Habit(options.hunt_min_length, frozenset(options.hunt_fields)),
    )
    return replace(judgement, selections=selections, current=current, newer=held)


def conclude(
    files: exhibit.Exhibit, judgement: Judgement, options: Options, log: RunLog, judged: Judged | None = None
) -> Audit:
    """The audit, once readers and sweeps, which end with the hashes, agree: what only they met is judged too."""
    spans = [agreement.spans_of(judgement.store.parts, medium.source) for medium in judgement.sweeps.files]
    layout = Layout.of(files, judgement.reading.pages)
    audit = _conclude(files, judgement, options, log)
    copies = KeyCopies(judgement.reading.key_copies, judgement.store.parts)
    compared = agreement.compare(judgement.sweeps, spans, layout, copies)
    if compared.differs and judgement.repeat is not None:
        log.step("the sweep met what no reader had: judged again with it")
        reading = judgement.reading
        more = replace(reading, batches=(*reading.batches, *compared.fragments), gaps=(*reading.gaps, *compared.gaps))
        judgement = judgement.repeat(more)
        audit = _conclude(files, judgement, options, log)
    if judged is not None:
        judged(judgement)
    ways = (ledger_note(audit.ledger, differs=compared.differs if compared.files else None), compared.note)
    return replace(audit, notes=(*audit.notes, *filter(None, ways)))


def _conclude(files: exhibit.Exhibit, judgement: Judgement, options: Options, log: RunLog) -> Audit:
    """Count what was judged, hunt for copies, wait for the hashes."""
    criteria, store, selections = judgement.criteria, judgement.store, judgement.selections
    hunted = _hunt(files, judgement, options)
    log.step(f"judged {sum(map(len, selections)):,} values of the selected resources")
    scope = scopes.names(store, options, judgement.judged)
    advice = criteria.advice(frozenset(resource.name for resource in store.resources), frozenset(scope))
    coverage = tally.coverage(store)
    totals = tally.tally(selections, [advised for _, advised in advice], hunted.hits)
    usage = None
    if options.rows:  # for reports alone: baselines and ignore files know no such column
        usage = used_by.of_selections(selections, store, judgement.reading, criteria.keyring, listed=options.listed)
    every = options.rows or judgement.triage.needs_rows
    table = rows.EMPTY
    if every or options.leading:
        listed = selections if every else leading.values(selections, options.leading)
        table = rows.build(listed, advice, hunted.hits, grouped=selections, usage=usage)
    keys = key_usage.count(selections, criteria.configurations)
    control = positive_control.run(options, criteria.policy, store.storage_prefixes)
    log.step(positive_control.FOUND if control.success else positive_control.MISSED)
    database = judgement.reading.database.name if judgement.reading.database is not None else ""
    triaged = triage.apply(judgement.triage, table, files, database, store.storage_prefixes, options)
    log.rows(triaged.rows)
    parts = (usage, triaged.rows, hunted.hits, triaged.baseline, judgement.newer)
    to_rotate = rotation.of_selections(selections, store, judgement.reading, options, parts)
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
        bootstrap=bootstrap.records(store, options),
        rows=triaged.rows,
        gaps=(*judgement.reading.gaps, *gaps, *hunted.gaps, *positive_control.gaps(control)),
        unexamined=tuple(remarks.omissions(files, judgement, options, coverage, hunted)),
        notes=(*remarks.notes(evidence, judgement, hunted, keys, scope, advice), *triaged.notes),
        run=custody.run(options, log, criteria, custody.tools() if options.rows else ()),
        acceptances=triaged.acceptances,
        chronology=chronology.of_selections(selections, store, judgement.reading, evidence) if options.rows else None,
        current=judgement.current,
        baseline=triaged.baseline,
        control=control,
        rotation=judgement.triage.names.rotation(to_rotate) if to_rotate is not None else None,
        ledger=judgement.reading.balances,
    )
    return judgement.triage.names.audit(audit)


def _criteria(files: exhibit.Exhibit, options: Options) -> "tuple[Criteria, CompanionConfigs | None]":
    """What is judged with, and the configurations that came with the evidence; None where no file did."""
    if not files.settings:
        return prepare(options), None
    from auditor.hunt import companion_configs

    configs = companion_configs.read(files.settings)
    used = (configs.configurations, configs.older) if options.use_found_config else ()
    return prepare(options, *used), configs


def _hunt(files: exhibit.Exhibit, judgement: Judgement, options: Options) -> HuntResult:
    # several exhibits may have come with one file, which is reported with the first
    configs = judgement.companion_configs if files.of(exhibit.Role.SETTINGS) else None
    if not options.hunt and configs is None:
        return NOTHING
    from auditor.hunt import hunt as hunting

    layout = Layout.of(files, judgement.reading.pages)
    searched = hunting.SearchedEvidence(
        options=options,
        criteria=judgement.criteria,
        selections=judgement.selections,
        rest=judgement.unjudged,
        store=judgement.store,
        layout=layout,
    )
    return hunting.hunt(searched, configs)
