"""The hunt: keys in the evidence, the values that they open, and every copy of every value."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.encryption.configuration import ProviderEntry
from auditor.encryption.keyring import Keyring
from auditor.hunt import companion_configs, copies, forms, k3s, key_material
from auditor.hunt.companion_configs import CompanionConfigs
from auditor.hunt.hit import NOT_KNOWN, NOTHING, Hit, HuntResult, Opens
from auditor.hunt.key_material import EvidenceKey
from auditor.hunt.locate import Layout
from auditor.hunt.needles import Needle, collect
from auditor.judgement import opening, selection
from auditor.judgement.criteria import Criteria
from auditor.judgement.selection import Selection
from auditor.kubernetes.store import Store
from auditor.model.evidence import Unexamined
from auditor.model.vocabulary import FindingKind, Opened
from auditor.options import Options
from auditor.text import KEY, encode, marked, shown

MOST_ROUNDS = 8
"""Rounds of opening: OpenShift encrypts each key with the one before it."""
BLIND = (
    "what --hunt cannot see",
    "values that were not decrypted, gzip (Helm), base64 broken into lines, values changed by more than JSON's escapes",
)


def others(store: Store, judged: Bools, serves: Callable[[str], bool]) -> list[Selection]:
    """The values of the resources that are not judged, which may hold keys and copies.

    Args:
        store: all stored values of the evidence.
        judged: whether each resource is judged.
        serves: whether the API server reads the latest values of a source.
    """
    unjudged = store.match(frozenset({"*"})) & ~judged
    return [
        selection.select(parts, store.resources, unjudged, authoritative=serves(parts[0].batch.source), plaintext=True)
        for parts in store.by_source()
    ]


def keys_of(
    options: Options,
    criteria: Criteria,
    selections: Sequence[Selection],
    store: Store,
    layout: Layout,
) -> Criteria:
    """The criteria with the keys that a k3s token opens and, with --use-found-keys, all keys in the evidence.

    Args:
        options: of the run.
        criteria: with the supplied keys.
        selections: all values, judged or not.
        store: all stored values of the evidence.
        layout: the parts of the evidence outside every stored value.
    """
    if options.k3s_token:
        criteria = _with_bootstrap_keys(options, criteria, store)
    return _with_evidence_keys(criteria, selections, store, layout) if options.use_found_keys else criteria


def _with_bootstrap_keys(options: Options, criteria: Criteria, store: Store) -> Criteria:
    keys, count, opened = k3s.keys(store.batches, k3s.token(Path(options.k3s_token)))
    names = ", ".join(key.label for key in keys) or "none"
    note = f"--k3s-token decrypts {opened:,} of {count:,} values of the /bootstrap record; keys in them, used: {names}"
    return criteria.extended([key.entry for key in keys], note)


def _with_evidence_keys(criteria: Criteria, selections: Sequence[Selection], store: Store, layout: Layout) -> Criteria:
    """The criteria with every key in the evidence, and the keys that these open in turn."""
    known: dict[tuple[object, ...], EvidenceKey] = {}
    for _ in range(MOST_ROUNDS):
        opened = _opened(criteria, selections)
        fresh = [key for key in _material(opened, store, layout)[0] if _identity(key) not in known]
        if not fresh:
            break
        known.update((_identity(key), key) for key in fresh)
        criteria = criteria.extended([key.entry for key in fresh])
    notes = [f"--use-found-keys: {key.label} was found in {_where(key)}, and used" for key in known.values()]
    return replace(criteria, notes=(*criteria.notes, *notes))


def _where(key: EvidenceKey) -> str:
    return marked(key.where, KEY) if key.where.startswith("/") else key.where


def hunt(
    options: Options,
    criteria: Criteria,
    selections: Sequence[Selection],
    rest: Sequence[Selection],
    store: Store,
    layout: Layout,
) -> HuntResult:
    """Every copy and every key in the evidence.

    Args:
        options: of the run.
        criteria: with every key.
        selections: the judged values, opened, with their plaintexts.
        rest: the values that others() returns.
        store: all stored values of the evidence.
        layout: the parts of the evidence outside every stored value.
    """
    opened = [*selections, *_opened(criteria, rest)]
    needles, omissions = collect(opened, options.hunt_min_length, frozenset(options.hunt_fields))
    keys, configurations = _material(opened, store, layout)
    key_needles = _key_needles(criteria, [key.entry for key in keys], len(needles))
    hits, gaps = copies.hunt([*needles, *key_needles], store, opened, layout)
    complete = _with_opened_values([*hits, *configurations], criteria, keys, opened)
    unexamined = [
        Unexamined(f"{count:,} values of Secrets", f"--hunt leaves them out: {reason}", decisive=False)
        for reason, count in sorted(omissions.items())
    ]
    return HuntResult(
        tuple(complete),
        tuple(gaps),
        (*unexamined, Unexamined(*BLIND, decisive=False)),
        (f"--hunt looked for {len(needles):,} distinct values and {len(key_needles):,} forms of keys",),
    )


def everything(
    options: Options,
    companions: CompanionConfigs | None,
    criteria: Criteria,
    selections: Sequence[Selection],
    rest: Sequence[Selection],
    store: Store,
    layout: Layout,
) -> HuntResult:
    """The hits of --hunt, and the keys in companion files of the evidence.

    Args:
        options: of the run.
        companions: encryption configurations in companion files; None where there can be none.
        criteria: with every key.
        selections: the judged values, opened, with their plaintexts.
        rest: the values that others() returns.
        store: all stored values of the evidence.
        layout: the parts of the evidence outside every stored value.
    """
    result = hunt(options, criteria, selections, rest, store, layout) if options.hunt else NOTHING
    if companions is None:
        return result
    entries = [key for *_, key in companions.keys]
    hits = _with_opened_values(companion_configs.hits(companions), criteria, [], [*selections, *rest], entries)
    notes = companion_configs.notes(companions, used=options.use_found_config)
    return replace(result, hits=(*result.hits, *hits), notes=(*result.notes, *notes))


def _opened(criteria: Criteria, selections: Sequence[Selection]) -> list[Selection]:
    if criteria.keyring is None:
        return list(selections)
    return opening.open_every(selections, criteria, criteria.keyring, keep=True)


def _material(opened: Sequence[Selection], store: Store, layout: Layout) -> tuple[list[EvidenceKey], list[Hit]]:
    """The keys in the evidence, and a hit for each configuration that holds some."""
    keys = list(key_material.openshift(opened))
    hits, _ = copies.hunt(key_material.needles(), store, opened, layout)
    texts = {
        (values.batch.source, int(values.batch.offset[row])): text
        for values in opened
        for row, text in values.plaintexts.items()
    }
    configurations = []
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
            list(key_material.configured(buffer, start, size, coded=hit.form == forms.BASE64, where=where))
            if start >= 0 and buffer is not None
            else []
        )
        if own:
            keys += own
            configurations.append(hit._replace(opens=Opens(0, len(own))))
    distinct = {_identity(key): key for key in keys}
    return list(distinct.values()), _one_a_holder(configurations)


def _identity(evidence_key: EvidenceKey) -> tuple[object, ...]:
    """Provider, name and bytes of a key."""
    key = evidence_key.entry.keys[0]
    return evidence_key.entry.provider, key.name, key.secret


def _one_a_holder(hits: list[Hit]) -> list[Hit]:
    """One hit for each object: a configuration names its kind once, and may match in several forms."""
    first: dict[tuple[str, str, int], Hit] = {}
    for hit in hits:
        first.setdefault((hit.source, hit.key, hit.offset if hit.key == NOT_KNOWN else hit.mod_revision), hit)
    return list(first.values())


def _key_needles(criteria: Criteria, entries: Sequence[ProviderEntry], number: int) -> list[Needle]:
    """Needles for every key, as bytes and as hex; its base64 is a form of the bytes. number: of the needle before."""
    needles: dict[bytes, Needle] = {}
    for entry in [*criteria.entries, *entries]:
        for key in entry.keys:
            name = encode(f"{entry.provider.label}/{key.name}")
            for text in (key.secret, key.secret.hex().encode(), key.secret.hex().upper().encode()):
                if len(set(text)) > 2:  # the all-zero marker stands in every page
                    number += 1
                    needles.setdefault(text, Needle(text, number, FindingKind.KEY_PRESENT, ((name, b""),), frozenset()))
    return list(needles.values())


def _with_opened_values(
    hits: Sequence[Hit],
    criteria: Criteria,
    keys: Sequence[EvidenceKey],
    opened: Sequence[Selection],
    more: Sequence[ProviderEntry] = (),
) -> list[Hit]:
    """The hits, those of keys with the number of values of this evidence that the key opens."""
    every = [*criteria.entries, *(key.entry for key in keys), *more]
    opens = _opens(every, opened) if any(hit.finding is FindingKind.KEY_PRESENT for hit in hits) else Counter()
    total = sum(opens.values())
    return [hit if hit.finding is not FindingKind.KEY_PRESENT else _with_opens(hit, opens, total) for hit in hits]


def _with_opens(hit: Hit, opens: Mapping[str, int], total: int) -> Hit:
    """A key's hit with the number of values that it opens; a configuration's with that of all keys together."""
    if hit.opens is not None:
        return hit._replace(opens=hit.opens._replace(values=total))
    return hit._replace(opens=Opens(opens[hit.copy.owner]))


def _opens(entries: Sequence[ProviderEntry], opened: Sequence[Selection]) -> Counter[str]:
    """The number of encrypted values that each key opens, by PROVIDER/NAME."""
    keyring = Keyring((), {}, tuple(dict.fromkeys(entries)))
    counts: Counter[str] = Counter()
    for values in opened:
        rows: Ints = np.flatnonzero((values.opened != Opened.NOT_TRIED) & (values.batch.key_at >= 0))
        for resource, _, keys, stored in opening.portions(values, rows):
            for attempt in keyring.open(resource.name, keys, stored):
                if attempt.opened is Opened.YES and attempt.by is not None:
                    name = shown(attempt.by.name)
                    counts[f"{attempt.by.provider.label}/{name}"] += 1
    return counts
