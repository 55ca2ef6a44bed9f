"""The audit itself: evidence in, `Audit` out."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from auditor import (
    columns,
    control,
    custody,
    expectations,
    in_force,
    key_use,
    opening,
    policy,
    reported,
    rows,
    rules,
    selection,
)
from auditor.batch import Batch
from auditor.columns import Bools, Ints
from auditor.encryption.advice import Advice
from auditor.evidence import gather, reading, snapshot
from auditor.hunt.hit import NOTHING, Hit
from auditor.model import (
    Audit,
    Cluster,
    Coverage,
    Encoding,
    Evidence,
    Finding,
    Opened,
    Place,
    Provider,
    Rows,
    Tally,
    Unexamined,
)
from auditor.options import Options, Progress
from auditor.runlog import Log
from auditor.selection import SAME, UNKNOWN, Selection
from auditor.storage import fragments, keys, objects, values
from auditor.text import moment, printable, restore

if TYPE_CHECKING:
    from auditor.hunt.travelling import Travelling

STANDING = Unexamined(
    "the WAL, other members, other backups, old disk blocks", "this file cannot show them", decisive=False
)
STANDING_DIRECTORY = Unexamined(
    "other members, other backups, old disk blocks", "one member's directory cannot show them", decisive=False
)
STANDING_LIVE = Unexamined(
    "the WAL, other members, backups, old disk blocks", "a member does not hand them out", decisive=False
)
NEWEST = 256
"""How many of the last records are asked for the newest time."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Evidence read, opened and judged, before anything is counted: what examine() and a comparison start from.

    asked: what the options say of reports. stored, found: beside the batches that were read. wanted: which entries
    of found.table are judged. rest: what a hunt searches beside the selections.
    came: configurations in files that came with the evidence.
    """

    given: rules.Rules
    asked: reported.Asked
    read: reading.Reading
    stored: Sequence[values.Values]
    found: keys.Keys
    wanted: Bools
    cluster: Cluster
    selections: list[Selection]
    rest: list[Selection]
    came: "Travelling | None" = None

    @property
    def resources(self) -> frozenset[str]:
        """Names of those that are judged."""
        return frozenset(entry.name for entry, chosen in zip(self.found.table, self.wanted, strict=True) if chosen)


def examine(
    files: gather.Evidence,
    options: Options,
    progress: Progress | None = None,
    ahead: Callable[[Rows], None] | None = None,
    log: Log | None = None,
) -> Audit:
    """Audit opened evidence. Raises UnreadableEvidence where nothing in it can be read."""
    log = log or Log()
    return conclude(files, judge(files, options, log), options, log, progress, ahead)


def judge(files: gather.Evidence, options: Options, log: Log, also: frozenset[str] = frozenset()) -> Judged:
    """Read opened evidence, and judge the selected values. Raises UnreadableEvidence where nothing can be read.

    also: resources that are judged beside those that the options and their configurations name.
    """
    given, came = _rules(files, options)
    asked = reported.prepare(options)
    read = reading.read(files, quick=options.quick)
    batches = read.batches
    log(f"read {sum(map(len, batches)):,} records and fragments")
    classified = [values.classify(batch) for batch in batches]
    likely = [each.provider != Provider.UNKNOWN for each in classified]
    stored, found = fragments.attribute(batches, classified, keys.classify(batches, likely, options.storage_prefixes))
    covered = {entry.name for entry in found.table if not entry.exempt and given.policy.covers(entry.name)}
    wanted = found.of(
        frozenset({name.rstrip(".") for name in options.resources} | covered | also | {fragments.UNTOLD.name})
    )
    by_source = selection.grouped(zip(batches, stored, found.resource, strict=True))
    cluster = _cluster(batches, stored, found, read)
    if options.expect_cluster:
        expectations.cluster(files.name, cluster, read.facts.cluster_id, options.expect_cluster)
        log("the cluster is the expected one")
    selections = [
        selection.select(
            parts,
            found.table,
            wanted,
            main=read.in_force(name),
            plaintext=given.policy.plaintext,
            beside=name in read.beside,
        )
        for (name, _), parts in by_source
    ]
    if not options.quick:
        given = rules.with_published(given, [(each.batch, each.values) for each in selections])
    rest = []
    if options.hunt or options.k3s_token or options.use_found_keys or came is not None:
        from auditor.hunt import run as hunting  # the libraries of ciphers and of searching wait until they are needed

        rest = hunting.others(by_source, found, wanted, read.in_force)
        given = hunting.keys_of(options, given, [*selections, *rest], batches, found, read.pages)
    if given.keyring is not None:
        selections = opening.open_every(selections, given, given.keyring, keep=options.hunt)
    selection.compare(selections)
    return Judged(given, asked, read, stored, found, wanted, cluster, selections, rest, came)


def conclude(
    files: gather.Evidence,
    judged: Judged,
    options: Options,
    log: Log,
    progress: Progress | None = None,
    ahead: Callable[[Rows], None] | None = None,
) -> Audit:
    """Count what was judged, hunt for copies, wait for the hashes: the audit."""
    given, read, stored, found, wanted = judged.given, judged.read, judged.stored, judged.found, judged.wanted
    batches, cluster, selections, rest = read.batches, judged.cluster, judged.selections, judged.rest
    main = read.main.name if read.main is not None else ""
    # several pieces of evidence may have come with one file, which is reported with the first
    came = judged.came if files.of(gather.Role.SETTINGS) else None
    hunted = NOTHING
    if options.hunt or came is not None:
        from auditor.hunt import run as hunting

        hunted = hunting.everything(options, came, given, selections, rest, batches, found, read.pages)
    log(f"judged {sum(map(len, selections)):,} values of the selected resources")
    scope = _scope(options, found, wanted)
    seen = frozenset(entry.name for entry in found.table)
    advice = given.advice(seen, frozenset(scope))
    coverage = _coverage(batches, stored, found)
    tally = _tally(selections, [each for _, each in advice], hunted.hits)
    made = rows.build(selections, advice, hunted.hits) if options.rows or judged.asked.needs_rows else rows.EMPTY
    used = key_use.count(selections, given.configurations)
    elsewhere = _elsewhere(batches, stored, found, options)
    planted = control.run(options, given.policy, found.prefixes)
    log(control.FOUND if planted.found else control.MISSED)
    shown = reported.of(judged.asked, made, files, main, found.prefixes, options)
    if ahead is not None:
        ahead(shown.rows)
    evidence, gaps = custody.finish(files, read, cluster, progress)
    log("looked at every file again" if options.quick else "hashed every file, and looked at it again")
    audit = Audit(
        evidence=evidence,
        pages=read.pages,
        policy=given.policy.words(scope),
        resources=scope,
        coverage=coverage,
        tally=replace(tally, accepted=shown.accepted),
        keys=used,
        rows=shown.rows,
        gaps=(*read.gaps, *gaps, *hunted.gaps, *control.gaps(planted)),
        unexamined=(
            *_left_out(read, options),
            *_absent(coverage, options),
            *_unopened(selections, given),
            *_untold(selections),
            *hunted.unexamined,
            *elsewhere,
            read.standing or (STANDING_LIVE if files.live else STANDING_DIRECTORY if files.directory else STANDING),
        ),
        notes=(
            *_notes(evidence, read),
            *given.notes,
            *hunted.notes,
            *in_force.observe(given, selections, batches, found, used, scope),
            *_observed(given, advice),
            *shown.notes,
        ),
        run=custody.run(options, log, given.plugins),
        acceptances=shown.acceptances,
        baseline=shown.baseline,
        control=planted,
    )
    return judged.asked.names.audit(audit)


def _rules(files: gather.Evidence, options: Options) -> "tuple[rules.Rules, Travelling | None]":
    """What is judged with, and the configurations that came with the evidence; None where no file did."""
    if not files.settings:
        return rules.prepare(options), None
    from auditor.hunt import travelling

    came = travelling.read(files.settings)
    if not options.use_found_config:
        return rules.prepare(options), came
    return rules.prepare(options, came.configurations, came.older), came


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
    judged = zip(found.table, wanted.tolist(), strict=True)
    added = {entry.name for entry, chosen in judged if chosen and entry is not fragments.UNTOLD}
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


def _tally(selections: Sequence[Selection], advice: Sequence[Advice], hits: Sequence[Hit]) -> Tally:
    places: Counter[tuple[Place, Provider, str]] = Counter()
    opened: Counter[tuple[Place, Provider, str]] = Counter()
    marks = Counter((Finding.CONFIGURATION, each.severity) for each in advice if each.judged)
    marks.update((hit.finding, policy.severity(hit.finding, current=False, same_as_latest=False)) for hit in hits)
    readable = in_use = undetermined = 0
    contents: set[int] = set()
    objects_: set[bytes] = set()
    where: set[Place] = set()
    pages: set[int] = set()
    for each in selections:
        told = each.told
        for code, size in columns.counts((each.label * len(Place) + each.batch.place)[told]):
            places[Place(code % len(Place)), *each.labels[code // len(Place)]] += size
        done = (each.opened == Opened.YES) & told
        for code, size in columns.counts(each.label[done] * len(Place) + each.batch.place[done]):
            opened[Place(code % len(Place)), *each.labels[code // len(Place)]] += size
        for code, size in columns.counts(each.mark_codes()):
            current, same = bool(code & 4), code & 3 == SAME
            for finding in Finding(code >> 8):
                marks[finding, policy.severity(finding, current=current, same_as_latest=same)] += size
        plain = np.flatnonzero(each.plaintext)
        batch = each.batch
        readable += plain.size
        if not plain.size:
            continue
        some = _distinct(each.by_value, plain)
        # one source tells its own values apart by row; several need the bytes
        contents.update(some.tolist() if len(selections) == 1 else (hash(batch.value(row)) for row in some.tolist()))
        named = batch.key_at[plain] >= 0
        some = _distinct(each.by_key, plain[named])
        objects_.update(batch.data.slices(batch.key_at[some], batch.key_len[some].astype(np.int64)))
        objects_.update(filter(None, map(each.key, plain[~named].tolist())))
        in_use += int((each.same[plain] == SAME).sum())
        undetermined += int((each.same[plain] == UNKNOWN).sum())
        where |= {Place(code) for code in set(batch.place[plain].tolist())}
        if each.main:
            pages |= set(batch.page[plain[batch.place[plain] == Place.FREED]].tolist())
    return Tally(
        places=tuple(sorted((*key, count, opened[key]) for key, count in places.items())),
        marks=tuple(sorted((finding, severity, count) for (finding, severity), count in marks.items())),
        readable=readable,
        contents=len(contents),
        objects=len(objects_),
        in_use=in_use,
        undetermined=undetermined,
        readable_places=tuple(sorted(where)),
        freed_pages=tuple(sorted(pages)),
    )


def _distinct(groups: tuple[Ints, Ints], rows_: Ints) -> Ints:
    """One row of each group that these rows belong to."""
    number, heads = groups
    return heads[np.unique(number[rows_])]


def _cluster(
    batches: Sequence[Batch], stored: Sequence[values.Values], found: keys.Keys, read: reading.Reading
) -> Cluster:
    """The kube-system namespace's identity, and the newest time in the last records."""
    uid = created = ""
    newest = 0
    for prefix in found.prefixes:
        key = restore(f"{prefix}/namespaces/kube-system")
        for batch, each in zip(batches, stored, strict=True):
            for row in keys.find_key(batch, key).tolist():
                if batch.place[row] == Place.LATEST and read.in_force(batch.source):
                    said = objects.decode(batch.value(row), Encoding(int(each.encoding[row])))
                    uid, created = printable(said.uid), moment(said.created)
    for number, (batch, each) in enumerate(zip(batches, stored, strict=True)):
        if not read.in_force(batch.source) or (batch.place > Place.DELETED).any():
            continue
        last = slice(-NEWEST, None) if (np.diff(batch.main) >= 0).all() else np.argsort(batch.main)[-NEWEST:]
        for row in np.arange(len(batch))[last].tolist():
            if each.encoding[row] and found.table[found.resource[number][row]].prefix:
                said = objects.decode(batch.value(row), Encoding(int(each.encoding[row])))
                newest = max(newest, said.newest or 0)
    return Cluster(uid, created, moment(newest) if newest else "", found.prefixes)


