"""The search of one exhibit: read like a scan's, decrypted with every key, and nothing judged."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from auditor.arrays.buffer import Buffer
from auditor.audit import custody, unexamined
from auditor.evidence import exhibit, readers
from auditor.evidence.layout import Layout
from auditor.evidence.reading import Reading
from auditor.find import compressed
from auditor.find.compressed import Unpacked
from auditor.find.model import ExhibitSearch, Occurrence, Remnant
from auditor.find.remnants import RemnantSearch
from auditor.hunt import copies
from auditor.hunt.hit import NOT_KNOWN, Hit
from auditor.hunt.needles import Needle
from auditor.judgement import opening, selection, unwrapping
from auditor.judgement.criteria import Criteria, with_published
from auditor.judgement.policy import Policy
from auditor.judgement.selection import Selection
from auditor.kubernetes.store import Store, classify
from auditor.model.evidence import Cluster, Unexamined
from auditor.model.vocabulary import FindingKind, Opened, Place, Provider
from auditor.observer import SILENT, Observer
from auditor.options import Options
from auditor.text import plural

BLIND = Unexamined(
    "what find cannot see",
    "values in base64 broken into lines or coded twice, compressed in other objects than Secrets and ConfigMaps, "
    "changed by more than the escapes that JSON requires (or those of ASCII), and what archives hold beside their "
    "members",
    decisive=False,
)
BOOTSTRAP = b"/bootstrap/"
"""k3s' and RKE2's record, which their server's token encrypts."""
SAME_PLACE = 8
"""Bytes between an offset in base64 and that of its group."""


def search(
    files: exhibit.Exhibit, options: Options, criteria: Criteria, values: Sequence[bytes], observer: Observer = SILENT
) -> ExhibitSearch:
    """Where each value stands in an exhibit.

    Args:
        files: The exhibit.
        options: The storage prefixes.
        criteria: The keys.
        values: What to look for.
        observer: Its methods are called with the progress of hashing.

    Raises:
        UnreadableEvidence: Nothing in the exhibit can be read.
    """
    reading = readers.read(files, quick=False)
    store = classify(reading.batches, options.storage_prefixes)
    opened, criteria = _opened(store, reading, criteria, partial(unwrapping.unwrap, options=options, observer=observer))
    layout = Layout.of(files, reading.pages)
    needles = [
        Needle(whole=value, number=number, finding=FindingKind.COPIED_VALUE, owners=((b"", b""),), keys=())
        for number, value in enumerate(values, 1)
    ]
    unread = _unread_files(files, store)
    hits, overflow = copies.hunt(needles, store, opened, layout, unread)
    packed = list(compressed.unpacked(opened))
    served = frozenset(batch.source for batch in store.batches if reading.serves(batch.source))
    occurrences = (
        *(_occurrence(hit, reading) for hit in _distinct(hits)),
        *(compressed.occurrences(needles, [part for part in packed if part.text is not None], served)),
    )
    found = {occurrence.value for occurrence in occurrences}
    remnants = _remnants([needle for needle in needles if needle.number not in found], store, layout, unread)
    evidence, gaps = custody.finish(files, reading, Cluster(prefixes=store.storage_prefixes), observer)
    return ExhibitSearch(
        evidence=evidence,
        occurrences=tuple(sorted(occurrences, key=lambda hit: (hit.value, hit.source, hit.offset))),
        remnants=tuple(remnants),
        gaps=(*reading.gaps, *gaps, *overflow),
        unexamined=(
            *reading.unexamined,
            *_closed(store, opened),
            *unexamined.untried(opened, criteria),
            *_still_packed(packed),
            BLIND,
            reading.standing or unexamined.standing(files),
        ),
    )


def _opened(
    store: Store, reading: Reading, criteria: Criteria, unwrap: Callable[[Sequence[Selection], Criteria], Criteria]
) -> tuple[list[Selection], Criteria]:
    """The values of every resource, opened with every key, and with the published ones; and the criteria with these."""
    every_resource = np.ones(len(store.resources), np.bool_)
    selections = selection.select_by_source(store, every_resource, reading, plaintext=True)
    selections = [values for values in selections if len(values)]
    criteria = unwrap(selections, with_published(criteria, selections))
    if criteria.keyring is None:
        return selections, criteria
    neutral = replace(criteria, policy=Policy(), current_keks={})
    opened = [
        opening.open_all(values, neutral, criteria.keyring, keep=True, contents=frozenset()) for values in selections
    ]
    return opened, criteria


def _closed(store: Store, opened: Sequence[Selection]) -> Iterator[Unexamined]:
    """Encrypted values that no key opens: any may hold a value."""
    count = sum(
        int(((values.prefixes.provider > Provider.IDENTITY) & (values.opened != Opened.YES)).sum()) for values in opened
    )
    if count:
        yield Unexamined(plural(count, "encrypted value"), "not decrypted: each may hold a value", decisive=True)
    records = sum(
        int(batch.data.starts_with(np.maximum(batch.key_at, 0), batch.key_size, BOOTSTRAP).sum())
        for batch in store.batches
    )
    if records:
        reason = "encrypted with the server's token, which find does not take"
        yield Unexamined(f"{records:,} records of {BOOTSTRAP.decode()}", reason, decisive=True)


def _still_packed(packed: Sequence[Unpacked]) -> Iterator[Unexamined]:
    """Compressed data that does not unpack: damaged, or larger than it may be."""
    if count := sum(part.text is None for part in packed):
        yield Unexamined(f"{count:,} compressed values of Secrets and ConfigMaps", "not unpacked", decisive=True)


def _unread_files(files: exhibit.Exhibit, store: Store) -> dict[str, Buffer]:
    """The files that no mapped batch points into: their bytes are searched too."""
    mapped = {batch.source for batch in store.batches if batch.mapped}
    return {file.name: Buffer(file.map) for _, file in files.files if file.name not in mapped and file.size}


def _remnants(needles: Sequence[Needle], store: Store, layout: Layout, unread: dict[str, Buffer]) -> Iterator[Remnant]:
    if not needles:
        return
    parts = RemnantSearch(needles, layout)
    buffers = {(batch.source, id(batch.data)): (batch.data, batch.mapped) for batch in store.batches}
    buffers |= {(name, id(buffer)): (buffer, True) for name, buffer in unread.items()}
    for (source, _), (buffer, mapped) in buffers.items():
        yield from parts.parts(store, source, buffer, mapped=mapped)


def _distinct(hits: Sequence[Hit]) -> Iterator[Hit]:
    """The hits, without those of a file's own bytes where the value that they encode is a hit already."""
    held = {
        (hit.source, hit.copy.number, hit.offset // SAME_PLACE + near)
        for hit in hits
        if not hit.unheld
        for near in (-1, 0, 1)
    }
    for hit in hits:
        if not hit.unheld or (hit.source, hit.copy.number, hit.offset // SAME_PLACE) not in held:
            yield hit


def _occurrence(hit: Hit, reading: Reading) -> Occurrence:
    return Occurrence(
        value=hit.copy.number,
        source=hit.source,
        offset=hit.offset,
        place=hit.place,
        form=hit.form,
        decrypted=hit.opened,
        resource="" if hit.resource == NOT_KNOWN else hit.resource,
        key="" if hit.key == NOT_KNOWN else hit.key,
        field=hit.path,
        mod_revision=hit.mod_revision,
        page=hit.page,
        current=hit.place is Place.LATEST and reading.serves(hit.source),
    )
