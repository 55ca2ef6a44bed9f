"""What a report remarks beside its findings: what was not examined, and observations that are not judged."""

from collections.abc import Iterator, Sequence

from auditor.audit import corroboration, scopes, unexamined, writers
from auditor.audit.evidence_notes import evidence_notes
from auditor.audit.judgement import Judgement
from auditor.encryption.lint import Advice
from auditor.evidence import exhibit
from auditor.hunt.hit import HuntResult
from auditor.judgement.criteria import Criteria
from auditor.model.evidence import Evidence, Unexamined
from auditor.model.findings import Coverage, KeyUsage
from auditor.model.vocabulary import Provider, SameAsLatest
from auditor.options import Options
from auditor.text import shown


def omissions(
    files: exhibit.Exhibit,
    judgement: Judgement,
    options: Options,
    coverage: Sequence[Coverage],
    hunted: HuntResult,
) -> Iterator[Unexamined]:
    """What the run leaves out, or could not conclude on.

    Args:
        files: The exhibit.
        judgement: Of its values.
        options: Of the run.
        coverage: Counts of every resource.
        hunted: What a hunt met, and what it cannot see.
    """
    yield from unexamined.left_out(judgement.reading, options)
    yield from unexamined.absent(coverage, judgement.store, options, damaged=bool(judgement.reading.gaps))
    configs = judgement.companion_configs
    found = configs.keys if configs is not None else ()
    yield from unexamined.companions(files, {key.secret for *_, entry in found for key in entry.keys})
    yield from unexamined.unopened(judgement.selections, judgement.criteria)
    yield from unexamined.untried(judgement.selections, judgement.criteria)
    yield from unexamined.unidentified(judgement.selections, judgement.criteria)
    yield from hunted.unexamined
    yield from _current(judgement)
    yield from unexamined.elsewhere(judgement.store, options)
    yield from unexamined.disguised(judgement.store, judgement.in_scope)
    yield from unexamined.ungrouped(judgement.store, judgement.in_scope, judgement.criteria.policy)
    yield judgement.reading.standing or unexamined.standing(files)


def _current(judgement: Judgement) -> Iterator[Unexamined]:
    """Why newer evidence does not say of every value whether it is current: decisive where one is undetermined."""
    if judgement.current is not None and judgement.current.limits:
        undetermined = any(
            ((values.same_as_latest == SameAsLatest.UNKNOWN) & values.plaintext).any()
            for values in judgement.selections
        )
        reason = "; ".join(judgement.current.limits)
        yield Unexamined(f"what is current in {judgement.current.name}", reason, decisive=bool(undetermined))


def calls_made(criteria: Criteria) -> Iterator[str]:
    """The calls of --kms to each key, a sentence each."""
    yield from (text for client in criteria.clients for calls in client.tracks() for text in calls.sentences())
    if criteria.prove:
        yield "--kms-prove: one value of each wrapped key was decrypted; that is no pass for the others"


def notes(
    evidence: Evidence,
    judgement: Judgement,
    hunted: HuntResult,
    keys: Sequence[KeyUsage],
    scope: Sequence[str],
    advice: Sequence[tuple[str, Advice]],
) -> Iterator[str]:
    """Observations, one sentence each.

    Args:
        evidence: As it was at the end of the run.
        judgement: Of its values.
        hunted: What a hunt met.
        keys: The usage of every key.
        scope: Names of the judged resources.
        advice: On configurations, each with its file.
    """
    criteria = judgement.criteria
    yield from evidence_notes(evidence, judgement.reading)
    yield from criteria.notes
    yield from hunted.notes
    if authoritative := [values for values in judgement.selections if values.authoritative]:
        names = scopes.resources(authoritative, scope)
        yield from writers.observe(authoritative, names, configured=bool(criteria.configurations))
        yield from writers.unread(judgement.selections)
        yield from corroboration.observe(criteria, authoritative, judgement.store, keys, names)
    for source, advised in advice:
        if not advised.judged:
            yield f"{source}: {advised.path}: {advised.text}"
    for (provider, name), plugin in criteria.plugins.items():
        yield f"KMS plugin {name} ({provider.label}): {plugin.calls} calls"
    yield from calls_made(criteria)
    for provider, name in sorted(criteria.policy.compromised):
        if not any((usage.provider, usage.key_name) == (provider, name) for usage in keys):
            yield f"--compromised-key {provider.label}/{name}: no value names this key"
    for name in sorted(criteria.supplied_keks):
        if not any((usage.provider, usage.key_name) == (Provider.KMS_V2, name) for usage in keys):
            yield f"--current-kek {shown(name)}: no value of KMS v2 names it, and nothing is judged by it"