def _left_out(read: reading.Reading, options: Options) -> list[Unexamined]:
    accepted = options.quick and options.accept_partial
    left = [Unexamined(part.what, part.reason, part.decisive and not accepted) for part in read.unexamined]
    if options.quick:
        left.append(
            Unexamined("the file's hashes", "--quick: neither its SHA-256 nor a trailer was checked", not accepted)
        )
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
        outside = (resource == 0) & ~values.no_value(batch) & (batch.key_at >= 0)
        likely = (each.provider > Provider.IDENTITY) | (each.encoding == Encoding.PROTOBUF)
        count += int((outside & likely).sum())
    if not count:
        return []
    reason = "they look like Kubernetes objects; name their prefix with --storage-prefix"
    return [Unexamined(f"{count:,} values under no storage prefix", reason, decisive=not options.storage_prefixes)]


def _untold(selections: Sequence[Selection]) -> list[Unexamined]:
    """Fragments of which the bytes do not say what they are: with an encrypting prefix they are not readable."""
    encrypted: Counter[Place] = Counter()
    others: Counter[Place] = Counter()
    size: Counter[Place] = Counter()
    for each in selections:
        for row in np.flatnonzero(~each.told).tolist():
            place = Place(int(each.batch.place[row]))
            if each.values.provider[row] > Provider.IDENTITY:
                encrypted[place] += 1
            else:
                others[place] += 1
                size[place] += int(each.batch.value_len[row])
    left = [
        Unexamined(
            f"{count:,} fragments in {place.label}, {size[place]:,} bytes",
            "parts of values, or damaged ones: what they belong to cannot be told; see --inventory",
            decisive=True,
        )
        for place, count in sorted(others.items())
    ]
    left += [
        Unexamined(f"{count:,} encrypted values in {place.label} without their etcd key", "not opened", decisive=False)
        for place, count in sorted(encrypted.items())
    ]
    return left


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
