"""The audit itself: evidence in, `Audit` out."""

from dataclasses import replace
from typing import TYPE_CHECKING

from auditor.audit import (
    agreement,
    baseline,
    bootstrap,
    chronology,
    current_evidence,
    custody,
    expectations,
    hits,
    key_sources,
    key_usage,
    leading,
    media,
    positive_control,
    remarks,
    rotation,
    rows,
    scopes,
    tally,
    triage,
    unrecognised_exhibit,
    used_by,
)
from auditor.audit.cluster import identify
from auditor.audit.judgement import Judgement, JudgementListener
from auditor.audit.key_copies import KeyCopies
from auditor.audit.ledger_note import ledger_note
from auditor.audit.triage import TriageInputs
from auditor.errors import UnreadableEvidence
from auditor.evidence import exhibit, readers
from auditor.evidence.layout import Layout
from auditor.evidence.reading import Reading
from auditor.judgement import leftovers, opening, readable_keys
from auditor.judgement.criteria import Criteria
from auditor.judgement.secret_comparison import Habit
from auditor.judgement.selection import Selection, select_by_source
from auditor.kubernetes.store import Store, classify
from auditor.model.audit import Audit
from auditor.options import Options
from auditor.run_log import RunLog

if TYPE_CHECKING:
    from auditor.encryption.kms.client import Client
    from auditor.hunt.companion_configs import CompanionConfigs


def examine(
    files: exhibit.Exhibit,
    options: Options,
    log: RunLog | None = None,
    earlier: baseline.BaselineReport | None = None,
    judge_current: current_evidence.Judge | None = None,
    listener: JudgementListener | None = None,
    clients: "tuple[Client, ...] | None" = None,
) -> Audit:
    """Audit opened evidence, and compare it with an earlier report. Raises UnreadableEvidence.

    Args:
        files: The exhibit.
        options: What to audit and how far.
        log: Of the run.
        earlier: The report that options.baseline names.
        judge_current: Judges the evidence that options.current names; None where it names none.
        listener: Called with the last judgement, while the evidence is open.
        clients: Those of --kms, where other evidence shares them; None for clients of its own.
    """
    log = log or RunLog()
    judgement = judge(
        files, options, log, contents=False, earlier=earlier, judge_current=judge_current, clients=clients
    )
    return conclude(files, judgement, options, log, listener)


def judge(
    files: exhibit.Exhibit,
    options: Options,
    log: RunLog,
    also: frozenset[str] = frozenset(),
    *,
    contents: bool = True,
    earlier: baseline.BaselineReport | None = None,
    judge_current: current_evidence.Judge | None = None,
    clients: "tuple[Client, ...] | None" = None,
) -> Judgement:
    """Read opened evidence, and judge the selected values. Raises UnreadableEvidence where nothing can be read.

    Args:
        files: The exhibit.
        options: What to audit and how far.
        log: Of the run.
        also: Resources that are judged beside those that the options and their configurations name.
        contents: Whether all contents are compared; else only those that a leftover is compared with.
        earlier: The report that options.baseline names.
        judge_current: Judges the evidence that options.current names; None where it names none.
        clients: Those of --kms, where other evidence shares them; None for clients of its own.
    """
    held_to = key_sources.criteria(files, options, clients)
    encrypted = {*options.resources, *also, *held_to[0].policy.encrypted}
    sweeps = media.Sweeps() if options.quick else media.start(files, encrypted)

    def repeat(reading: Reading) -> Judgement:
        judgement = _judge(files, options, log, reading, inputs, held_to, also=also, contents=contents)
        judgement = _compared(judgement, options, judge_current)
        return replace(judgement, sweeps=sweeps, repeat=repeat)

    try:
        inputs = triage.prepare(options, earlier)
        custody.search(files, log)
        try:
            reading = readers.read(files, quick=options.quick)
        except UnreadableEvidence as error:
            reading = unrecognised_exhibit.read(files, sweeps, error)
        log.step(f"read {sum(map(len, reading.batches)):,} records and fragments")
        return repeat(reading)
    except BaseException:
        sweeps.stop()
        raise


def _judge(
    files: exhibit.Exhibit,
    options: Options,
    log: RunLog,
    reading: Reading,
    inputs: TriageInputs,
    held_to: "tuple[Criteria, CompanionConfigs | None]",
    *,
    also: frozenset[str],
    contents: bool,
) -> Judgement:
    criteria, companion_configs = held_to
    store = _classified(reading, options, criteria)
    in_scope, cluster = scopes.in_scope(store, options, criteria.policy, also), identify(store, reading)
    if options.expect_cluster:
        expectations.cluster(files.name, cluster, reading.backend.cluster_id, options.expect_cluster)
        log.step("the cluster is the expected one")
    selections = select_by_source(store, in_scope, reading, plaintext=criteria.policy.plaintext)
    criteria = key_sources.supplied(criteria, selections, store, options, log)
    unjudged: list[Selection] = []
    if options.hunt or options.k3s_token or options.use_found_keys or companion_configs is not None:
        from auditor.hunt import hunt as hunting  # the libraries of ciphers and of searching wait until they are needed

        unjudged = hunting.others(store, in_scope, reading.serves)
        layout = Layout.of(files, reading.pages)
        searched = hunting.SearchedEvidence(
            options=options, criteria=criteria, selections=selections, rest=unjudged, store=store, layout=layout
        )
        criteria = hunting.keys_of(searched)
    if criteria.keyring is not None:
        selections = opening.open_every(
            selections,
            criteria,
            criteria.keyring,
            keep=options.hunt or options.rotation,
            contents=None if contents or options.current else leftovers.compared(selections),
            credentials=options.rows,
            judged=scopes.judged(options, criteria.policy, also),
        )
    return Judgement(
        criteria=criteria,
        triage=inputs,
        reading=reading,
        store=store,
        in_scope=in_scope,
        cluster=cluster,
        selections=selections,
        unjudged=unjudged,
        companion_configs=companion_configs,
    )


