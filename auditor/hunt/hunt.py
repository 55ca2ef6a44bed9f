"""The hunt: keys in the evidence, the values that they open, and every copy of every value."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools
from auditor.encryption.published import PUBLISHED
from auditor.evidence.layout import Layout
from auditor.hunt import companion_configs, copies, forms, k3s, key_hits, key_material
from auditor.hunt.companion_configs import CompanionConfigs
from auditor.hunt.hit import NOT_KNOWN, NOTHING, Hit, HuntResult, Opens
from auditor.hunt.key_hits import KeyIdentity
from auditor.hunt.key_material import EvidenceKey
from auditor.hunt.needles import collect
from auditor.judgement import opening, selection
from auditor.judgement.criteria import Criteria
from auditor.judgement.selection import Selection
from auditor.kubernetes.store import Store
from auditor.model.evidence import Gap, Unexamined
from auditor.options import Options
from auditor.text import KEY, marked, plural

_ConfigurationHit: TypeAlias = tuple[Hit, tuple[KeyIdentity, ...]]
MOST_ROUNDS = 8
"""Rounds of opening: OpenShift encrypts each key with the one before it."""
BLIND = (
    "what --hunt cannot see",
    "values that were not decrypted, gzip (Helm), base64 broken into lines, values changed by more than the escapes "
    "that JSON requires, or those of ASCII",
)


def others(store: Store, in_scope: Bools, serves: Callable[[str], bool]) -> list[Selection]:
    """The values of the resources that are not judged, which may hold keys and copies.

    Args:
        store: all stored values of the evidence.
        in_scope: whether each resource is judged.
        serves: whether the API server reads the latest values of a source.
    """
    unjudged = store.match(frozenset({"*"})) & ~in_scope
    return [
        selection.select(parts, store.resources, unjudged, authoritative=serves(parts[0].batch.source), plaintext=True)
        for parts in store.by_source()
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchedEvidence:
    """What a hunt searches, and the keys that it has for it."""

    options: Options
    """Options of the run."""
    criteria: Criteria
    """Every key: keys_of() adds those that the evidence holds."""
    selections: Sequence[Selection]
    """The judged values; hunt() takes them opened, with their plaintexts."""
    rest: Sequence[Selection]
    """The values that others() returns."""
    store: Store
    """All stored values of the evidence."""
    layout: Layout
    """The parts of the evidence outside every stored value."""
    texts: Mapping[str, Buffer] = field(default_factory=dict)
    """Texts beside the store, by name."""


def keys_of(searched: SearchedEvidence) -> Criteria:
    """The criteria with the keys that a k3s token opens and, with --use-found-keys, all keys in the evidence."""
    criteria = searched.criteria
    if searched.options.k3s_token:
        criteria = _with_bootstrap_keys(searched.options, criteria, searched.store)
    if searched.options.use_found_keys:
        values = [*searched.selections, *searched.rest]
        criteria, keys, _ = evidence_keys(criteria, values, searched.store, searched.layout)
        notes = [f"--use-found-keys: {key.label} was found in {_where(key)}, and used" for key in keys]
        criteria = replace(criteria, notes=(*criteria.notes, *notes))
    return criteria


def _with_bootstrap_keys(options: Options, criteria: Criteria, store: Store) -> Criteria:
    keys, count, opened = k3s.keys(store.batches, k3s.token(Path(options.k3s_token)))
    names = ", ".join(key.label for key in keys) or "none"
    note = f"--k3s-token decrypts {opened:,} of {count:,} values of the /bootstrap record; keys in them, used: {names}"
    return criteria.extended([key.entry for key in keys], note)


def evidence_keys(
    criteria: Criteria, selections: Sequence[Selection], store: Store, layout: Layout
) -> tuple[Criteria, list[EvidenceKey], bool]:
    """The criteria with every key in the evidence, those in values that these decrypt too; these keys; and whether
    every text that may hold one was looked at: of too many the rest is left.
    """
    whole = True
    known: dict[KeyIdentity, EvidenceKey] = {}
    for _ in range(MOST_ROUNDS):
        keys, _, gaps = _material(_opened(criteria, selections), store, layout)
        whole = whole and not gaps
        fresh = [key for key in keys if _identity(key) not in known]
        if not fresh:
            break
        known.update((_identity(key), key) for key in fresh)
        criteria = criteria.extended([key.entry for key in fresh])
    return criteria, list(known.values()), whole


def _where(key: EvidenceKey) -> str:
    return marked(key.where, KEY) if key.where.startswith("/") else key.where


def hunt(searched: SearchedEvidence, companions: CompanionConfigs | None) -> HuntResult:
    """The hits of --hunt, and the keys in companion files of the evidence.

    companions: encryption configurations in companion files; None where there can be none.
    """
    result = _hunt(searched) if searched.options.hunt else NOTHING
    if companions is None:
        return result
    entries = [key for *_, key in companions.keys]
    pairs = list(zip(companion_configs.hits(companions), map(key_hits.identities, entries), strict=True))
    every = [*searched.selections, *searched.rest]
    hits = key_hits.with_opened_values(pairs, [*searched.criteria.entries, *entries], every)
    # what a page of documentation quotes is everybody's: it is a finding where it decrypts something here
    samples = [
        entry.keys[0].secret in PUBLISHED and not (hit.opens and hit.opens.values)
        for hit, entry in zip(hits, entries, strict=True)
    ]
    hits = [hit for hit, sample in zip(hits, samples, strict=True) if not sample]
    notes = companion_configs.notes(companions, used=searched.options.use_found_config)
    if any(samples):
        notes.append(
            f"{plural(sum(samples), 'published key')} beside the evidence, which decrypts nothing in it: no finding"
        )
    return replace(result, hits=(*result.hits, *hits), notes=(*result.notes, *notes))


def _hunt(searched: SearchedEvidence) -> HuntResult:
    """Every copy and every key in the evidence."""
    options, criteria, store, layout = searched.options, searched.criteria, searched.store, searched.layout
    opened = [*searched.selections, *_opened(criteria, searched.rest)]
    needles, omissions = collect(opened, options.hunt_min_length, frozenset(options.hunt_fields))
    keys, configurations, _ = _material(opened, store, layout)
    entries = [*criteria.entries, *(key.entry for key in keys)]
    key_needles, key_of = key_hits.needles(entries, len(needles))
    hits, gaps = copies.hunt([*needles, *key_needles], store, opened, layout, searched.texts)
    single = [(hit, [key_of[hit.copy.number]] if hit.copy.number in key_of else []) for hit in hits]
    unexamined = [
        Unexamined(f"{plural(count, 'value')} of Secrets", f"--hunt leaves them out: {reason}", decisive=False)
        for reason, count in sorted(omissions.items())
    ]
    return HuntResult(
        tuple(key_hits.with_opened_values([*single, *configurations], entries, opened)),
        tuple(gaps),
        (*unexamined, Unexamined(*BLIND, decisive=False)),
        (f"--hunt looked for {len(needles):,} distinct values and {len(key_needles):,} forms of keys",),
    )


def _opened(criteria: Criteria, selections: Sequence[Selection]) -> list[Selection]:
    if criteria.keyring is None:
        return list(selections)
    return opening.open_every(selections, criteria, criteria.keyring, keep=True)


def _material(
    opened: Sequence[Selection], store: Store, layout: Layout
) -> tuple[list[EvidenceKey], list[_ConfigurationHit], list[Gap]]:
    """The keys in the evidence, a hit for each configuration that holds some, with its keys, and what was left."""
    keys = list(key_material.openshift(opened))
    hits, gaps = copies.hunt(key_material.needles(), store, opened, layout)
    texts = {
        (values.batch.source, int(values.batch.offset[row])): text
        for values in opened
        for row, text in values.plaintexts.items()
    }
    configurations: list[_ConfigurationHit] = []
    for hit in hits:
        where = (
            hit.key
            if hit.key != NOT_KNOWN
            else f"{hit.place.label if hit.place is not None else hit.source}, offset {hit.offset}"
        )
        inside = texts.get((hit.source, hit.offset)) if hit.opened else None
        buffer, start, size = hit.buffer, hit.at, hit.size
        if inside is not None:
            buffer = Buffer(inside)
            start = max((inside.find(mark) for mark in key_material.MARKS), default=-1)
            size = 1
        own = (
            list(
                key_material.configured(
                    buffer, start, size, coded=hit.form == forms.BASE64, where=where, revision=hit.mod_revision
                )
            )
            if start >= 0 and buffer is not None
            else []
        )
        if own:
            keys += own
            distinct = set(map(_identity, own))
            configurations.append((hit._replace(opens=Opens(0, len(distinct))), tuple(distinct)))
    newest: dict[KeyIdentity, int] = {}
    for key in keys:
        newest[_identity(key)] = max(key.newest, newest.get(_identity(key), -1))
    distinct_keys = {_identity(key): replace(key, newest=newest[_identity(key)]) for key in keys}
    return list(distinct_keys.values()), _one_a_holder(configurations), gaps


def _identity(key: EvidenceKey) -> KeyIdentity:
    (identity,) = key_hits.identities(key.entry)
    return identity


def _one_a_holder(hits: list[_ConfigurationHit]) -> list[_ConfigurationHit]:
    """One hit for each object: a configuration names its kind once, and may match in several forms."""
    first: dict[tuple[str, str, int], _ConfigurationHit] = {}
    for hit, keys in hits:
        where = hit.offset if hit.key == NOT_KNOWN else hit.mod_revision
        first.setdefault((hit.source, hit.key, where), (hit, keys))
    return list(first.values())
