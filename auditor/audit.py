"""The audit itself: evidence in, `Audit` out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import numpy as np

from auditor import __version__, columns, key_use, opening, policy, rows, rules, selection
from auditor.batch import Batch
from auditor.columns import Bools
from auditor.encryption.advice import Advice
from auditor.evidence import snapshot
from auditor.evidence.file import EvidenceFile
from auditor.model import (
    Audit,
    Cluster,
    Coverage,
    Encoding,
    Evidence,
    Finding,
    Gap,
    Opened,
    Place,
    Provider,
    Run,
    Tally,
    Unexamined,
)
from auditor.options import Options, Progress
from auditor.selection import SAME, UNKNOWN, Selection
from auditor.storage import keys, objects, values
from auditor.text import moment, printable, restore

STANDING = "the WAL, other members, other backups, old disk blocks"
NEWEST = 256
"""How many of the last records are asked for the newest time."""


def examine(file: EvidenceFile, options: Options, progress: Progress | None = None) -> Audit:
    """Audit one opened database file. Raises UnreadableEvidence where nothing in it can be read."""
    started = datetime.now(UTC)
    given = rules.prepare(options)
    reading = snapshot.read(file, quick=options.quick)
    batches = reading.batches
    stored = [values.classify(batch) for batch in batches]
    found = keys.classify(batches, [each.provider != Provider.UNKNOWN for each in stored], options.storage_prefixes)
    covered = {entry.name for entry in found.table if not entry.exempt and given.policy.covers(entry.name)}
    wanted = found.of(frozenset({name.rstrip(".") for name in options.resources} | covered))
    selections = [
        selection.select(batch, each, resource, found.table, wanted, plaintext=given.policy.plaintext)
        for batch, each, resource in zip(batches, stored, found.resource, strict=True)
    ]
    if given.keyring is not None:
        selections = [opening.open_all(each, given, given.keyring) for each in selections]
    selection.compare(selections)
    scope = _scope(options, found, wanted)
    seen = frozenset(entry.name for entry in found.table)
    advice = given.advice(seen, frozenset(scope))
    coverage = _coverage(batches, stored, found)
    tally = _tally(selections, [each for _, each in advice])
    made = rows.build(selections if options.rows else (), advice)
    used = key_use.count(selections, given.configurations)
    cluster = _cluster(batches, stored, found)
    elsewhere = _elsewhere(batches, stored, found, options)
    sha256, trailer, gaps = _finish(file, reading, progress)
    evidence = Evidence(
        name=file.name,
        kind=reading.kind,
        size=file.size,
        modified=moment(file.before.st_mtime),
        sha256=sha256,
        trailer=trailer,
        trailer_bytes=reading.trailer,
        changed=file.changed(),
        backend=reading.facts,
        cluster=cluster,
    )
    if evidence.changed:
        gaps.append(Gap(file.name, 0, file.size, f"the file changed while it was read: {evidence.changed}"))
    return Audit(
        evidence=evidence,
        policy=given.policy.words(scope),
        resources=scope,
        coverage=coverage,
        tally=tally,
        keys=used,
        rows=made,
        gaps=(*reading.gaps, *gaps),
        unexamined=(
            *_left_out(reading, options),
            *_absent(coverage, options),
            *_unopened(selections, given),
            *elsewhere,
            Unexamined(
                "slack inside pages", "bytes outside every element, zero in what bbolt writes: not read", decisive=False
            ),
            Unexamined(STANDING, "this file cannot show them", decisive=False),
        ),
        notes=(*_notes(evidence), *given.notes, *_observed(given, advice)),
        run=Run(
            version=__version__,
            started=moment(started.timestamp()),
            finished=moment(datetime.now(UTC).timestamp()),
            options=tuple((name, str(value)) for name, value in asdict(options).items() if name != "rows"),
        ),
    )


def _finish(file: EvidenceFile, reading: snapshot.Reading, progress: Progress | None) -> tuple[str, str, list[Gap]]:
    """Wait for the hashes: whole-file SHA-256, what the trailer proves, and gaps."""
    hashing = file.hashing
    if hashing is None:
        return "", "not checked" if reading.trailer else "none", []
    while progress is not None and hashing.alive():
        hashing.wait(0.1)
        progress(hashing.done, file.size)
    whole, head = hashing.result()
    if not reading.trailer:
        return whole, "none", []
    proof, gap = snapshot.check_trailer(file, head)
    return whole, proof, [gap] if gap else []


def _coverage(batches: Sequence[Batch], stored: Sequence[values.Values], found: keys.Keys) -> tuple[Coverage, ...]:
    counts: Counter[tuple[int, Provider, str, Place]] = Counter()
    for batch, each, resource in zip(batches, stored, found.resource, strict=True):
        labels, label = selection.label_values(batch, each)
        present = ~values.no_value(batch)
        shape = (len(found.table), len(labels), len(Place))
        codes = np.ravel_multi_index((resource[present], label[present], batch.place[present]), shape)
        for code, size in columns.counts(codes):
            of, which, place = np.unravel_index(code, shape)
            counts[int(of), *labels[which], Place(int(place))] += size
    rows_ = (
        Coverage(entry.name, entry.exempt, entry.prefix, provider, name, place, count)
        for (of, provider, name, place), count in counts.items()
        for entry in (found.table[of],)
    )
    return tuple(sorted(rows_, key=lambda row: (row.resource, row.prefix, row.provider, row.key_name, row.place)))


def _scope(options: Options, found: keys.Keys, wanted: Bools) -> tuple[str, ...]:
    """The resources that are judged: those asked for first, then what a configuration adds."""
    added = {entry.name for entry, chosen in zip(found.table, wanted.tolist(), strict=True) if chosen}
    asked = [name.rstrip(".") for name in options.resources]
    return tuple(dict.fromkeys([*asked, *sorted(added if "*" not in asked else ())]))


def _unopened(selections: Sequence[Selection], given: rules.Rules) -> list[Unexamined]:
    """Encrypted values that no supplied key opens: decisive where a configuration was given."""
    counts: Counter[tuple[Provider, str]] = Counter()
    for each in selections:
        rows_ = each.opened == Opened.NO_KEY
        for number, size in columns.counts(each.label[rows_]):
            counts[each.labels[number]] += size
    return [
        Unexamined(
            f"{size:,} values under {'/'.join(part for part in (provider.label, name) if part)}",
            "claimed encrypted by prefix, not opened: no key",
            decisive=given.policy.configured,
        )
        for (provider, name), size in sorted(counts.items())
    ]


def _observed(given: rules.Rules, advice: Sequence[tuple[str, Advice]]) -> list[str]:
    notes = [f"{source}: {each.path}: {each.text}" for source, each in advice if not each.judged]
    notes += [
        f"KMS plugin {name} ({provider.label}): {plugin.calls} calls"
        for (provider, name), plugin in given.plugins.items()
    ]
    return notes


def _tally(selections: Sequence[Selection], advice: Sequence[Advice]) -> Tally:
    places: Counter[tuple[Place, Provider, str]] = Counter()
    opened: Counter[tuple[Place, Provider, str]] = Counter()
    marks = Counter((Finding.CONFIGURATION, each.severity) for each in advice if each.judged)
    readable = in_use = undetermined = 0
    contents: set[int] = set()
    objects_: set[int] = set()
    where: set[Place] = set()
    for each in selections:
        for code, size in columns.counts(each.label * len(Place) + each.batch.place):
            places[Place(code % len(Place)), *each.labels[code // len(Place)]] += size
        done = each.opened == Opened.YES
        for code, size in columns.counts(each.label[done] * len(Place) + each.batch.place[done]):
            opened[Place(code % len(Place)), *each.labels[code // len(Place)]] += size
        for code, size in columns.counts(each.mark_codes()):
            place, same = Place(code >> 4 & 15), (code & 15) == SAME
            for finding in Finding(code >> 8):
                marks[finding, policy.severity(finding, place, same_as_latest=same)] += size
        plain = np.flatnonzero(each.plaintext)
        batch = each.batch
        readable += plain.size
        for columns_, distinct in ((("value_at", "value_len"), contents), (("key_at", "key_len"), objects_)):
            at, length = (getattr(batch, name)[plain].astype(np.int64) for name in columns_)
            heads = batch.data.group(at, length)[1]
            distinct.update(hash(part) for part in batch.data.slices(at[heads], length[heads]))
        in_use += int((each.same[plain] == SAME).sum())
        undetermined += int((each.same[plain] == UNKNOWN).sum())
        where |= {Place(code) for code in set(batch.place[plain].tolist())}
    return Tally(
        places=tuple(sorted((*key, count, opened[key]) for key, count in places.items())),
        marks=tuple(sorted((finding, severity, count) for (finding, severity), count in marks.items())),
        readable=readable,
        contents=len(contents),
        objects=len(objects_),
        in_use=in_use,
        undetermined=undetermined,
        readable_places=tuple(sorted(where)),
    )


def _cluster(batches: Sequence[Batch], stored: Sequence[values.Values], found: keys.Keys) -> Cluster:
    """The kube-system namespace's identity, and the newest time in the last records."""
    uid = created = ""
    newest = 0
    for prefix in found.prefixes:
        key = restore(f"{prefix}/namespaces/kube-system")
        for batch, each in zip(batches, stored, strict=True):
            for row in keys.find_key(batch, key).tolist():
                if batch.place[row] == Place.LATEST:
                    said = objects.decode(batch.value(row), Encoding(int(each.encoding[row])))
                    uid, created = printable(said.uid), moment(said.created)
    tree = [number for number, batch in enumerate(batches) if batch.place[0] <= Place.DELETED]
    if tree:
        last, each = batches[tree[-1]], stored[tree[-1]]
        for row in range(max(0, len(last) - NEWEST), len(last)):
            if each.encoding[row] and found.table[found.resource[tree[-1]][row]].prefix:
                said = objects.decode(last.value(row), Encoding(int(each.encoding[row])))
                newest = max(newest, said.newest or 0)
    return Cluster(uid, created, moment(newest) if newest else "", found.prefixes)