def _classified(reading: Reading, options: Options, criteria: Criteria) -> Store:
    store = classify(reading.batches, reading.storage_prefixes or options.storage_prefixes)
    if not criteria.configurations or not any(resource.unlisted for resource in store.resources):
        return store
    from auditor.judgement import groups  # ciphers wait until they are needed

    return groups.decrypted(store, criteria.configurations)


def _compared(judgement: Judgement, options: Options, judge_current: current_evidence.Judge | None) -> Judgement:
    """The judgement with what is current, in its own evidence or in newer, and with data keys that need no KEK."""
    readable_keys.mark(judgement.selections)
    reading, current, standard = judgement.reading, None, None
    if judge_current is not None:
        standard, current = current_evidence.standard(judge_current(judgement.resources), judgement.cluster, reading)
    selections = leftovers.compare(
        judgement.selections,
        standard or leftovers.Standard(selections=judgement.selections, complete=reading.has_all_current),
        keyring=judgement.criteria.keyring,
        habit=Habit(options.hunt_min_length, frozenset(options.hunt_fields)),
    )
    return replace(judgement, selections=selections, current=current, standard=standard)


def conclude(
    files: exhibit.Exhibit,
    judgement: Judgement,
    options: Options,
    log: RunLog,
    listener: JudgementListener | None = None,
) -> Audit:
    """The audit, once readers and sweeps, which end with the hashes, agree: what only they met is judged too."""
    spans = [agreement.spans_of(judgement.store.parts, medium.source) for medium in judgement.sweeps.files]
    layout = Layout.of(files, judgement.reading.pages)
    audit = _conclude(files, judgement, options, log)
    copies = KeyCopies(judgement.reading.key_copies, judgement.store.parts)
    crosscheck = agreement.compare(judgement.sweeps, spans, layout, copies, judgement.store.parts)
    if crosscheck.differs and judgement.repeat is not None:
        log.step("the sweep met what no reader had: judged again with it")
        reading = judgement.reading
        more = replace(
            reading, batches=(*reading.batches, *crosscheck.fragments), gaps=(*reading.gaps, *crosscheck.gaps)
        )
        judgement = judgement.repeat(more)
        audit = _conclude(files, judgement, options, log)
    if listener is not None:
        listener(judgement)
    ways = (ledger_note(audit.ledger, differs=crosscheck.differs if crosscheck.files else None), crosscheck.note)
    return replace(audit, notes=(*audit.notes, *filter(None, ways)))


def _conclude(files: exhibit.Exhibit, judgement: Judgement, options: Options, log: RunLog) -> Audit:
    """Count what was judged, hunt for copies, wait for the hashes."""
    criteria, store, selections = judgement.criteria, judgement.store, judgement.selections
    hunted = hits.hunted(files, judgement, options)
    log.step(f"judged {sum(map(len, selections)):,} values of the selected resources")
    scope = scopes.names(store, options, judgement.in_scope)
    advice = criteria.advice(scopes.present(store, criteria.policy), scopes.must(store, scope, judgement.in_scope))
    coverage = tally.coverage(store)
    totals = tally.tally(selections, [advised for _, advised in advice], hunted.hits)
    usage = None
    if options.rows:  # for reports alone: baselines and ignore files know no such column
        usage = used_by.of_selections(selections, store, judgement.reading, criteria.keyring, listed=options.listed)
    every, table = options.rows or judgement.triage.needs_rows, rows.EMPTY
    if every or options.leading:
        listed = selections if every else leading.values(selections, options.leading)
        table = rows.build(listed, advice, hunted.hits, grouped=selections, usage=usage, own=judgement.reading.own)
    keys = key_usage.count(selections, criteria)
    control = positive_control.run(options, criteria.policy, store.storage_prefixes)
    log.step(positive_control.FOUND if control.success else positive_control.MISSED)
    triaged = triage.apply(judgement.triage, table, files, judgement.reading.own, store.storage_prefixes, options)
    log.rows(triaged.rows)
    parts = (usage, triaged.rows, hunted.hits, triaged.baseline, judgement.standard)
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
        plugins=hunted.plugins,
        encrypts=criteria.policy.covers_all(scope),
    )
    return judgement.triage.names.audit(audit)
