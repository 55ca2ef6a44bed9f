"""The hunt as one page: keys that the evidence holds, what they open, and every copy of every value."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.arrays.dtypes import Bools, Ints
from auditor.encryption.configuration import ProviderEntry
from auditor.encryption.keyring import Keyring
from auditor.hunt import companion_configs as from_files
from auditor.hunt import copies, forms, k3s, key_material
from auditor.hunt.companion_configs import CompanionConfigs
from auditor.hunt.hit import NOT_KNOWN, NOTHING, Hit, HuntResult, Opens
from auditor.hunt.key_material import FoundKey
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
"""Keys may lie under keys: OpenShift stores each under the one before it."""
BLIND = (
    "what --hunt cannot see",
    "values that were not opened, gzip (Helm), base64 broken into lines, values changed by more than JSON's escapes",
)


def others(store: Store, judged: Bools, serves: Callable[[str], bool]) -> list[Selection]:
    """The values of the resources that are not judged: keys may lie in them, and copies."""
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
    """The same rules with the keys that a k3s token opens and, where asked for, all that the evidence holds."""
    if options.k3s_token:
        criteria = _bootstrap(options, criteria, store)
    return _use_found(criteria, selections, store, layout) if options.use_found_keys else criteria


def _bootstrap(options: Options, criteria: Criteria, store: Store) -> Criteria:
    found, seen, opened = k3s.keys(store.batches, k3s.token(Path(options.k3s_token)))
    names = ", ".join(each.label for each in found) or "none"
    note = f"--k3s-token opens {opened:,} of {seen:,} values of the /bootstrap record; keys in them, used: {names}"
    return criteria.extended([each.entry for each in found], note)


def _use_found(criteria: Criteria, selections: Sequence[Selection], store: Store, layout: Layout) -> Criteria:
    """The same rules with every key that the evidence holds, and those that these open in turn."""
    known: dict[tuple[object, ...], FoundKey] = {}
    for _ in range(MOST_ROUNDS):
        opened = _opened(criteria, selections)
        fresh = [each for each in _material(opened, store, layout)[0] if _tag(each) not in known]
        if not fresh:
            break
        known.update((_tag(each), each) for each in fresh)
        criteria = criteria.extended([each.entry for each in fresh])
    notes = [f"--use-found-keys: {each.label} was found in {_where(each)}, and used" for each in known.values()]
    return replace(criteria, notes=(*criteria.notes, *notes))


def _where(each: FoundKey) -> str:
    return marked(each.where, KEY) if each.where.startswith("/") else each.where


def hunt(
    options: Options,
    criteria: Criteria,
    selections: Sequence[Selection],
    rest: Sequence[Selection],
    store: Store,
    layout: Layout,
) -> HuntResult:
    """selections: the judged values, opened with their plaintexts kept; rest: others()."""
    opened = [*selections, *_opened(criteria, rest)]
    needles, left = collect(opened, options.hunt_min_length, frozenset(options.hunt_fields))
    keys, configurations = _material(opened, store, layout)
    supplied = _supplied(criteria, [each.entry for each in keys], len(needles))
    hits, gaps = copies.hunt([*needles, *supplied], store, opened, layout)
    present = _present([*hits, *configurations], criteria, keys, opened)
    unexamined = [
        Unexamined(f"{count:,} values of Secrets", f"--hunt leaves them out: {why}", decisive=False)
        for why, count in sorted(left.items())
    ]
    return HuntResult(
        tuple(present),
        tuple(gaps),
        (*unexamined, Unexamined(*BLIND, decisive=False)),
        (f"--hunt looked for {len(needles):,} distinct values and {len(supplied):,} forms of keys",),
    )


def everything(
    options: Options,
    came: CompanionConfigs | None,
    criteria: Criteria,
    selections: Sequence[Selection],
    rest: Sequence[Selection],
    store: Store,
    layout: Layout,
) -> HuntResult:
    """What --hunt finds, where it is asked for, and the keys in what came with the evidence."""
    hunted = hunt(options, criteria, selections, rest, store, layout) if options.hunt else NOTHING
    return hunted if came is None else travelling(came, hunted, options, criteria, [*selections, *rest])


def travelling(
    files: CompanionConfigs, hunted: HuntResult, options: Options, criteria: Criteria, every: Sequence[Selection]
) -> HuntResult:
    """The same with the keys in files that came with the evidence, each with what it opens."""
    present = _present(from_files.hits(files), criteria, [], every, [key for *_, key in files.keys])
    notes = from_files.notes(files, used=options.use_found_config)
    return replace(hunted, hits=(*hunted.hits, *present), notes=(*hunted.notes, *notes))


def _opened(criteria: Criteria, selections: Sequence[Selection]) -> list[Selection]:
    if criteria.keyring is None:
        return list(selections)
    return opening.open_every(selections, criteria, criteria.keyring, keep=True)


def _material(opened: Sequence[Selection], store: Store, layout: Layout) -> tuple[list[FoundKey], list[Hit]]:
    """Keys that are recognised without being supplied, and where the configurations lie that hold some."""
    keys = list(key_material.openshift(opened))
    hits, _ = copies.hunt(key_material.needles(), store, opened, layout)
    texts = {
        (each.batch.source, int(each.batch.offset[row])): text
        for each in opened
        for row, text in each.plaintexts.items()
    }
    kept = []
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
        mine = (
            list(key_material.configured(buffer, start, size, coded=hit.form == forms.BASE64, where=where))
            if start >= 0 and buffer is not None
            else []
        )
        if mine:
            keys += mine
            kept.append(hit._replace(opens=Opens(0, len(mine))))
    distinct = {_tag(each): each for each in keys}
    return list(distinct.values()), _once(kept)


def _tag(each: FoundKey) -> tuple[object, ...]:
    key = each.entry.keys[0]
    return each.entry.provider, key.name, key.secret


def _once(hits: list[Hit]) -> list[Hit]:
    """One hit for each object: a configuration names its kind once, and may be met in several forms."""
    kept: dict[tuple[str, str, int], Hit] = {}
    for hit in hits:
        kept.setdefault((hit.source, hit.key, hit.offset if hit.key == NOT_KNOWN else hit.mod_revision), hit)
    return list(kept.values())


def _supplied(criteria: Criteria, found: Sequence[ProviderEntry], number: int) -> list[Needle]:
    """Every key as bytes and as hex; its base64 is a form of the bytes."""
    made: dict[bytes, Needle] = {}
    for entry in [*criteria.entries, *found]:
        for key in entry.keys:
            name = encode(f"{entry.provider.label}/{key.name}")
            for text in (key.secret, key.secret.hex().encode(), key.secret.hex().upper().encode()):
                if len(set(text)) > 2:  # the all-zero marker stands in every page
                    number += 1
                    made.setdefault(text, Needle(text, number, FindingKind.KEY_PRESENT, ((name, b""),), frozenset()))
    return list(made.values())


def _present(
    hits: Sequence[Hit],
    criteria: Criteria,
    keys: Sequence[FoundKey],
    opened: Sequence[Selection],
    more: Sequence[ProviderEntry] = (),
) -> list[Hit]:
    """Every hit of a key with what it opens: this key, readable here, opens N values of this evidence."""
    every = [*criteria.entries, *(each.entry for each in keys), *more]
    opens = _opens(every, opened) if any(hit.finding is FindingKind.KEY_PRESENT for hit in hits) else Counter()
    total = sum(opens.values())
    return [hit if hit.finding is not FindingKind.KEY_PRESENT else _with_opens(hit, opens, total) for hit in hits]


def _with_opens(hit: Hit, opens: Mapping[str, int], total: int) -> Hit:
    """A key's hit with what the key opens; a configuration's with what all keys together do."""
    if hit.opens is not None:
        return hit._replace(opens=hit.opens._replace(values=total))
    return hit._replace(opens=Opens(opens[hit.copy.owner]))


def _opens(entries: Sequence[ProviderEntry], opened: Sequence[Selection]) -> Counter[str]:
    """By key, how many of the encrypted values it opens."""
    keyring = Keyring((), {}, tuple(dict.fromkeys(entries)))
    counts: Counter[str] = Counter()
    for each in opened:
        rows: Ints = np.flatnonzero((each.opened != Opened.NOT_TRIED) & (each.batch.key_at >= 0))
        for resource, _, keys, texts in opening.portions(each, rows):
            for attempt in keyring.open(resource.name, keys, texts):
                if attempt.opened is Opened.YES and attempt.by is not None:
                    name = shown(attempt.by.name)
                    counts[f"{attempt.by.provider.label}/{name}"] += 1
    return counts