def _left_out(reading: snapshot.Reading, options: Options) -> list[Unexamined]:
    decisive = not (options.quick and options.accept_partial)
    left = [Unexamined(part.what, part.reason, decisive) for part in reading.unexamined]
    if options.quick:
        left.append(Unexamined("the file's hashes", "--quick: neither its SHA-256 nor a trailer was checked", decisive))
    return left


def _absent(coverage: Sequence[Coverage], options: Options) -> list[Unexamined]:
    """Resources asked for of which no object was seen: a wrong name, a wrong prefix, or an empty cluster."""
    seen = {row.resource for row in coverage if not row.exempt and row.resource}
    prefixes = ", ".join(sorted({row.prefix for row in coverage if row.prefix})) or "none"
    asked = (
        f"under {', '.join(options.storage_prefixes)}" if options.storage_prefixes else f"(prefixes seen: {prefixes})"
    )
    return [
        Unexamined(
            f"{name}: no object",
            f"nothing of this resource is stored {asked}; check the name and --storage-prefix",
            True,
        )
        for name in options.resources
        if (not seen if name == "*" else name.rstrip(".") not in seen)
    ]


def _elsewhere(
    batches: Sequence[Batch], stored: Sequence[values.Values], found: keys.Keys, options: Options
) -> list[Unexamined]:
    """Values that look like Kubernetes' and lie under no storage prefix."""
    count = 0
    for batch, each, resource in zip(batches, stored, found.resource, strict=True):
        outside = (resource == 0) & ~values.no_value(batch)
        likely = (each.provider > Provider.IDENTITY) | (each.encoding == Encoding.PROTOBUF)
        count += int((outside & likely).sum())
    if not count:
        return []
    reason = "they look like Kubernetes objects; name their prefix with --storage-prefix"
    return [Unexamined(f"{count:,} values under no storage prefix", reason, decisive=not options.storage_prefixes)]


def _notes(evidence: Evidence) -> list[str]:
    backend = evidence.backend
    notes = []
    if backend.scheduled is not None and backend.scheduled > (backend.compacted or 0):
        done = backend.compacted if backend.compacted is not None else "none"
        notes.append(f"a compaction at {backend.scheduled} was scheduled and not finished (last finished: {done})")
    if backend.auth_enabled:
        notes.append("etcd authentication is on: this file holds bcrypt hashes of its users' passwords")
    if evidence.kind == snapshot.RAW:
        notes.append("a raw database file has no trailer: nothing in it proves that it is whole")
    return notes
